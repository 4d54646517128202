"""What every target owes the conductor: one suite, run against every target.

The local target runs real processes behind a real Envoy; the simulated one runs in virtual time;
the one of Kubernetes talks to a simulated API server, which is no cluster but speaks its API.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import textwrap
from pathlib import Path

import pytest

from holdfast.rollout.model import FAILURES, FleetSeen, Release, Route, Scale
from holdfast.runtime.clock import LoopClock
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, RawCounts, Refused
from holdfast.targets.kubernetes.clients import Clients
from holdfast.targets.kubernetes.credentials import Fixed
from holdfast.targets.kubernetes.kubeconfig import Cluster as ClusterAccess
from holdfast.targets.kubernetes.kubeconfig import Trust, locate
from holdfast.targets.kubernetes.target import Access, KubernetesTarget
from holdfast.targets.local import LocalTarget
from holdfast.targets.simulated import VirtualClock, World, run_virtually
from kubernetes_rig.api_server import Refused as Exists
from kubernetes_rig.api_server import Server
from kubernetes_rig.controllers import controllers
from kubernetes_rig.crds import serve
from kubernetes_rig.gateway import GatewayController
from kubernetes_rig.nodes import CRASHES, READY, NodeAgent, add_node
from kubernetes_simulated import cluster

SERVER = """
    import http.server, os
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            body = b"ok"
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args):
            pass
    if __name__ == "__main__":
        address = ("127.0.0.1", int(os.environ["PORT"]))
        http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


class Simulated:
    """The contract's stage in virtual time."""

    def __init__(self, directory: Path) -> None:
        del directory

    def run(self, story):
        return run_virtually(story(self))

    def open(self):
        return World(VirtualClock(), "contract")

    def bundle(self, version, broken=False):
        env = {"SIMULATED_FATE": "exits-at-once"} if broken else {}
        return _bundle(version, "simulated", 8080, env=env)

    async def ask(self, times):
        await asyncio.sleep(times / 200.0 + 0.01)  # the world's traffic is 200 per second

    def clear(self):
        """Nothing outside memory."""


class Local:
    """The contract's stage with real processes."""

    start = "cold"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / ".holdfast"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (directory / "server.py").write_text(textwrap.dedent(SERVER))

    def run(self, story):
        return asyncio.run(story(self))

    def open(self):
        return LocalTarget("contract", self.home, LoopClock())

    def bundle(self, version, broken=False):
        program = "missing_module_on_purpose.py" if broken else "server.py"
        return _bundle(version, f"{sys.executable} -S {program}", self.port, start=self.start)

    async def ask(self, times):
        for _ in range(times):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert b" 200 " in await asyncio.wait_for(reader.readline(), 10)
            writer.close()

    def clear(self):
        """Envoy and every replica, by their recorded process ids."""
        root = self.home / "services" / "contract"
        for path in [*root.glob("run/*/*.json"), root / "envoy" / "process.json"]:
            with contextlib.suppress(OSError, ValueError, KeyError):
                record = json.loads(path.read_text())
                pid = record["pid"] if "pid" in record else record["identity"]["pid"]
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


class Warm(Local):
    """The same, forked from a parent that has imported the program."""

    start = "warm"


class Cluster:
    """The contract's stage in a cluster that is only an API server, simulated in this process."""

    steer = "gateway"

    def __init__(self, directory: Path) -> None:
        del directory
        self.answered = 0

    def run(self, story):
        async def inside():
            self.cluster = cluster.Cluster(fate=self.fate)
            async with cluster.running(self.cluster):
                return await story(self)

        return asyncio.run(inside())

    def fate(self, pod):
        told = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
        return cluster.CRASHES if told.get("FATE") else None

    def open(self):
        there = ClusterAccess(self.cluster.server.url, "tests", "contract", Trust(), Fixed({}))
        clients = Clients(LoopClock(), lambda _: there)
        return KubernetesTarget(Access("tests", clients, self.count), LoopClock())

    async def count(self, bundle, releases):
        return {"v1": RawCounts(self.answered, 0, 0)}

    def bundle(self, version, broken=False):
        env = {"FATE": "crashes"} if broken else {}
        return _bundle(version, "server", 8080, env=env, kubernetes={"steer": self.steer})

    async def ask(self, times):
        self.answered += times  # there is no data plane: whoever counts requests says so

    def clear(self):
        """Nothing outside memory."""


