"""50 services live in the console: how late is a page told, and what does that cost the conductor?

A real conductor process with 50 simulated services, each with traffic; one of them stands on a
rung of its canary. Latency is the time from the answer to a ``pause`` or ``resume`` until the live
stream has told it, as an API listener and as pixels: in headless Chromium, where it is installed,
until the row of the overview says so. The processor share is the conductor's own, measured with
no listener and with listeners, in one run; the difference is what watching costs.

    python benchmarks/console.py --services 50 --json out.json
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from telling import told

from holdfast.conductor.client import Client
from holdfast.conductor.daemon import start_daemon, stop_daemon
from holdfast.runtime.home import Home

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
LATENCY_S_MAX, CPU_MAX = 1.0, 0.10
SAID = ".board li:has(a[href='#/s/s0']) .pill"
STANDING = "{ strategy: canary, steps: [{ weight: 20, approvals: 1, max: 3600s }, 100] }"


def deploy(client: Client, name: str, version: str, rollout: str = "blue-green") -> None:
    spec = (
        f"service: {name}\ntarget: simulated\nversion: {version}\nreplicas: 3\n"
        f'run: {{ command: app, env: {{ SIMULATED_START_S: "0.05" }} }}\nrollout: {rollout}\n'
    )
    client.deploy(name, spec, spec_path="/nowhere/holdfast.yaml")


def settle(client: Client, services: int) -> None:
    for number in range(services):
        deploy(client, f"s{number}", "v1")
    while any(not each["state"]["stable"] for each in client.services()):
        time.sleep(0.2)
    deploy(client, "s0", "v2", STANDING)
    time.sleep(2)


class Listener(threading.Thread):
    """One reader of the live stream, which notes when it was told what."""

    def __init__(self, home: Home) -> None:
        super().__init__(daemon=True)
        self.client, self.bytes = Client(home), 0
        self.paused: bool | None = None
        self.told = threading.Event()
        self.done = False

    def run(self) -> None:
        for frame in self.client.live():
            if self.done:
                return
            self.bytes += len(json.dumps(frame))
            for status in frame.get("statuses", ()):
                rollout = status["state"]["rollout"]
                if status["service"] == "s0" and rollout is not None:
                    self.paused = rollout["paused"]
                    self.told.set()


def turns(client: Client, rounds: int) -> Iterator[tuple[float, bool]]:
    """Pause and resume in turn; yields when the order was recorded, and what it was."""
    for number in range(rounds):
        pausing = number % 2 == 0
        client.pause("s0") if pausing else client.resume("s0")
        yield time.monotonic(), pausing
        time.sleep(0.31)  # so that looks fall anywhere between two ticks


def told_after(client: Client, listener: Listener, rounds: int) -> list[float]:
    lags = []
    for began, pausing in turns(client, rounds):
        while listener.paused is not pausing and time.monotonic() - began < 10:
            listener.told.wait(0.5)
            listener.told.clear()
        lags.append(time.monotonic() - began)
    return sorted(lags)


def seen_after(client: Client, rounds: int) -> list[float] | None:
    """The same until a real browser shows it. None where there is no browser."""
    if not CHROMIUM.exists() or importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    lags = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page()
        page.goto(client.console_link()["url"])
        page.wait_for_selector(SAID)
        for began, pausing in turns(client, rounds):
            words = SAID + (":has-text('paused')" if pausing else ":not(:has-text('paused'))")
            page.wait_for_selector(words)
            lags.append(time.monotonic() - began)
        browser.close()
    return sorted(lags)


def share(process: psutil.Process, seconds: float) -> float:
    """Processor time of the conductor, in cores."""
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return used / (time.monotonic() - began)


def quantiles(lags: list[float] | None) -> dict[str, float] | None:
    if lags is None:
        return None
    p95 = lags[int(0.95 * (len(lags) - 1))]
    return {"p50_s": round(statistics.median(lags), 3), "p95_s": round(p95, 3),
            "max_s": round(lags[-1], 3), "n": len(lags)}  # fmt: skip


def measure(home: Home, services: int, rounds: int, seconds: float) -> dict[str, object]:
    process = psutil.Process(start_daemon(home))
    client = Client(home)
    settle(client, services)
    cpu = {"no_listener": share(process, seconds)}
    first = Listener(home)
    first.start()
    cpu["one_listener"] = share(process, seconds)
    per_s = first.bytes / seconds
    lags = told_after(client, first, rounds)
    browser = seen_after(client, rounds)
    others = [Listener(home) for _ in range(9)]
    for each in others:
        each.start()
    cpu["ten_listeners"] = share(process, seconds)
    for each in (first, *others):
        each.done = True
    watching = cpu["one_listener"] - cpu["no_listener"]
    slowest = max(lags[-1], browser[-1] if browser else 0.0)
    return {
        "services": services,
        "results": {
            "told": quantiles(lags),
            "seen_in_chromium": quantiles(browser),
            "stream_bytes_per_s": round(per_s),
            "cores": {name: round(value, 4) for name, value in cpu.items()},
            "cores_for_watching": round(watching, 4),
        },
        "bounds": {"latency_s": LATENCY_S_MAX, "cores": CPU_MAX},
        "holds": slowest < LATENCY_S_MAX and watching < CPU_MAX,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", help="write the result here as well")
    ask = parser.parse_args()
    home = Home(Path(tempfile.mkdtemp(prefix="holdfast-console-")) / ".holdfast")
    try:
        result = measure(home, ask.services, ask.rounds, ask.seconds)
    finally:
        stop_daemon(home)
    return told(result, ask.json)


if __name__ == "__main__":
    sys.exit(main())
