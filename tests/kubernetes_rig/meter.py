"""Users and the Prometheus that counts them, in one: requests follow the weights of the gateway.

No request is made. What counts for verdicts is what a metrics API answers, and that is a real HTTP
server here, speaking Prometheus's query API.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from kubernetes_rig.gateway import GatewayController


class Meter:
    """Counts ``rate`` requests per second, shared by weight; ``failing``: share by release."""

    def __init__(self, gateway: GatewayController, rate: float = 5_000.0) -> None:
        self.gateway, self.rate = gateway, rate
        self.failing: dict[str, float] = {}  # by the backend's name
        self._requests: dict[str, float] = {}
        self._errors: dict[str, float] = {}
        self._at = time.monotonic()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, *why: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def spec(self) -> str:
        """What a spec says to be judged by this."""
        return (
            "observability:\n  scrape: 1s\n  prometheus:\n"
            f"    url: http://127.0.0.1:{self._server.server_port}\n"
            "    release_label: backend\n    requests: requests_total\n    errors: errors_total\n"
        )

    def answer(self, query: str) -> dict[str, Any]:
        """One sample of each backend, made now."""
        with self._lock:
            self._count()
            chosen = self._errors if query.startswith("errors_total") else self._requests
            result = [
                {"metric": {"backend": name}, "values": [[time.time(), str(int(count))]]}
                for name, count in chosen.items()
            ]
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}

    def _count(self) -> None:
        now = time.monotonic()
        seconds, self._at = now - self._at, now
        for name, weight in self._weights():
            served = self.rate * seconds * weight / 100
            self._requests[name] = self._requests.get(name, 0.0) + served
            failed = served * self.failing.get(name, 0.0)
            self._errors[name] = self._errors.get(name, 0.0) + failed

    def _weights(self) -> Iterator[tuple[str, int]]:
        yield from self.gateway.weights().items()


def _handler(meter: Meter) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"  # no connection outlives the test

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            body = json.dumps(meter.answer(form["query"][0])).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Says nothing."""

    return Handler