class ClusterWithIstio(Cluster):
    steer = "istio"


class ClusterWithServices(Cluster):
    """Neither a gateway nor a mesh: the Service's selector is all there is."""

    steer = "service"


class RealCluster:
    """The contract's stage over a real API server, with real controllers and no containers.

    Who asks is the cluster's administrator; a node agent says what kubelets would, and a gateway
    controller programs routes.
    """

    def __init__(self, directory: Path, server: Server) -> None:
        self.directory, self.server = directory, server
        self.space = f"contract-{next(RealCluster.numbers)}"
        self.answered = 0

    numbers = itertools.count()

    def run(self, story):
        with controllers(self.directory, self.server, scheduler=False):
            agent = NodeAgent(self.server, self.space, places=("node-a", "node-b"))
            with agent, GatewayController(self.server, self.space):
                agent.rule = lambda pod: CRASHES if self.fate(pod) else READY
                return asyncio.run(story(self))

    def fate(self, pod):
        told = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
        return told.get("FATE")

    def open(self):
        environ = {"KUBECONFIG": str(self.server.kubeconfig(self.directory))}
        clients = Clients(LoopClock(), lambda context: locate(context, environ))
        access = Access("tests", clients, self.count)
        return KubernetesTarget(access, LoopClock())

    async def count(self, bundle, releases):
        return {"v1": RawCounts(self.answered, 0, 0)}

    def bundle(self, version, broken=False):
        env = {"FATE": "crashes"} if broken else {}
        given = {"namespace": self.space, "mesh": "none"}
        return _bundle(version, "server", 8080, env=env, kubernetes=given)

    async def ask(self, times):
        self.answered += times

    def clear(self):
        """Its namespace is its own, and the server ends with the session."""


def _bundle(version, command, port, env=None, start="cold", **more):
    service = Service.model_validate(
        {
            **more,
            "service": "contract",
            "run": {"command": command, "env": env or {}, "start": start},
            "probes": {"ready": "/", "start_within": "5s"},
            "rollout": {"drain": "3s"},
            "traffic": {"port": port},
        }
    )
    return Bundle(Release(version, version.ljust(64, "0"), version), service)


@pytest.fixture(
    params=[
        Simulated,
        Cluster,
        ClusterWithIstio,
        ClusterWithServices,
        pytest.param(Local, marks=pytest.mark.live),
        pytest.param(Warm, marks=pytest.mark.live),
        pytest.param(RealCluster, marks=pytest.mark.live),
    ]
)
def stage(request, tmp_path):
    given = (tmp_path,)
    if request.param is RealCluster:
        server = request.getfixturevalue("api_server")
        serve(server, {f"gateway.networking.k8s.io/v1/{k}": True for k in ("HTTPRoute", "Gateway")})
        nodes(server)
        given = (tmp_path, server)
    built = request.param(*given)
    yield built
    built.clear()


def nodes(server):
    """Endpoints are only made of pods whose nodes exist."""
    for name in ("node-a", "node-b"):
        with contextlib.suppress(Exists):
            add_node(server, name)


async def until(target, holds, within=15.0):
    """The first look for which it holds."""
    async with asyncio.timeout(within):
        while True:
            look = await target.observe()
            if holds(look):
                return look
            await asyncio.sleep(0.05)


def fleet(look, release):
    return next((each for each in look.fleets if each.release == release), FleetSeen(release))


@contextlib.asynccontextmanager
async def serving(stage, replicas=2):
    """v1 is whole and has all traffic."""
    target = stage.open()
    try:
        await launch(target, stage.bundle("v1"), replicas)
        await route(target, ("v1", 100))
        yield target
    finally:
        await target.aclose()


async def launch(target, bundle, size, generation=1):
    await target.prepare(bundle)
    await target.perform(Scale(bundle.release.id, size, generation))
    await until(target, lambda look: fleet(look, bundle.release.id).ready == size)


async def route(target, *weights, generation=1):
    await target.perform(Route(weights, generation))
    return await until(target, lambda look: carried(look) == dict(weights))


def carried(look):
    return {release: weight for release, weight in look.weights if weight}


def test_a_fleet_grows_and_shrinks_to_the_size_it_was_told(stage):
    async def story(stage):
        async with serving(stage, 1) as target:
            for size in (3, 2):
                await target.perform(Scale("v1", size, 1))
                await until(target, lambda look, n=size: fleet(look, "v1").size == n)
            return await until(target, lambda look: fleet(look, "v1").ready == 2)

    assert fleet(stage.run(story), "v1").restarts == 0


