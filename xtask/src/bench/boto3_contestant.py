"""What boto3 takes for the same: the peer in `cargo xtask bench aws`. Prints one JSON object.

    boto3_contestant.py list                    every page of DescribeInstances
    boto3_contestant.py create IMAGE N THREADS  N nodes, one call for each; one call for all with 0
    boto3_contestant.py again IMAGE N THREADS   N nodes, one call for each, whatever there is already
    boto3_contestant.py missing IMAGE N THREADS lists its tag first and makes what is not listed

The endpoint is `AWS_ENDPOINT_URL`; retries are boto3's default.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

TAG = {"Key": "contest", "Value": "boto3"}


def main():
    command, *rest = sys.argv[1:]
    threads = int(rest[2]) if rest else 0
    ec2 = boto3.client(
        "ec2",
        region_name="us-east-1",
        config=Config(max_pool_connections=max(threads, 10)),
    )
    started = time.monotonic()
    if command == "list":
        told = {"nodes": listed(ec2)}
    else:
        told = create(ec2, command, rest[0], int(rest[1]), threads)
    told["milliseconds"] = (time.monotonic() - started) * 1e3
    with open("/proc/self/status") as status:
        peak = next(line for line in status if line.startswith("VmHWM:"))
    told["peak_kib"] = int(peak.split()[1])
    print(json.dumps(told))


def listed(ec2, **arguments):
    pages = ec2.get_paginator("describe_instances").paginate(
        PaginationConfig={"PageSize": 1000}, **arguments
    )
    return sum(len(r["Instances"]) for page in pages for r in page["Reservations"])


def create(ec2, command, image, wanted, threads):
    def call(count):
        answer = ec2.run_instances(
            ImageId=image,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=count,
            TagSpecifications=[{"ResourceType": "instance", "Tags": [TAG]}],
        )
        return len(answer["Instances"])

    def one(_):
        try:
            return call(1)
        except ClientError as error:
            # What is refused after boto3's own retries is not there.
            if error.response["Error"]["Code"] != "RequestLimitExceeded":
                raise
            return 0

    if threads == 0:
        return {"nodes": call(wanted)}
    if command == "missing":
        mine = [
            {"Name": f"tag:{TAG['Key']}", "Values": [TAG["Value"]]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
        wanted -= listed(ec2, Filters=mine)
    with ThreadPoolExecutor(threads) as pool:
        return {"nodes": sum(pool.map(one, range(wanted)))}


main()
