"""A trading engine small enough to read: rows of features in, one decision per row out.

``POST /decide`` takes N rows of 8 little-endian float32 (32 bytes each) and answers N int8
decisions: -1 sell, 0 hold, 1 buy. It never heard of Holdfast: it listens on ``$PORT`` (or on an
inherited socket, systemd's ``LISTEN_FDS``), answers ``/health``, ``/ready`` and ``/metrics``, and
on SIGTERM stops accepting, answers what is in flight with ``connection: close`` and ends.

    python engine.py --version v2 --port 9000
    python engine.py --version v3 --fault errors-5pct      # bad on purpose, see faults.py
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # batches are small: threads only add jitter

try:
    import uvloop
except ImportError:
    uvloop = None

from decisions import ROW_BYTES, Model
from faults import FAULTS, Fault
from http1 import Answer, Connection, Request
from metrics import Meters

DRAIN_LINGER_S = 0.25  # a request already on the wire at SIGTERM is still answered
DRAIN_S_MAX = 8.0


class Engine:
    """What the server answers. Owns the model, the meters and whether it is draining."""

    def __init__(self, version: str, fault: Fault) -> None:
        self.model, self.fault = Model(version), fault
        self.model.decide(bytes(1000 * ROW_BYTES))  # numpy's first product is its slowest
        self.version = fault.announces or version
        self.meters = Meters(self.version)
        self.draining = False
        self.connections: set[Connection] = set()

    def answer(self, request: Request) -> Answer:
        if request.path == "/decide":
            return self.decide(request)
        if request.method not in ("GET", "HEAD"):
            return self.text(405, "only GET here\n")
        match request.path:
            case "/health":
                return self.text(200, "ok\n")
            case "/ready" if self.draining or self.fault.never_ready:
                return self.text(503, "draining\n" if self.draining else "not ready\n")
            case "/ready":
                return self.text(200, "ready\n")
            case "/metrics":
                return self.text(200, self.meters.exposition())
        return self.text(404, "known: POST /decide, GET /health /ready /metrics\n")

    def decide(self, request: Request) -> Answer:
        if request.method != "POST":
            return self.text(405, "POST rows of 8 float32\n")
        problem = self.model.problem(request.body)
        if problem:
            self.meters.refused += 1
            return self.text(400, problem + "\n")
        if self.fault.fails_now():
            self.meters.failed += 1
            return self.text(500, "bad on purpose\n")
        with self.meters.timing():
            decisions, pnl = self.model.decide(request.body)
        self.meters.decided(len(decisions), pnl)
        body = self.fault.spoil(decisions)
        return Answer(200, body, "application/octet-stream", self.version, self.fault.delay_s)

    def text(self, status: int, body: str) -> Answer:
        return Answer(status, body.encode(), "text/plain; charset=utf-8", self.version)


def listening_socket(port: int) -> socket.socket:
    """The inherited socket where the parent passed one, else a new one on loopback."""
    if os.environ.get("LISTEN_FDS") and os.environ.get("LISTEN_PID", str(os.getpid())) == str(
        os.getpid()
    ):
        return socket.socket(fileno=3)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((os.environ.get("HOST", "127.0.0.1"), port))
    return listener


async def drain(engine: Engine, server: asyncio.Server) -> None:
    """Stop accepting, answer what is in flight, close idle connections, give up in the end.

    Where nobody is connected, nothing can be on the wire: then there is nothing to linger for.
    """
    engine.draining = True
    server.close()
    now = asyncio.get_running_loop().time
    began = now()
    while engine.connections and now() - began < DRAIN_S_MAX:
        if now() - began > DRAIN_LINGER_S:
            for connection in tuple(engine.connections):
                connection.close_when_idle()
        await asyncio.sleep(0.01)


async def serve(engine: Engine, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    told_to_stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, told_to_stop.set)
    if engine.fault.never_listens:
        print("running, but not listening", flush=True)
        await told_to_stop.wait()
        return
    server = await loop.create_server(lambda: Connection(engine), sock=listener, backlog=1024)
    print(f"{engine.version} listens on port {listener.getsockname()[1]}", flush=True)
    await told_to_stop.wait()
    await drain(engine, server)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--version", default=os.environ.get("ENGINE_VERSION", "v1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8080")))
    parser.add_argument("--fault", choices=FAULTS, default=os.environ.get("ENGINE_FAULT", "none"))
    parser.add_argument("--amount", type=float, default=None, help="how much of the fault")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    asked = parse(argv)
    fault = Fault.named(asked.fault, asked.amount)
    if fault.exits_at_once:
        print("fatal: model file model.bin is damaged", file=sys.stderr, flush=True)
        return 3
    engine = Engine(asked.version, fault)
    listener = listening_socket(asked.port)
    run = asyncio.run if uvloop is None else uvloop.run
    run(serve(engine, listener))
    return 0


def leave(code: int) -> None:
    """End without taking the interpreter apart: nothing is left to save, and ten replicas that
    do so at once would take the processors from those that serve for a third of a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
