"""A real conductor that rolls a service out on a real API server, with the rig around it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.conductor.station import Ask, Outcome, Station
from holdfast.conductor.wiring import Conductor
from holdfast.rollout.model import Ending
from holdfast.runtime.home import Home
from holdfast.spec.load import load_text
from holdfast.spec.model import Service
from kubernetes_rig.api_server import Server
from kubernetes_rig.controllers import until
from kubernetes_rig.crds import serve
from kubernetes_rig.faulty import FaultyProxy
from kubernetes_rig.following import together
from kubernetes_rig.gateway import GatewayController
from kubernetes_rig.nodes import NodeAgent
from kubernetes_rig.observer import Observer

NODES = ("node-a", "node-b", "node-c")
GATEWAY_KINDS = {
    f"gateway.networking.k8s.io/v1/{kind}": True for kind in ("HTTPRoute", "GRPCRoute", "Gateway")
}


@dataclass
class Stage:
    """One service in a namespace of its own."""

    name: str
    folder: Path
    proxy: FaultyProxy
    agent: NodeAgent
    gateway: GatewayController
    observer: Observer
    rollout: str = "rolling"
    replicas: int = 3
    more: str = ""  # of the spec
    _texts: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        return Home(self.folder / ".holdfast")

    @property
    def server(self) -> Server:
        return self.agent.server

    def spec(self, version: str, **changes: object) -> str:
        """The text of ``holdfast.yaml``."""
        replicas = changes.get("replicas", self.replicas)
        rollout = changes.get("rollout", self.rollout)
        return (
            f"service: {self.name}\nversion: {version}\ntarget: kubernetes\n"
            f"run: python shop.py\nreplicas: {replicas}\nrollout: {rollout}\n"
            f"image: {{repository: registry.example.com/shop}}\n{self.more}"
        )

    @asynccontextmanager
    async def conducted(self) -> AsyncIterator[Conductor]:
        """A conductor on this machine, reaching the cluster through the proxy."""
        conductor = await Conductor.open(self.home)
        try:
            yield conductor
        finally:
            await conductor.close()

    async def deploy(self, conductor: Conductor, version: str, **changes: object) -> Outcome:
        text = self.spec(version, **changes)
        station = await conductor.station_for(self.service(version, **changes), "tests")
        path = str(self.folder / "holdfast.yaml")
        return await station.deploy(Ask(self.service(version, **changes), text, path, "tests"))

    def service(self, version: str, **changes: object) -> Service:
        return load_text(self.spec(version, **changes))

    async def deployed(self, conductor: Conductor, version: str, **changes: object) -> Station:
        """Deploys and waits until it is promoted."""
        await self.deploy(conductor, version, **changes)
        station = conductor.stations[self.name]
        await self.ended(station, Ending.PROMOTED)
        return station

    async def ended(self, station: Station, how: Ending, within: float = 60.0) -> None:
        def over() -> bool:
            last = station.state.rollout
            return last is not None and not last.live and last.ending is how

        await self.comes(over, lambda: f"{how}: {station.state.rollout}, {held(station)}", within)

    async def comes(
        self, true: Callable[[], object], what: Callable[[], str], within: float = 60.0
    ) -> None:
        end = time.monotonic() + within
        while not true():
            assert time.monotonic() < end, what()
            await asyncio.sleep(0.005)

    def run(self, story: Callable[[Conductor], object]) -> object:
        """``story`` with a conductor."""

        async def told() -> object:
            async with self.conducted() as conductor:
                return await story(conductor)  # type: ignore[misc]

        return asyncio.run(told())


def held(station: Station) -> list[str]:
    """What the service waits for, in words."""
    return [f"{hold.code}: {hold.detail}" for hold in station.post.holds] + [str(station.trouble)]


@contextmanager
def stage(server: Server, folder: Path, name: str) -> Iterator[Stage]:
    """Everything around one service; its namespace is named like it."""
    serve(server, GATEWAY_KINDS)
    for kind, inner in (("Namespace", name), ("ServiceAccount", "default")):
        place = {} if kind == "Namespace" else {"namespace": name}
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": inner, **place}}
        server.apply(body, dry=False)
    proxy, agent = FaultyProxy(server), NodeAgent(server, name, places=NODES)
    gateway, observer = GatewayController(server, name), Observer(server, name)
    with together(proxy, agent, gateway, observer):
        until(lambda: proxy.port, "the proxy listens", within=10)
        before = os.environ.get("KUBECONFIG")
        os.environ["KUBECONFIG"] = str(server.kubeconfig(folder, proxy.url))
        try:
            yield Stage(name, folder, proxy, agent, gateway, observer)
        finally:
            os.environ.pop("KUBECONFIG")
            if before is not None:
                os.environ["KUBECONFIG"] = before
            with contextlib.suppress(Exception):
                server.ask("DELETE", f"/api/v1/namespaces/{name}")
