"""A gRPC server without generated code: one method of bytes, and the standard health service.

``FAILS`` is the share of calls answered with INTERNAL; ``HEALTH`` is what the health service says.
"""

import os
import random
import signal
import threading
from concurrent import futures

import grpc

VERSION = os.environ.get("APP_VERSION", "v1")
FAILS = float(os.environ.get("FAILS", "0"))
STATUSES = {"SERVING": b"\x08\x01", "NOT_SERVING": b"\x08\x02"}  # field 1, a varint
HEALTH = STATUSES[os.environ.get("HEALTH", "SERVING")]
KNOWN = {b"", b"\x0a\x0bhello.Hello"}  # field 1, a string: the server as a whole, or its service


def say(request: bytes, context: grpc.ServicerContext) -> bytes:
    if random.random() < FAILS:
        context.abort(grpc.StatusCode.INTERNAL, "lost a coin toss")
    return VERSION.encode()


def check(request: bytes, context: grpc.ServicerContext) -> bytes:
    if request not in KNOWN:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
    return HEALTH


def service(name: str, **methods) -> grpc.GenericRpcHandler:
    handlers = {each: grpc.unary_unary_rpc_method_handler(do) for each, do in methods.items()}
    return grpc.method_handlers_generic_handler(name, handlers)


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers(
        (service("hello.Hello", Say=say), service("grpc.health.v1.Health", Check=check))
    )
    server.add_insecure_port(f"127.0.0.1:{os.environ.get('PORT', '8089')}")
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    server.start()
    stopped.wait()
    server.stop(grace=5).wait()  # nothing new, and what is under way is finished


if __name__ == "__main__":
    main()
