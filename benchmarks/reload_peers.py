"""Replacing a running version under load: Holdfast beside gunicorn, pm2 and HAProxy.

The same decisions, the same open-loop load, the same machine, one after the other in one run, so
the ratios travel even though the absolute times do not. A peer that is not installed and cannot be
had is skipped with its reason, never silently.

    python benchmarks/reload_peers.py --json benchmarks/results/reload_peers.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.drills.meters import Load, LoadPlan, MachineMeter, machine_facts
from holdfast.drills.promises import Noise
from holdfast.drills.record import Record, Window
from holdfast.drills.scenes import Director, wait_until
from holdfast.drills.stage import Stage, free_port

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "01-trading-engine"
PEERS = Path(__file__).resolve().parent / "peers"
WORKERS, ROWS, RATE = 4, 100, 500.0
SETTLE_S, RELOAD_S_MAX = 1.5, 20.0

Reload = Callable[[str], None]  # make this version the running one


class Skipped(Exception):
    """The peer cannot run here; the message says why."""


@dataclass
class Peer:
    """A running peer: where it answers, and how it is told to change its version."""

    port: int
    reload: Reload
    roots: Callable[[], list[int]] = list  # processes of its own that are not our children


# ---- the peers ----------------------------------------------------------------------------------


@contextmanager
def gunicorn(work: Path) -> Iterator[Peer]:
    """gunicorn, threads, HUP: the master starts new workers and lets the old ones finish."""
    site = work / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site), "gunicorn"]
    run_or_skip([*install, "--disable-pip-version-check"], "gunicorn could not be installed")
    port, version = free_port(), work / "version"
    version.write_text("v1")
    env = {**os.environ, "PYTHONPATH": f"{site}:{PEERS}:{EXAMPLE}", "VERSION_FILE": str(version)}
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--threads", "8"]
    command += ["--bind", f"127.0.0.1:{port}", "--keep-alive", "75", "--log-level", "error"]
    master = subprocess.Popen([*command, "wsgi_engine:application"], env=env)

    def reload(new: str) -> None:
        version.write_text(new)
        master.send_signal(signal.SIGHUP)

    with ended(master):
        yield Peer(port, reload)


@contextmanager
def pm2(work: Path) -> Iterator[Peer]:
    """pm2 in cluster mode, ``pm2 reload``, a server that closes gracefully and says ready."""
    if not (shutil.which("npm") and shutil.which("node")):
        raise Skipped("node and npm are not installed")
    install = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(work),
        "pm2",
    ]
    run_or_skip(install, "pm2 could not be installed")
    port, version = free_port(), work / "version"
    version.write_text("v1")
    env = {**os.environ, "PM2_HOME": str(work / "home"), "PORT": str(port)}
    env |= {"VERSION_FILE": str(version), "PM2_DISABLE_VERSION_CHECK": "true"}
    program = str(work / "node_modules" / ".bin" / "pm2")

    def tell(*words: str) -> None:
        run_or_skip([program, *words], f"pm2 {words[0]} failed", env)

    def reload(new: str) -> None:
        version.write_text(new)
        tell("reload", "engine")

    try:
        start = ["start", str(PEERS / "engine.js"), "--name", "engine", "-i", str(WORKERS)]
        tell(*start, "--wait-ready", "--kill-timeout", "3000")
        yield Peer(port, reload)
    finally:
        with suppress(Skipped):
            tell("kill")


@contextmanager
def haproxy(work: Path) -> Iterator[Peer]:
    """HAProxy in front of both versions, both running; a reload moves the traffic."""
    program = shutil.which("haproxy")
    if program is None:
        raise Skipped("haproxy is not installed")
    ports = {version: [free_port() for _ in range(WORKERS)] for version in ("v1", "v2")}
    engines = [
        subprocess.Popen(
            [sys.executable, str(EXAMPLE / "engine.py"), "--version", v, "--port", str(p)],
            stdout=subprocess.DEVNULL,
        )
        for v, listening in ports.items()
        for p in listening
    ]
    port, config = free_port(), work / "haproxy.cfg"

    def write(version: str) -> None:
        servers = "\n".join(f"  server s{p} 127.0.0.1:{p}" for p in ports[version])
        config.write_text(
            "defaults\n  mode http\n  timeout connect 2s\n  timeout client 30s\n"
            f"  timeout server 5s\n  retries 2\nfrontend f\n  bind 127.0.0.1:{port}\n"
            f"  default_backend b\nbackend b\n  balance leastconn\n{servers}\n"
        )

    write("v1")
    master = subprocess.Popen([program, "-W", "-f", str(config)], stderr=subprocess.DEVNULL)

    def reload(new: str) -> None:
        write(new)
        master.send_signal(signal.SIGUSR2)

    with ended(master, *engines):
        yield Peer(port, reload)


@contextmanager
def holdfast(work: Path) -> Iterator[Peer]:
    """Holdfast, a rolling update: new processes, probed, smoked, acknowledged, drained."""
    with Stage(lambda _line: None, WORKERS) as stage:
        director = Director(stage, settle_s=0.0)
        first = director.first()
        assert first.as_expected, first.outcome
        yield Peer(stage.port, lambda _new: scene_done(director), stage.roots)


def scene_done(director: Director) -> None:
    scene = director.rolling()
    assert scene.as_expected, scene.outcome


@contextmanager
def ended(*processes: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def run_or_skip(command: list[str], why: str, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=180)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Skipped(f"{why}: {lines[-1] if lines else done.returncode}")


# ---- measuring ----------------------------------------------------------------------------------


def measure(peer: Peer, work: Path, reloads: int) -> dict[str, Any]:
    """Reload under load, to and fro; every failed request and every second counts."""
    plan = LoadPlan(peer.port, rate=RATE, rows=ROWS, connections=16)
    if not wait_until(lambda: answers(peer.port), RELOAD_S_MAX):
        raise Skipped("it never answered")
    marks: list[tuple[float, float]] = []
    with (
        MachineMeter(peer.roots) as meter,
        Load(plan, work / "load.npz", None) as load,
    ):
        load.wait_until_flowing(int(RATE))
        for number in range(reloads):
            began = time.monotonic()
            peer.reload("v2" if number % 2 == 0 else "v1")
            time.sleep(SETTLE_S)
            marks.append((began, time.monotonic()))
        record = load.stop()
        return summary(record, marks, meter)


def answers(port: int) -> bool:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("POST", "/decide", bytes(32))
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def summary(
    record: Record, marks: list[tuple[float, float]], meter: MachineMeter
) -> dict[str, Any]:
    reloading = [Window(*mark) for mark in marks]
    before = Window(record.start, marks[0][0])
    took = [switch_time(record, window) for window in reloading]
    return {
        "requests": record.requests(),
        "failed": record.failed(),
        "failures": record.failures(),
        "reloads": len(marks),
        "seconds_to_last_old_answer": [None if t is None else round(t, 4) for t in took],
        "p99_ms_before": round(record.percentile_ms(99, before), 3),
        "p99_ms_reloading": round(record.percentile_ms(99, *reloading), 3),
        "noise": vars_of(meter.noise(record)),
    }


def vars_of(noise: object) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(noise)  # type: ignore[call-overload, no-any-return]


def switch_time(record: Record, window: Window) -> float | None:
    """From the command to the last answer of whoever served before it; None: still serving."""
    inside = (record.done + record.start >= window.start) & (
        record.done + record.start < window.end
    )
    if not inside.any():
        return None
    who, done = record.who[inside], record.done[inside] + record.start - window.start
    old = who[done.argmin()]
    if who[done.argmax()] == old:
        return None
    return float(done[who == old].max())


def compare(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Every peer as a multiple of Holdfast."""
    ours = results.get("holdfast", {})
    ratios: dict[str, Any] = {}
    for name, theirs in results.items():
        if name == "holdfast" or "skipped" in theirs or "skipped" in ours:
            continue
        ratios[name] = {
            "void": doubt(theirs) or doubt(ours),
            "failed": f"{theirs['failed']} against {ours['failed']}",
            "p99_reloading": ratio(theirs["p99_ms_reloading"], ours["p99_ms_reloading"]),
            "seconds_to_last_old_answer": ratio(median(theirs), median(ours)),
        }
    return ratios


