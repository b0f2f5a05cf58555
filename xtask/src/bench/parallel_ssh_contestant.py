"""Runs `true` on every address of a file with parallel-ssh and prints how many ended with 0."""

import sys

from pssh.clients import ParallelSSHClient

path, user, key, parallel = sys.argv[1:]
with open(path) as file:
    places = [line.strip().split("@")[1].split(":") for line in file]
client = ParallelSSHClient(
    [host for host, _ in places],
    user=user,
    port=int(places[0][1]),
    pkey=key,
    pool_size=int(parallel),
    num_retries=1,
    allow_agent=False,
)
output = client.run_command("true", stop_on_errors=False)
client.join(output)
print(sum(one.exit_code == 0 for one in output))
