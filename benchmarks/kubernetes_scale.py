"""500 services with 5,000 pods on Kubernetes in one conductor process: memory, lag, API calls.

Every service has its own ``Post`` and its own ``KubernetesTarget`` (the production ones) and
speaks HTTP to a simulated API server with controllers, nodes and a gateway; those live in a process
of their own, so that memory and lag are the conductor's. What differs from a cluster: there is no
TLS, and each service has a server, and so a client, of its own. A share rolls out meanwhile.

    python benchmarks/kubernetes_scale.py --services 500 --replicas 10 --json out.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from simulated_scale import heartbeat
from telling import told

from holdfast.conductor.conduct import Means, Post
from holdfast.conductor.journal import MemoryJournal
from holdfast.rollout.commands import Deploy
from holdfast.rollout.model import Release
from holdfast.rollout.plan import plan_rollout
from holdfast.runtime.clock import LoopClock
from holdfast.spec.load import load_text
from holdfast.targets.base import Bundle
from holdfast.targets.kubernetes.clients import Clients
from holdfast.targets.kubernetes.credentials import Fixed
from holdfast.targets.kubernetes.kubeconfig import Cluster, Trust
from holdfast.targets.kubernetes.target import Access, KubernetesTarget
from holdfast.telemetry.gauge import Gauge

TESTS = Path(__file__).resolve().parent.parent / "tests"
MEMORY_MAX_MIB = 300  # five watches for each service cost 0.4 MiB: about 550 services fit
LAG_MAX_S = 1.0
CALLS_PER_INSTANCE_MAX = 4  # of one rolling rollout: sizes of two fleets, and a share of the rest
CALLS_MAX = 20  # besides: preparation, route, lease
FILES = 20_000


class Seat:
    """One service: its target, its journal and its post."""

    def __init__(self, number: int, replicas: int, url: str) -> None:
        clock, name = LoopClock(), f"service-{number}"
        self.service = load_text(
            "image: {repository: registry.example.com/app}\n"
            f"service: {name}\nrun: python app.py\ntarget: kubernetes\nreplicas: {replicas}\n"
            "rollout: {strategy: rolling, max_surge: 2, max_unavailable: 0, drain: 0s}\n"
        )
        there = Cluster(url, "bench", name, Trust(), Fixed({}))
        clients = Clients(clock, lambda _: there)
        self.target = KubernetesTarget(Access("bench", clients), clock)
        gauge = Gauge(self.target.counters, clock)
        self.post = Post(name, Means(MemoryJournal(), self.target, gauge, clock), 1, "bench")
        self.target.watch(self.post.nudge)

    async def deploy(self, version: str) -> None:
        release = Release(version, version * 32, version)
        await self.target.prepare(Bundle(release, self.service))
        plan = plan_rollout(self.service, self.post.state.stable, release, f"r-{version}")
        await self.post.command(Deploy(plan, "bench"))

    def serves(self, version: str) -> bool:
        stable, running = self.post.state.stable, self.post.state.running
        return stable is not None and stable.version == version and running is None


async def simulate(services: int) -> None:
    """The other process: a simulated cluster for each service, until its input ends."""
    sys.path.insert(0, str(TESTS))
    from kubernetes_simulated import cluster

    async with AsyncExitStack() as stack:
        urls = []
        for _ in range(services):
            there = await stack.enter_async_context(cluster.running(cluster.Cluster()))
            urls.append(there.server.url)
        print(json.dumps(urls), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def until_all(seats: list[Seat], version: str, within: float) -> float:
    began = time.monotonic()
    while not all(seat.serves(version) for seat in seats) and time.monotonic() - began < within:
        await asyncio.sleep(0.2)
    return time.monotonic() - began


async def measure(ask: argparse.Namespace, urls: list[str]) -> dict[str, object]:
    seats = [Seat(number, ask.replicas, url) for number, url in enumerate(urls)]
    tasks = [asyncio.create_task(seat.post.run()) for seat in seats]
    for begun in range(0, len(seats), 50):  # nobody deploys everything in one moment
        await asyncio.gather(*(seat.deploy("v1") for seat in seats[begun : begun + 50]))
    first_s = await until_all(seats, "v1", 600)
    rolling, lags = seats[: ask.rolling], list[float]()
    before = [sum(seat.target.calls.values()) for seat in rolling]
    idle = [sum(seat.target.calls.values()) for seat in seats[ask.rolling :]]
    tasks.append(asyncio.create_task(heartbeat(lags)))
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(seat.deploy("v2") for seat in rolling))
    rollout_s = await until_all(rolling, "v2", 300)
    await asyncio.sleep(max(0.0, ask.seconds - rollout_s))
    seconds = time.monotonic() - began
    cpu = time.process_time() - cpu
    calls = sorted(
        sum(seat.target.calls.values()) - was for seat, was in zip(rolling, before, strict=True)
    )
    resting = sum(sum(seat.target.calls.values()) for seat in seats[ask.rolling :]) - sum(idle)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(seat.target.aclose() for seat in seats))
    lags.sort()
    bound = CALLS_MAX + CALLS_PER_INSTANCE_MAX * ask.replicas
    found = {
        "services": len(seats),
        "pods": len(seats) * ask.replicas,
        "serving": sum(seat.post.state.stable is not None for seat in seats),
        "rolled_out": sum(seat.serves("v2") for seat in rolling),
        "first_rollouts_s": round(first_s, 1),
        "rollouts_s": round(rollout_s, 1),
        "calls_per_rollout_median": calls[len(calls) // 2],
        "calls_per_rollout_max": calls[-1],
        "calls_per_s_of_a_resting_service": round(
            resting / seconds / max(1, len(seats) - ask.rolling), 3
        ),
        "cpu_share": round(cpu / seconds, 3),
        "memory_mib": round(memory, 1),
        "lag_p50_s": round(lags[len(lags) // 2], 4),
        "lag_p99_s": round(lags[int(0.99 * len(lags))], 4),
        "lag_max_s": round(lags[-1], 4),
        "load_average": os.getloadavg()[0],
        "bounds": {"memory_mib": MEMORY_MAX_MIB, "lag_p99_s": LAG_MAX_S, "calls": bound},
    }
    whole = found["serving"] == len(seats) and found["rolled_out"] == ask.rolling
    quick = lags[int(0.99 * len(lags))] < LAG_MAX_S
    return found | {"holds": whole and quick and memory < MEMORY_MAX_MIB and calls[-1] <= bound}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=500)
    parser.add_argument("--replicas", type=int, default=10)
    parser.add_argument("--rolling", type=int, default=20, help="so many roll out meanwhile")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", help="write the result here as well")
    parser.add_argument("--simulate", action="store_true", help=argparse.SUPPRESS)
    ask = parser.parse_args()
    logging.disable(logging.ERROR)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    if ask.simulate:
        asyncio.run(simulate(ask.services))
        return 0
    command = [sys.executable, __file__, "--simulate", "--services", str(ask.services)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        urls = json.loads(other.stdout.readline())
        result = asyncio.run(measure(ask, urls))
        other.kill()
    return told(result, ask.json)


if __name__ == "__main__":
    sys.exit(main())