def doubt(result: dict[str, Any]) -> str | None:
    """Why times of this run say nothing; None: they do. Lost requests are never in doubt."""
    noise = Noise(**result["noise"])
    return noise.generator_failed or noise.disturbed


def median(result: dict[str, Any]) -> float | None:
    known = sorted(t for t in result["seconds_to_last_old_answer"] if t is not None)
    return known[len(known) // 2] if known else None


def ratio(theirs: float | None, ours: float | None) -> float | None:
    return round(theirs / ours, 2) if theirs is not None and ours else None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--reloads", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=None)
    asked = parser.parse_args(argv)
    results: dict[str, dict[str, Any]] = {}
    for start in (holdfast, gunicorn, haproxy, pm2):
        name = start.__name__
        if asked.only and name not in asked.only:
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix=f"peer-{name}-") as directory:
            work = Path(directory)
            try:
                with start(work) as peer:
                    results[name] = measure(peer, work, asked.reloads)
            except Skipped as why:
                results[name] = {"skipped": str(why)}
    document = {"machine": machine_facts(), "results": results, "ratios": compare(results)}
    text = json.dumps(document, indent=1)
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(text + "\n")
    print(text)
    ours = results.get("holdfast", {})
    return 1 if ours.get("failed") else 0


if __name__ == "__main__":
    sys.exit(main())
