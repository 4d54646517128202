"""How traffic is shared between releases: three ways, each as data. Pure.

``gateway``: weights of an HTTPRoute (GRPCRoute), which count once every parent says that it has
accepted this very generation (Gateway API v1, RouteParentStatus). ``istio``: weights of a
VirtualService; where Istio reports a status it must be reconciled, and where it reports none what
is stored counts. ``service``: the selector of the Service: one release alone, or all of them by
the number of their instances; it counts once the EndpointSlices have followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from holdfast.artifacts import names
from holdfast.artifacts.kubernetes.mesh import traffic as mesh
from holdfast.spec.model import Service
from holdfast.targets.kubernetes import kinds
from holdfast.targets.kubernetes.kinds import Kind, Object, condition, labels
from holdfast.targets.kubernetes.marks import (
    BEFORE,
    GENERATION,
    HASH,
    WEIGHTS,
    Weights,
    hashed,
    object_name,
    read,
    written,
)
from holdfast.targets.kubernetes.seen import addressed, slices_of
from holdfast.targets.kubernetes.wanted import gateway_route, in_mesh, main_address

Shares = Mapping[str, int]  # percent by the hash of the release


@dataclass(frozen=True, slots=True)
class Way:
    """Where the weights of a service are written."""

    name: Literal["gateway", "istio", "service"]
    kind: Kind
    service: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is noted beside weights: whose they are, and what was acknowledged before them."""

    generation: int
    before: Weights


def way_of(spec: Service) -> Way:
    kind = {"istio": kinds.VIRTUAL_SERVICE, "service": kinds.SERVICE}.get(spec.kubernetes.steer)
    if kind is None:
        kind = kinds.GRPC_ROUTE if spec.traffic.protocol == "grpc" else kinds.HTTP_ROUTE
    return Way(spec.kubernetes.steer, kind, spec.service)


# ---- written


def route(spec: Service, weights: Weights, stamp: Stamp) -> Object:
    """The object that sends traffic by ``weights``."""
    made = {"gateway": _gateway, "istio": _istio, "service": _selector}[spec.kubernetes.steer](
        spec, weights
    )
    noted = made["metadata"].setdefault("annotations", {})
    noted |= {WEIGHTS: written(weights), BEFORE: written(stamp.before)}
    noted[GENERATION] = str(stamp.generation)
    return made


def heaviest(weights: Weights) -> str:
    """The release that callers of the plain Service get: the one with the most traffic."""
    return max(weights, key=lambda each: each[1])[0]


def _gateway(spec: Service, weights: Weights) -> Object:
    made = gateway_route(spec)
    backends = [
        {
            "name": object_name(spec.service, release),
            "port": spec.traffic.port,
            "weight": weight,
        }
        for release, weight in weights
        if weight
    ]
    for rule in made["spec"]["rules"]:
        if "backendRefs" in rule:
            rule["backendRefs"] = backends
    return made


def _istio(spec: Service, weights: Weights) -> Object:
    rendered = [each for artifact in mesh.render(in_mesh(spec)) for each in artifact.objects()]
    made: Object = next(each for each in rendered if each["kind"] == "VirtualService")
    shares = [
        {"destination": _destination(spec, release), "weight": weight}
        for release, weight in weights
        if weight
    ]
    for kind in ("http", "tcp"):
        for rule in made["spec"].get(kind, ()):
            rule["route"] = shares
    return made


def _destination(spec: Service, release: str) -> Object:
    space = names.namespace(spec)
    host = f"{object_name(spec.service, release)}.{space}.svc.cluster.local"
    return {"host": host, "port": {"number": spec.traffic.port}}


def _selector(spec: Service, weights: Weights) -> Object:
    made = main_address(spec)
    carrying = [release for release, weight in weights if weight]
    if len(carrying) == 1:
        made["spec"]["selector"] |= {HASH: hashed(carrying[0])}
    return made


# ---- read


