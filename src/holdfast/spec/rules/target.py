"""Rules about the target: what ``target: kubernetes`` needs, said before it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.spec.model import Service
from holdfast.spec.rules.finding import Finding, Path

_TARGET: Path = ("target",)
_STEER: Path = ("kubernetes", "steer")


def check(service: Service) -> Iterator[Finding]:
    if service.target != "kubernetes":
        return
    yield from _image(service)
    yield from _steering(service)
    if service.kubernetes.workload != "deployment":
        path, found = ("kubernetes", "workload"), service.kubernetes.workload
        hint = "instances that keep a volume or a node are rolled out by their own controller"
        yield Finding(path, found, "deployment, as the target is kubernetes", hint, (_TARGET,))


def _image(service: Service) -> Iterator[Finding]:
    if service.image.repository is None:
        wanted = "registry and name of the image that instances run"
        path: Path = ("image", "repository")
        yield Finding(path, "nothing, with target kubernetes", wanted, also=(_TARGET,))
    elif service.image.digest is None:
        wanted = "sha256:... of what was built"
        hint = "a tag may mean another image tomorrow"
        yield Finding(("image", "digest"), "nothing", wanted, hint, (_TARGET,), breaks=False)


def _steering(service: Service) -> Iterator[Finding]:
    steer, protocol = service.kubernetes.steer, service.traffic.protocol
    if steer == "service" and service.rollout.strategy == "canary":
        wanted = "gateway or istio for a canary, or the strategy rolling or blue-green"
        hint = "the selector of a Service knows no weights"
        also: tuple[Path, ...] = (_TARGET, ("rollout", "strategy"))
        yield Finding(_STEER, "service, with a canary", wanted, hint, also)
    if steer == "gateway" and protocol == "tcp":
        hint = "weights of a TCPRoute are not stable in the Gateway API"
        also = (_TARGET, ("traffic", "protocol"))
        yield Finding(_STEER, "gateway, with tcp", "istio or service with tcp", hint, also)
