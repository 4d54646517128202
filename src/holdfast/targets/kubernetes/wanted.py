"""The objects of a release and of its service, from what ``artifacts`` renders. Pure.

A Deployment and a Service for each release; one Service, one door and one route for all of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.kubernetes import account, gateway, priority, service, workload
from holdfast.artifacts.kubernetes.mesh import traffic as mesh
from holdfast.rollout.model import Release
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle
from holdfast.targets.kubernetes.kinds import Object, name_of
from holdfast.targets.kubernetes.marks import GENERATION, HASH, RELEASE, SIZE, hashed, object_name


def deployment(bundle: Bundle, size: int, generation: int, replicas: int | None = None) -> Object:
    """The instances of one release. Their template is written once and never again."""
    made = workload.deployment(_versioned(bundle))
    _mark(made, bundle.release)
    made["metadata"]["name"] = object_name(bundle.service.service, bundle.release.id)
    spec, mark = made["spec"], {HASH: hashed(bundle.release.id)}
    spec["selector"] = {"matchLabels": {**spec["selector"]["matchLabels"], **mark}}
    spec["template"]["metadata"]["labels"] |= mark
    noted = spec["template"]["metadata"].setdefault("annotations", {})
    noted[RELEASE] = bundle.release.id
    return sized(made, size, generation, replicas)


def sized(found: Object, size: int, generation: int, replicas: int | None = None) -> Object:
    """The same Deployment with another size; ``replicas``: what an autoscaler makes of it."""
    changed = copy.deepcopy(found)
    noted = changed["metadata"].setdefault("annotations", {})
    noted |= {SIZE: str(size), GENERATION: str(generation)}
    changed.setdefault("spec", {})["replicas"] = size if replicas is None else replicas
    return changed


def address(bundle: Bundle) -> Object:
    """The Service of one release: what routes send its share to."""
    made = main_address(_versioned(bundle))
    _mark(made, bundle.release)
    made["metadata"]["name"] = object_name(bundle.service.service, bundle.release.id)
    made["spec"]["selector"] |= {HASH: hashed(bundle.release.id)}
    return made


def address_parts(bundle: Bundle) -> tuple[Object, ...]:
    """The Service of a release, and in Istio's hands how its instances are called: balance,
    session affinity, breakers and ejection, which Istio knows by host."""
    parts: tuple[Object, ...] = (address(bundle),)
    if bundle.service.kubernetes.steer == "istio":
        parts += (_calls(bundle),)
    return parts


def _calls(bundle: Bundle) -> Object:
    spec = bundle.service
    rendered = [each for artifact in mesh.render(in_mesh(spec)) for each in artifact.objects()]
    made = copy.deepcopy(next(each for each in rendered if each["kind"] == "DestinationRule"))
    name = object_name(spec.service, bundle.release.id)
    _mark(made, bundle.release)
    made["metadata"]["name"] = name
    made["spec"]["host"] = f"{name}.{namespace(spec)}.svc.cluster.local"
    return made


def in_mesh(spec: Service) -> Service:
    """The same service, as ``artifacts`` renders it for Istio."""
    inside = spec.kubernetes.model_copy(update={"mesh": "istio"})
    return spec.model_copy(update={"kubernetes": inside})


def main_address(spec: Service) -> Object:
    """The Service that callers inside the cluster know; whom it chooses is the route's to say."""
    rendered = next(iter(service.render(spec))).objects()[0]
    return copy.deepcopy(rendered)


def surroundings(spec: Service) -> tuple[Object, ...]:
    """What must be there before instances: made where it is missing, never changed."""
    found = [account.namespace(spec), account.account(spec)]
    found += [each for each in priority.classes(spec) if each["metadata"]["name"] == spec.service]
    return tuple(found)


def door(spec: Service) -> tuple[Object, ...]:
    """The Gateway and the redirect to it, for services that steer by the Gateway API."""
    if spec.kubernetes.steer != "gateway" or spec.kubernetes.ingress != "gateway":
        return ()
    return tuple(each for each in _gateway(spec) if not _is_route(each, spec))


def gateway_route(spec: Service) -> Object:
    """The route of the Gateway API that serves requests, as ``artifacts`` renders it."""
    listed = _gateway(_behind_gateway(spec))
    return copy.deepcopy(next(each for each in listed if _is_route(each, spec)))


def _behind_gateway(spec: Service) -> Service:
    inside = spec.kubernetes.model_copy(update={"ingress": "gateway"})
    return spec.model_copy(update={"kubernetes": inside})


def _gateway(spec: Service) -> Iterable[Object]:
    return [each for artifact in gateway.render(spec) for each in artifact.objects()]


def _is_route(found: Object, spec: Service) -> bool:
    return str(found["kind"]).endswith("Route") and name_of(found) == spec.service


def _mark(made: Object, release: Release) -> None:
    made["metadata"]["labels"] |= {HASH: hashed(release.id)}
    made["metadata"]["annotations"] = {RELEASE: release.id}


def _versioned(bundle: Bundle) -> Service:
    """A release is called by the name it was deployed under, not by what the spec says."""
    return bundle.service.model_copy(update={"version": bundle.release.version})


def namespace(spec: Service) -> str:
    return names.namespace(spec)