def shares(way: Way, found: Object) -> Shares:
    """The weights that an object has now, whoever wrote them."""
    if way.name == "service":
        return _selected(found)
    backends = _backends(found) if way.name == "gateway" else _destinations(found)
    prefix = f"{way.service}-"
    counted = [(name.removeprefix(prefix), weight) for name, weight in backends if weight]
    total = sum(weight for _, weight in counted)
    return {name: _percent(weight, total) for name, weight in counted}


def _percent(weight: int, total: int) -> int:
    return weight if total == 100 else round(100 * weight / total)


def _selected(found: Object) -> Shares:
    """A selector that names no release means what was ordered: it knows no weights."""
    chosen = (found.get("spec", {}).get("selector") or {}).get(HASH)
    if chosen is not None:
        return {str(chosen): 100}
    ordered = {hashed(release): weight for release, weight in read(found, WEIGHTS)}
    return ordered if len(ordered) != 1 else {"every release": 100}


def _backends(found: Object) -> Iterable[tuple[str, int]]:
    rules = [rule for rule in found.get("spec", {}).get("rules") or () if rule.get("backendRefs")]
    for backend in rules[0]["backendRefs"] if rules else ():
        yield str(backend.get("name", "")), int(backend.get("weight", 1))


def _destinations(found: Object) -> Iterable[tuple[str, int]]:
    spec = found.get("spec", {})
    rules = [*(spec.get("http") or ()), *(spec.get("tcp") or ())]
    for share in rules[0].get("route") or () if rules else ():
        host = str((share.get("destination") or {}).get("host", ""))
        yield host.partition(".")[0], int(share.get("weight", 100))


def programmed(way: Way, found: Object, slices: Iterable[Object], leaving: frozenset[str]) -> bool:
    """Whether the data plane has said that it does what the object says.

    ``leaving``: names of pods on their way out, which a slice may still name.
    """
    if way.name == "gateway":
        return _accepted(found)
    if way.name == "istio":
        return _reconciled(found)
    return _followed(way, found, slices, leaving)


def refusal(way: Way, found: Object) -> str | None:
    """Why the data plane does not take the present generation; None while it has not said no."""
    for parent in _parents(found) if way.name == "gateway" else ():
        for said in parent.get("conditions") or ():
            wanted = said.get("type") in _MUST and _is_current(said, found)
            if wanted and said.get("status") == "False":
                return f"{said.get('reason')}: {said.get('message') or said.get('type')}"
    return None


#: A route may be accepted and yet point at a Service that does not exist.
_MUST = ("Accepted", "ResolvedRefs")


def _accepted(found: Object) -> bool:
    parents = _parents(found)
    wanted = len(found.get("spec", {}).get("parentRefs") or ())
    return len(parents) >= max(1, wanted) and all(_holds(each, found) for each in parents)


def _parents(found: Object) -> list[Object]:
    return (found.get("status") or {}).get("parents") or []


def _holds(parent: Object, found: Object) -> bool:
    said = {each.get("type"): each for each in parent.get("conditions") or ()}
    must = [said.get(kind, {}) for kind in _MUST]
    programmed = said.get("Programmed")  # some controllers say this of routes, too
    must += [programmed] if programmed else []
    return all(each.get("status") == "True" and _is_current(each, found) for each in must)


def _is_current(said: Object, found: Object) -> bool:
    return int(said.get("observedGeneration") or 0) >= int(found["metadata"].get("generation") or 0)


def _reconciled(found: Object) -> bool:
    status = found.get("status") or {}
    if not status.get("conditions"):
        return True
    observed = int(status.get("observedGeneration") or 0)
    current = observed >= int(found["metadata"].get("generation") or 0)
    return current and condition(found, "Reconciled").get("status") == "True"


def _followed(way: Way, found: Object, slices: Iterable[Object], leaving: frozenset[str]) -> bool:
    """Everybody the Service sends traffic to is of a release that shall have some."""
    carrying = {hashed(release) for release, weight in read(found, WEIGHTS) if weight}
    named = [(each, labels(each)) for each in slices_of(slices, way.service)]
    served = {pod for each, _ in named for pod in addressed(each)} - leaving
    hashes = {pod.removeprefix(f"{way.service}-").partition("-")[0] for pod in served}
    return hashes == carrying