def test_an_order_repeated_changes_nothing(stage):
    async def story(stage):
        async with serving(stage) as target:
            before = await target.observe()
            for _ in range(3):
                await target.perform(Scale("v1", 2, 1))
                await target.perform(Route((("v1", 100),), 1))
            await asyncio.sleep(0.3)
            return before, await target.observe()

    before, after = stage.run(story)
    assert (fleet(after, "v1").size, after.weights) == (fleet(before, "v1").size, before.weights)


def test_the_order_of_an_older_generation_is_refused(stage):
    async def story(stage):
        async with serving(stage) as target:
            await target.perform(Scale("v1", 2, 7))
            for stale in (Scale("v1", 5, 6), Route((("v1", 100),), 6)):
                with pytest.raises(Refused) as refused:
                    await target.perform(stale)
                assert refused.value.code == "stale-generation"
            return await target.observe()

    assert fleet(stage.run(story), "v1").size == 2


def test_a_route_is_refused_when_its_release_is_not_ready_at_the_moment_of_acting(stage):
    async def story(stage):
        async with serving(stage) as target:
            await target.prepare(stage.bundle("v2"))
            with pytest.raises(Refused) as refused:
                await target.perform(Route((("v1", 50), ("v2", 50)), 1, needs=(("v2", 1),)))
            return refused.value.code, carried(await target.observe())

    assert stage.run(story) == ("not-ready", {"v1": 100})


def test_weights_that_do_not_add_up_are_refused(stage):
    async def story(stage):
        async with serving(stage) as target:
            with pytest.raises(Refused) as refused:
                await target.perform(Route((("v1", 90),), 1))
            return refused.value.code

    assert stage.run(story) == "bad-weights"


def test_a_release_nobody_prepared_cannot_be_scaled(stage):
    async def story(stage):
        async with serving(stage) as target:
            with pytest.raises(Refused) as refused:
                await target.perform(Scale("v9", 1, 1))
            return refused.value.code

    assert stage.run(story) == "unprepared"


def test_a_fleet_with_traffic_cannot_be_retired_as_idle(stage):
    async def story(stage):
        async with serving(stage) as target:
            await launch(target, stage.bundle("v2"), 1)
            with pytest.raises(Refused) as refused:
                await target.perform(Scale("v1", 0, 1, idle=True))
            await target.perform(Scale("v2", 0, 1, idle=True))
            look = await until(target, lambda look: fleet(look, "v2").size == 0)
            return refused.value.code, fleet(look, "v1").ready

    assert stage.run(story) == ("carries-traffic", 2)


def test_weights_are_reported_as_acknowledged_and_the_old_fleet_drains_away(stage):
    async def story(stage):
        async with serving(stage) as target:
            await launch(target, stage.bundle("v2"), 2)
            half = await route(target, ("v1", 50), ("v2", 50))
            await route(target, ("v2", 100))
            await target.perform(Scale("v1", 0, 1, idle=True))
            end = await until(target, lambda look: fleet(look, "v1").size == 0)
            return carried(half), carried(end), fleet(end, "v2").ready

    assert stage.run(story) == ({"v1": 50, "v2": 50}, {"v2": 100}, 2)


def test_counters_only_grow_while_requests_are_answered(stage):
    async def story(stage):
        async with serving(stage) as target:
            seen = []
            for _ in range(3):
                await stage.ask(10)
                counts = (await target.counters())["v1"]
                seen.append((counts.requests, counts.errors))
            return seen

    seen = stage.run(story)
    assert [requests for requests, _ in seen] == sorted({requests for requests, _ in seen})
    assert seen[-1][0] >= 30 and seen[-1][1] == 0


def test_a_launch_that_fails_is_reported_with_a_code_people_can_read(stage):
    async def story(stage):
        async with serving(stage) as target:
            broken = stage.bundle("v2", broken=True)
            try:
                await target.prepare(broken)
            except Refused as refused:
                return refused.code, True
            await target.perform(Scale("v2", 1, 1))
            look = await until(target, lambda look: fleet(look, "v2").failure is not None)
            return fleet(look, "v2").failure.code, fleet(look, "v1").ready == 2

    code, unharmed = stage.run(story)
    assert code in FAILURES and unharmed
