"""The rendered files run: a real Prometheus loads them, scrapes, records, and the page fires."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from holdfast.artifacts.catalog import render
from holdfast.spec.load import load_text

SPEC = """
service: shop
run: python shop.py
promises: {availability: 99.9, p99: 10ms}
observability:
  scrape: 1s
  metrics:
    - {name: orders_total, kind: counter, title: Orders, unit: ops}
    - {name: fill_ratio, kind: gauge, title: Fill, unit: percentunit}
"""
FAILED = 0.02  # of all requests


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Exporter:
    """Envoy's counters and the program's business metrics, growing with the clock."""

    def __init__(self) -> None:
        registry, self.begun = CollectorRegistry(), time.monotonic()
        xx = Gauge(  # a Counter would be called ..._total, which Envoy does not

            "envoy_http_downstream_rq_xx", "", registry=registry,
            labelnames=("envoy_http_conn_manager_prefix", "envoy_response_code_class"),
        )  # fmt: skip
        orders = Counter("orders", "", registry=registry)
        Gauge("fill_ratio", "", registry=registry).set(0.75)
        self._fine, self._failed = xx.labels("service", "2"), xx.labels("service", "5")
        self._orders, self.port = orders, free_port()
        self._server, self._thread = start_http_server(self.port, "127.0.0.1", registry)

    def live(self, seconds: float) -> None:
        """A thousand requests a second."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.05)
            self.catch_up()

    def catch_up(self) -> None:
        now = time.monotonic()
        requests, self.begun = 1000 * (now - self.begun), now
        self._fine.inc(requests * (1 - FAILED))
        self._failed.inc(requests * FAILED)
        self._orders.inc(requests / 2)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def laid_out(root: Path, exporter: Exporter) -> Path:
    """The family's files, and beside them the targets that the local target would write."""
    for file in render(load_text(SPEC), ["observability"]):
        if file.path.startswith("observability/prometheus/"):
            (root / file.path).parent.mkdir(parents=True, exist_ok=True)
            (root / file.path).write_bytes(file.data)
    here = root / "observability/prometheus"
    (here / "targets").mkdir()
    labels = {"service": "shop", "region": "us-east", "__metrics_path__": "/metrics"}
    target = [{"targets": [f"127.0.0.1:{exporter.port}"], "labels": labels}]
    for name in ("envoy", "service"):
        (here / f"targets/{name}.json").write_text(json.dumps(target))
    return here / "prometheus.yml"


@contextmanager
def prometheus(config: Path, data: Path) -> Iterator[int]:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    port = free_port()
    words = [
        program, f"--config.file={config}", f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def asked(port: int, path: str) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.load(answer)["data"]


def value(port: int, query: str) -> float | None:
    found = asked(port, f"/api/v1/query?query={urllib.parse.quote(query)}")["result"]
    return float(found[0]["value"][1]) if found else None


def until(exporter: Exporter, holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        exporter.live(0.5)
        try:
            if holds():
                return True
        except OSError:  # Prometheus is not up yet
            continue
    return False


@pytest.mark.live
@pytest.mark.timeout(180)
@pytest.mark.req("T86", "T89", "T90", "T105", "P8")
def test_a_real_prometheus_records_the_failures_that_were_there_and_pages(tmp_path):
    exporter = Exporter()
    try:
        config = laid_out(tmp_path, exporter)
        with prometheus(config, tmp_path / "data") as port:
            ratio = 'slo:error_ratio:5m{service="shop",region="us-east",slo="availability"}'
            rate = 'service:requests:rate{service="shop"}'  # needs a minute of samples
            assert until(exporter, lambda: (value(port, rate) or 0) > 900, 120)
            rules = asked(port, "/api/v1/rules")["groups"]
            said = [rule for group in rules for rule in group["rules"]]
            assert len(said) > 40
            assert [rule["lastError"] for rule in said if rule.get("lastError")] == []
            assert value(port, ratio) == pytest.approx(FAILED, rel=0.05)
            assert value(port, rate) == pytest.approx(1000, rel=0.1)
            orders = value(port, 'sum(rate(orders_total{service="shop"}[1m]))')
            assert orders == pytest.approx(500, rel=0.1)
            assert value(port, 'fill_ratio{service="shop"}') == 0.75
            page = 'ALERTS{alertname="AvailabilityBurnsFast",alertstate="firing",region="us-east"}'
            assert value(port, page) == 1
            quiet = 'ALERTS{alertname="MostRequestsFail",alertstate="firing"}'
            assert value(port, quiet) is None
    finally:
        exporter.close()
