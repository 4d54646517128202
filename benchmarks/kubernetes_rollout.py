"""Rollouts on a real API server: how long they take, and how many requests they cost.

Real etcd, API server and controllers from ``$KUBEBUILDER_ASSETS``; nodes and gateway are those of
the tests: an instance is ready 0.3 s after it was placed, a route is programmed after 20 ms. The
conductor is the production one. Says so and ends well where there is no control plane.

    KUBEBUILDER_ASSETS=... python benchmarks/kubernetes_rollout.py --json out.json
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from telling import told

from holdfast.conductor.wiring import Conductor
from holdfast.rollout.model import Ending
from holdfast.targets.kubernetes.marks import object_name
from kubernetes_rig import api_server
from kubernetes_rig.controllers import controllers
from kubernetes_rig.nodes import nodes
from kubernetes_rig.stage import NODES, Stage, stage

REPLICAS = 10
ROLLBACK_MAX_S = 1.0
CALLS_MAX = 100  # of one rolling rollout of ten instances: each write is over a state just read
ROLLING = "{strategy: rolling, max_surge: 2, max_unavailable: 0, drain: 0s}"
WRITES = ("PATCH", "POST", "PUT", "DELETE")


async def timed(act: Callable[[], Awaitable[object]]) -> float:
    began = time.monotonic()
    await act()
    return round(time.monotonic() - began, 3)


async def rolling(shop: Stage, conductor: Conductor) -> dict[str, object]:
    shop.rollout = ROLLING
    await shop.deployed(conductor, "1.0.0")
    shop.observer.begin()
    shop.proxy.calls.clear()
    seconds = await timed(lambda: shop.deployed(conductor, "2.0.0"))
    asked = [call for call in shop.proxy.calls if call.resource != "leases"]
    return {
        "seconds": seconds,
        "fewest_ready": shop.observer.fewest_ready,
        "most_wanted": shop.observer.most_wanted,
        "calls": len(asked),
        "writes": sum(call.method in WRITES for call in asked),
    }


async def rollback(shop: Stage, conductor: Conductor) -> list[float]:
    """From the command to the moment at which the gateway has programmed the old release."""
    shop.rollout = "blue-green"
    found = []
    for turn in range(5):
        await shop.deployed(conductor, f"3.{turn}.0")
        station = conductor.stations[shop.name]
        good = station.rollback_candidate()
        assert good is not None
        wanted = {object_name(shop.name, good.release.id): 100}

        async def back(station=station, wanted=wanted) -> None:
            await station.rollback(None, "bench", False)
            await shop.comes(lambda: shop.gateway.weights() == wanted, lambda: "routed")

        found.append(await timed(back))
        await shop.ended(station, Ending.PROMOTED)
    return sorted(found)


async def story(shop: Stage) -> tuple[dict[str, object], list[float]]:
    shop.replicas = REPLICAS
    async with shop.conducted() as conductor:
        one = await rolling(shop, conductor)
        return one, await rollback(shop, conductor)


def measure() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with (
            api_server.running(folder) as server,
            nodes(server, *NODES),
            controllers(folder, server, scheduler=False),
            stage(server, folder, "app") as shop,
        ):
            one, back = asyncio.run(story(shop))
    bounds = {"rollback_s": ROLLBACK_MAX_S, "calls": CALLS_MAX, "ready": REPLICAS, "wanted": 12}
    holds = back[-1] < ROLLBACK_MAX_S and int(str(one["calls"])) <= CALLS_MAX
    holds = holds and one["fewest_ready"] == REPLICAS and one["most_wanted"] == REPLICAS + 2
    return {
        "results": {"rolling": one, "rollback_s": back},
        "load_average": os.getloadavg()[0],
        "bounds": bounds,
        "holds": holds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="write the result here as well")
    ask = parser.parse_args()
    logging.disable(logging.ERROR)
    programs = Path(os.environ.get("KUBEBUILDER_ASSETS", ""))
    if not (programs / "kube-controller-manager").is_file():
        result: dict[str, object] = {
            "results": {"skipped": "no $KUBEBUILDER_ASSETS"},
            "holds": True,
        }
    else:
        result = measure()
    return told(result, ask.json)


if __name__ == "__main__":
    sys.exit(main())
