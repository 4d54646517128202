"""The open-loop load generator, a process of its own: ``python -m holdfast.drills.load --help``.

Every request has an intended instant, ``start + i / rate``, fixed before the run. A timer of the
kernel wakes the process; what is due is sent on an idle keep-alive connection, or waits for one,
and its latency counts from the intended instant in either case. Nothing is dropped in silence: a
request whose time runs out while it waits is a ``timeout`` like any other. How late the process
itself woke up is recorded too, so that a run in which the generator was the slow part is void.

On stdout: one JSON line every 200 ms, the last one has ``"summary"``. On stdin: end of file or a
line stops the run. All requests go to ``--out`` (see ``drills/record.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ctypes
import gc
import json
import os
import sys
import time
from array import array
from collections import Counter, deque
from pathlib import Path

import numpy as np

from holdfast.drills import oracle
from holdfast.drills.lane import Exchange, Lane
from holdfast.drills.record import OK, Record

PENDING = 255
SWEEP_S = 0.02
PULSE_S = 0.2
TICK_S_MIN = 0.00025
CLOCK_MONOTONIC = 1
WAKES_MAX = 50_000  # of which a record keeps the lag
TFD_NONBLOCK = os.O_NONBLOCK


class Ticker:
    """A periodic kernel timer as a file descriptor: microseconds, where loops offer milliseconds.

    Python 3.13 has ``os.timerfd_create``; before that the same two calls go through libc.
    """

    def __init__(self, period_s: float) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor: int = libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        whole, rest = divmod(period_s, 1.0)
        spec = (ctypes.c_long * 4)(int(whole), int(rest * 1e9), int(whole), int(rest * 1e9))
        if libc.timerfd_settime(self.descriptor, 0, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def acknowledge(self) -> None:
        os.read(self.descriptor, 8)

    def close(self) -> None:
        os.close(self.descriptor)


class Notes:
    """Request by request, in flat arrays: sixteen bytes and a bit for each."""

    def __init__(self) -> None:
        self.sent, self.done = array("d"), array("d")
        self.kind, self.who = array("B"), array("B")
        self.kinds: dict[str, int] = {OK: 0}
        self.versions: dict[str, int] = {"": 0}
        self.wake_at, self.wake_lag_ms = array("d"), array("d")
        self.totals: Counter[str] = Counter()

    def plan(self) -> int:
        self.sent.append(np.nan)
        self.done.append(np.nan)
        self.kind.append(PENDING)
        self.who.append(0)
        return len(self.sent) - 1

    def settle(self, request: int, at: float, kind: str, who: str) -> None:
        assert self.kind[request] == PENDING, "a request ends once"
        self.done[request] = at
        self.kind[request] = self.kinds.setdefault(kind, len(self.kinds))
        # A server that puts noise into its version cannot grow the table without end.
        known = who if who in self.versions or len(self.versions) < 250 else "(more)"
        self.who[request] = self.versions.setdefault(known, len(self.versions))
        self.totals[kind] += 1


class Generator:
    """The schedule, the lanes, and the notes of one run."""

    def __init__(self, asked: argparse.Namespace, exchange: Exchange) -> None:
        self.asked, self.exchange = asked, exchange
        self.notes = Notes()
        self.loop = asyncio.get_running_loop()
        self.lanes: set[Lane] = set()
        self.ready: deque[Lane] = deque()
        self.backlog: deque[int] = deque()
        self.opening: set[asyncio.Task[None]] = set()
        self.start = self.pulse_at = self.pulse_s = 0.0
        self.pulse_from = (0, 0)
        self.stopped = asyncio.Event()

    # ---- one run

    async def run(self) -> Record:
        await self.warm_up()
        gc.collect()
        gc.freeze()
        gc.disable()
        ticker = Ticker(max(TICK_S_MIN, 1.0 / self.asked.rate))
        self.start = self.pulse_at = time.monotonic()
        self.loop.add_reader(ticker.descriptor, self.tick, ticker)
        sweeper = asyncio.create_task(self.sweep())
        await self.stopped.wait()
        self.loop.remove_reader(ticker.descriptor)
        ticker.close()
        await self.finish()
        sweeper.cancel()
        return self.record()

    async def warm_up(self) -> None:
        """Connect every lane before the first intended instant."""
        await asyncio.gather(*(self.connect(None) for _ in range(self.asked.connections)))

    async def finish(self) -> None:
        """Let what is in flight end; the sweeper turns the rest into timeouts."""
        deadline = time.monotonic() + self.asked.timeout + 1.0
        while PENDING in self.notes.kind[-20_000:] and time.monotonic() < deadline:
            await asyncio.sleep(SWEEP_S)
        for request, kind in enumerate(self.notes.kind):
            if kind == PENDING:
                self.report(request, "timeout", "")

    # ---- sending

    def tick(self, ticker: Ticker) -> None:
        ticker.acknowledge()
        now = time.monotonic() - self.start
        period, planned = 1.0 / self.asked.rate, len(self.notes.sent)
        if planned * period <= now:
            self.notes.wake_at.append(now)
            self.notes.wake_lag_ms.append((now - planned * period) * 1e3)
        horizon = min(now, self.asked.duration)
        while planned * period <= horizon and not self.stopped.is_set():
            self.dispatch(self.notes.plan())
            planned += 1
        if now >= self.asked.duration:
            self.stopped.set()

    def dispatch(self, request: int) -> None:
        lane = self.idle_lane()
        if lane is not None:
            self.send(lane, request)
        elif len(self.lanes) + len(self.opening) < self.asked.connections:
            task = self.loop.create_task(self.connect(request))
            self.opening.add(task)
            task.add_done_callback(self.opened)
        else:
            self.backlog.append(request)

    def opened(self, task: asyncio.Task[None]) -> None:
        """A connection was made or refused; what waits tries again instead of timing out."""
        self.opening.discard(task)
        if self.backlog and not task.cancelled():
            self.dispatch(self.backlog.popleft())

    def idle_lane(self) -> Lane | None:
        while self.ready:
            lane = self.ready.popleft()
            if lane.usable:
                return lane
        return None

    def send(self, lane: Lane, request: int) -> None:
        now = time.monotonic()
        self.notes.sent[request] = now - self.start
        lane.send(request, now)

    async def connect(self, request: int | None) -> None:
        """Open a lane; a request that waited for it fails when nobody accepts."""
        lane = Lane(self.exchange, self)
        try:
            opening = self.loop.create_connection(lambda: lane, self.asked.host, self.asked.port)
            await asyncio.wait_for(opening, self.asked.timeout)
        except (OSError, TimeoutError) as error:
            if request is not None:
                self.notes.sent[request] = time.monotonic() - self.start
                self.report(request, _connect_failure(error), "")
            return
        if lane.usable:
            self.lanes.add(lane)
            self.freed(lane, request)
        elif request is not None:
            self.report(request, "reset", "")

    # ---- told by the lanes

    def freed(self, lane: Lane, first: int | None = None) -> None:
        """The lane may take the next request: ``first``, the oldest that waits, or none yet."""
        if first is not None:
            self.send(lane, first)
        elif self.backlog:
            self.send(lane, self.backlog.popleft())
        else:
            self.ready.append(lane)

    def gone(self, lane: Lane) -> None:
        self.lanes.discard(lane)
        if lane in self.ready:
            self.ready.remove(lane)
        if self.backlog:
            self.dispatch(self.backlog.popleft())

    def report(self, request: int, kind: str, who: str) -> None:
        self.notes.settle(request, time.monotonic() - self.start, kind, who)

    # ---- deadlines and the pulse

    async def sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now, limit = time.monotonic(), self.asked.timeout
            for lane in tuple(self.lanes):
                if lane.request is not None and now - lane.since > limit:
                    lane.give_up("timeout")
            while self.backlog and self.waited(self.backlog[0], now) > limit:
                self.report(self.backlog.popleft(), "timeout", "")
            if now - self.pulse_at >= PULSE_S:
                self.pulse(now)

    def waited(self, request: int, now: float) -> float:
        return now - self.start - request / float(self.asked.rate)

    def pulse(self, now: float) -> None:
        """Numbers of the interval before the last one: by now nearly all of it was answered."""
        notes = self.notes
        begin, end, self.pulse_from = *self.pulse_from, (self.pulse_from[1], len(notes.sent))
        seconds, self.pulse_s, self.pulse_at = self.pulse_s, now - self.pulse_at, now
        done = np.array(notes.done[begin:end])
        took = (done - np.arange(begin, end) / self.asked.rate) * 1e3
        took = took[~np.isnan(took)]
        who = Counter(notes.who[begin:end])
        says = {
            "at": round(now - self.start, 3),
            "requests": len(notes.sent),
            "failed": sum(n for kind, n in notes.totals.items() if kind != OK),
            "rate": round(len(done) / seconds) if seconds else 0,
            "rows": self.asked.rows,
            "p99_ms": round(float(np.percentile(took, 99)), 3) if len(took) else None,
            "versions": {v: who[i] for v, i in notes.versions.items() if v and who[i]},
            "lag_ms": round(max(notes.wake_lag_ms[-200:], default=0.0), 3),
        }
        print(json.dumps(says), flush=True)

    # ---- the end

    def record(self) -> Record:
        notes = self.notes
        asked = {k: v for k, v in vars(self.asked).items() if isinstance(v, (int, float, str))}
        asked.pop("body", None)
        stride = max(1, len(notes.wake_at) // WAKES_MAX)
        facts = {
            "loop": type(self.loop).__module__.split(".")[0],
            "wake_at": list(notes.wake_at[::stride]),
            "wake_lag_ms": worst_of_each(notes.wake_lag_ms, stride),
        }
        return Record(
            start=self.start,
            intended=np.arange(len(notes.sent)) / self.asked.rate,
            sent=np.array(notes.sent),
            done=np.array(notes.done),
            kind=np.array(notes.kind, dtype=np.uint8),
            who=np.array(notes.who, dtype=np.uint8),
            kinds=tuple(notes.kinds),
            versions=tuple(notes.versions),
            plan=asked,
            facts=facts,
        )


def worst_of_each(lags_ms: array[float], stride: int) -> list[float]:
    """The largest of every ``stride`` lags: thinning must never lose the moment of a stall."""
    return [max(lags_ms[at : at + stride]) for at in range(0, len(lags_ms), stride)]


def _connect_failure(error: Exception) -> str:
    return "refused" if isinstance(error, ConnectionRefusedError) else "unreachable"


def exchange_of(asked: argparse.Namespace) -> Exchange:
    body = oracle.batch(asked.rows) if asked.rows else base64.b64decode(asked.body)
    versions = frozenset(v for v in asked.versions.split(",") if v)
    if asked.protocol == "tcp":
        return Exchange(body, "tcp", until=asked.until.encode().decode("unicode_escape").encode())
    head = f"{asked.method} {asked.path} HTTP/1.1\r\nhost: {asked.host}:{asked.port}\r\n"
    length = f"content-length: {len(body)}\r\n" if body or asked.method == "POST" else ""
    payload = (head + length + "\r\n").encode() + body
    if not asked.rows:
        return Exchange(payload, versions=versions)
    right, right_else = oracle.answers(asked.rows)
    return Exchange(
        payload, answer_bytes=asked.rows, versions=versions, right=right, right_else=right_else
    )


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m holdfast.drills.load")
    option = parser.add_argument
    option("--host", default="127.0.0.1")
    option("--port", type=int, required=True)
    option("--rate", type=float, default=1000.0, help="requests per second")
    option("--duration", type=float, default=86_400.0, help="seconds; stdin may end it earlier")
    option("--connections", type=int, default=32)
    option("--timeout", type=float, default=2.0, help="seconds for one request")
    option("--rows", type=int, default=0, help="batch size for the trading engine; 0: use --body")
    option("--body", default="", help="base64")
    option("--method", default="POST")
    option("--path", default="/decide")
    option("--protocol", choices=("http1", "tcp"), default="http1")
    option("--until", default="\\r\\n", help="tcp: what an answer ends with")
    option("--versions", default="", help="who may answer, separated by commas")
    option("--out", default="", help="file for all requests")
    return parser.parse_args(argv)


async def listen_for_stop(generator: Generator) -> None:
    """A line or the end of stdin stops the run: so a dead parent never leaves a generator."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.readline()
    generator.stopped.set()


async def drive(asked: argparse.Namespace) -> Record:
    generator = Generator(asked, exchange_of(asked))
    stopper = asyncio.create_task(listen_for_stop(generator))
    try:
        return await generator.run()
    finally:
        stopper.cancel()


def main(argv: list[str] | None = None) -> int:
    asked = parse(argv)
    try:
        import uvloop
    except ImportError:
        record = asyncio.run(drive(asked))
    else:
        record = uvloop.run(drive(asked))
    if asked.out:
        record.save(Path(asked.out))
    print(json.dumps({"summary": record.summary()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
