"""Starts moto servers: loads moto once, then forks, so that a server of one's own costs little.

    connect to the address that is printed  --->  a fresh server; its URL comes back as one line
    keep the connection open                      it runs
    close it, or die                              it ends

Ends itself, with all servers, when its standard input is closed: nothing outlives the test run.
moto checks images, types and key names only if it is told to, before it is loaded.
"""

import gc
import os
import selectors
import signal
import socket
import sys
import threading

os.environ["MOTO_ENABLE_AMI_VALIDATION"] = "true"
os.environ["MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION"] = "true"
os.environ["MOTO_ENABLE_KEYPAIR_VALIDATION"] = "true"

from moto.backends import get_backend
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

SERVICES = ["ec2", "autoscaling", "elbv2", "iam", "route53", "sqs", "ssm", "sts"]


def serve(connection):
    """Is a server until nobody holds the connection or the standard input. Never returns."""
    server = make_server(
        "127.0.0.1",
        0,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    for descriptor in [connection.fileno(), sys.stdin.fileno()]:
        threading.Thread(target=end_with, args=[descriptor], daemon=True).start()
    connection.sendall(f"http://127.0.0.1:{server.server_port}\n".encode())
    server.serve_forever()


def end_with(descriptor):
    """Ends this process when the other end is closed; an error means the same."""
    try:
        while os.read(descriptor, 1024):
            pass
    finally:
        os._exit(0)


def main():
    for service in SERVICES:
        get_backend(service)
    # The children share what is loaded; the collector would touch, and so copy, all of it.
    gc.collect()
    gc.freeze()
    # Nobody waits for the children.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
    either = selectors.DefaultSelector()
    either.register(listener, selectors.EVENT_READ)
    either.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in either.select():
            if key.fileobj is sys.stdin:
                if not os.read(sys.stdin.fileno(), 1024):
                    return
                continue
            connection, _ = listener.accept()
            if os.fork() == 0:
                either.close()
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                serve(connection)
            connection.close()


if __name__ == "__main__":
    main()
