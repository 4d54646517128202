"""1,000 services in one conductor process: how much memory, and how late does a turn come?

Every service has its own ``Post`` (the production one) and its own simulated world, on an
ordinary event loop in real time; a share of them rolls out a new release meanwhile. Lag is how
much later than planned a timer of the loop fires: what every turn would wait.

    python benchmarks/simulated_scale.py --services 1000 --seconds 20 --json out.json
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import sys
import time

from telling import told

from holdfast.conductor.conduct import Means, Post
from holdfast.conductor.journal import MemoryJournal
from holdfast.rollout.commands import Deploy
from holdfast.rollout.model import Release
from holdfast.rollout.plan import plan_rollout
from holdfast.runtime.clock import LoopClock
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle
from holdfast.targets.simulated import Behaviour, Traffic, World
from holdfast.targets.simulated.behaviour import Cast
from holdfast.telemetry.gauge import Gauge

MEMORY_MAX_MIB = 300
LAG_MAX_S = 1.0
HEARTBEAT_S = 0.01
BEHAVIOUR = Behaviour(start_s=0.2)
SERVICE = Service.model_validate(
    {"service": "s", "run": "simulated", "replicas": 3, "rollout": {"strategy": "canary"}}
)


class Seat:
    """One service: its world, its journal and its post."""

    def __init__(self, number: int) -> None:
        clock, name = LoopClock(), f"service-{number}"
        cast = Cast((("v1", BEHAVIOUR), ("v2", BEHAVIOUR)))
        self.world = World(clock, number, service=SERVICE, cast=cast, traffic=Traffic(500.0))
        gauge = Gauge(self.world.counters, clock)
        self.post = Post(name, Means(MemoryJournal(), self.world, gauge, clock), 1, "bench")

    async def deploy(self, version: str) -> None:
        release = Release(version, version * 32, version)
        await self.world.prepare(Bundle(release, SERVICE))
        plan = plan_rollout(SERVICE, self.post.state.stable, release, f"r-{version}")
        await self.post.command(Deploy(plan, "bench"))


async def heartbeat(lags: list[float]) -> None:
    while True:
        due = time.monotonic() + HEARTBEAT_S
        await asyncio.sleep(HEARTBEAT_S)
        lags.append(time.monotonic() - due)


async def measure(services: int, rolling: int, seconds: float) -> dict[str, object]:
    seats = [Seat(number) for number in range(services)]
    tasks = [asyncio.create_task(seat.post.run()) for seat in seats]
    turns = [0]
    for seat in seats:
        seat.post.watchers.decisions.append(lambda *_: turns.__setitem__(0, turns[0] + 1))
    for seat in seats:
        await seat.deploy("v1")
    began = time.monotonic()
    while any(s.post.state.stable is None for s in seats) and time.monotonic() - began < 120:
        await asyncio.sleep(0.2)
    whole_s = time.monotonic() - began
    lags: list[float] = []
    tasks.append(asyncio.create_task(heartbeat(lags)))
    turns[0], cpu = 0, time.process_time()
    for seat in seats[:rolling]:
        await seat.deploy("v2")
    await asyncio.sleep(seconds)
    cpu = time.process_time() - cpu
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    lags.sort()
    serving = sum(seat.post.state.stable is not None for seat in seats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    p99 = lags[int(0.99 * len(lags))]
    return {
        "services": services,
        "rolling": rolling,
        "serving": serving,
        "first_rollouts_s": round(whole_s, 2),
        "turns_per_s": round(turns[0] / seconds, 1),
        "cpu_share": round(cpu / seconds, 3),
        "memory_mib": round(peak, 1),
        "lag_p50_s": round(lags[len(lags) // 2], 4),
        "lag_p99_s": round(p99, 4),
        "lag_max_s": round(lags[-1], 4),
        "holds": serving == services and peak < MEMORY_MAX_MIB and p99 < LAG_MAX_S,
        "bounds": {"memory_mib": MEMORY_MAX_MIB, "lag_p99_s": LAG_MAX_S},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rolling", type=int, default=50, help="so many roll out meanwhile")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", help="write the result here as well")
    ask = parser.parse_args()
    logging.disable(logging.WARNING)
    result = asyncio.run(measure(ask.services, ask.rolling, ask.seconds))
    return told(result, ask.json)


if __name__ == "__main__":
    sys.exit(main())
