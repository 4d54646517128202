"""A region where Flagger owns the routes: the region's overlay without what Flagger makes itself.

Flagger makes Services, routes and a second fleet. What it tells the fleets apart by is a label of
its own here, so that budgets, network policies and monitors choose both by the name. A Deployment's
selector cannot be changed: going over to Flagger or back makes it anew.
Source: Flagger v1.44, ``pkg/canary``, ``pkg/router``; kustomize, ``$patch: delete``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from holdfast.artifacts import calls, names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery import flagger
from holdfast.artifacts.delivery.objects import FLAGGER, FLAGGER_OVERLAYS, owned
from holdfast.spec.model import Service

#: The label whose value Flagger changes on the pods of the serving fleet.
FLEET = "holdfast.dev/fleet"
_ISTIO = "networking.istio.io/v1"
_GATEWAY = "gateway.networking.k8s.io/v1"
_DOORS = ("kubernetes.mesh", "kubernetes.ingress")
_WHETHER = ("kubernetes.workload", "rollout.strategy")
_KEYS = ("service", "kubernetes.namespace", *_DOORS, *_WHETHER)


def render(service: Service) -> Iterable[Artifact]:
    if not flagger.possible(service):
        return
    rules = _ruled(service)
    if rules:
        yield Artifact(
            f"{FLAGGER}/destinationrules.yaml", rules,
            "Breakers, balance and ejection for both fleets.",
            (*_KEYS, *calls.POLICY_KEYS[1:]), ("T43", "T72"),
        )  # fmt: skip
    files = ("canary.yaml", "metrictemplates.yaml", *(["destinationrules.yaml"] if rules else []))
    yield Artifact(
        f"{FLAGGER}/kustomization.yaml", _kustomization([*files]),
        "What Flagger reads, for the overlays of regions.", (*_DOORS, *_WHETHER), ("T72",),
    )  # fmt: skip
    for region in service.regions:
        yield Artifact(
            f"{FLAGGER_OVERLAYS}/{region.name}/kustomization.yaml",
            _kustomization([f"../../../../kubernetes/overlays/{region.name}", "../../base"])
            | {"patches": list(_patches(service))},
            f"The service in {region.name} where Flagger owns its routes.",
            (*_KEYS, "traffic.protocol", "regions"), ("T72", "T73"),
        )  # fmt: skip


def _kustomization(resources: list[str]) -> Object:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    }


def _ruled(service: Service) -> list[Object]:
    """Flagger makes rules where it routes by Istio; by the Gateway API it knows of none."""
    if service.kubernetes.mesh != "istio" or flagger.provider(service) == "istio":
        return []
    return [_rule(service, f"{service.service}-{fleet}") for fleet in ("primary", "canary")]


def _rule(service: Service, name: str) -> Object:
    place = names.namespace(service)
    spec = {"host": f"{name}.{place}.svc.cluster.local", "trafficPolicy": calls.policy(service)}
    return owned(service, f"{_ISTIO}/DestinationRule", name, place, spec=spec)


def _patches(service: Service) -> Iterator[Object]:
    for version, kind in _made_by_flagger(service):
        gone = {"$patch": "delete", "apiVersion": version, "kind": kind}
        named = {"name": service.service, "namespace": names.namespace(service)}
        yield {"patch": json.dumps({**gone, "metadata": named}, indent=1)}
    daemon = service.kubernetes.workload == "daemon"
    yield _patch(service, "DaemonSet" if daemon else "Deployment", _told_apart(service))
    if flagger.provider(service) == "traefik":
        weighted = [{"kind": "TraefikService", "name": service.service}]
        yield _patch(service, "IngressRoute", [_put("replace", _TRAEFIK, weighted)])


_TRAEFIK = "/spec/routes/0/services"


def _made_by_flagger(service: Service) -> Iterator[tuple[str, str]]:
    yield "v1", "Service"
    if service.kubernetes.mesh == "istio":
        yield from ((_ISTIO, kind) for kind in ("VirtualService", "DestinationRule"))
    if service.kubernetes.ingress == "gateway":
        grpc = service.traffic.protocol == "grpc"
        yield _GATEWAY, "GRPCRoute" if grpc else "HTTPRoute"


def _told_apart(service: Service) -> list[Object]:
    label = FLEET.replace("/", "~1")
    places = ("/spec/selector/matchLabels", "/spec/template/metadata/labels")
    return [_put("add", f"{place}/{label}", service.service) for place in places]


def _put(operation: str, path: str, value: object) -> Object:
    return {"op": operation, "path": path, "value": value}


def _patch(service: Service, kind: str, changes: list[Object]) -> Object:
    target = {"kind": kind, "name": service.service}
    return {"target": target, "patch": json.dumps(changes, indent=1)}
