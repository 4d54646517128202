"""Who may do what in the service's namespace. Nobody may read its Secrets, nobody may do all.

People come by groups of the identity provider, ``holdfast:SERVICE:viewers`` and ``:operators``;
the deployer is a service account whose short tokens are asked for when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import workload
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service

_GROUP = "rbac.authorization.k8s.io"
_LOOK = ("get", "list", "watch")
_CHANGE = (*_LOOK, "create", "patch")
_DEPLOYER = "deployer"
_PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}


def render(service: Service) -> Iterable[Artifact]:
    keys = ("service", "kubernetes.namespace", "kubernetes.workload")
    yield Artifact(
        f"{BASE}/access.yaml",
        [*_viewers(service), *_operators(service), *_deployer(service)],
        "What people and the deployer may do here: look, help, roll out. Nobody reads Secrets.",
        (*keys, "kubernetes.mesh", "kubernetes.ingress"),
        ("T58",),
    )
    yield Artifact(
        f"{BASE}/serviceaccount-default.yaml",
        {**namespaced(service, "v1/ServiceAccount", "default"),
         "automountServiceAccountToken": False},
        "The account of pods that name none: without a token too.",
        ("service", "kubernetes.namespace"),
        ("T59",),
    )  # fmt: skip


def _viewers(service: Service) -> list[Object]:
    rules = [
        _rule("", ("pods", "pods/log", "services", "events", "endpoints"), _LOOK),
        _rule("apps", ("deployments", "statefulsets", "daemonsets", "replicasets"), _LOOK),
        _rule("batch", ("jobs", "cronjobs"), _LOOK),
        _rule("autoscaling", ("horizontalpodautoscalers",), _LOOK),
        _rule("policy", ("poddisruptionbudgets",), _LOOK),
        _rule("discovery.k8s.io", ("endpointslices",), _LOOK),
        _rule("networking.k8s.io", ("networkpolicies", "ingresses"), _LOOK),
    ]
    return _granted(service, "viewer", rules, _people(service, "viewers", "operators"))


def _operators(service: Service) -> list[Object]:
    """Those on call: another number of instances, another start, an instance moved away."""
    scaled = _PLURALS[workload.kind(service)]
    rules = [
        _rule("apps", (scaled,), ("patch",), service.service),
        _rule("apps", (f"{scaled}/scale",), ("get", "patch"), service.service),
        _rule("", ("pods/eviction",), ("create",)),
    ]
    if scaled == "daemonsets":
        del rules[1]  # it has as many instances as there are nodes
    return _granted(service, "operator", rules, _people(service, "operators"))


def _deployer(service: Service) -> list[Object]:
    """The engine in the cluster: a fleet for each release, weights of routes, one lease."""
    name = named(service, _DEPLOYER)
    account = namespaced(service, "v1/ServiceAccount", name, "access")
    rules = [
        _rule("apps", (_PLURALS[workload.kind(service)],), (*_CHANGE, "delete")),
        _rule("", ("services",), _CHANGE),
        _rule("", ("pods",), _LOOK),
        _rule("", ("events",), ("create", "patch")),
        _rule("discovery.k8s.io", ("endpointslices",), _LOOK),
        _rule("coordination.k8s.io", ("leases",), ("create",)),
        _rule("coordination.k8s.io", ("leases",), ("get", "update", "patch"), service.service),
        *_routes(service),
    ]
    subject = {"kind": "ServiceAccount", "name": name, "namespace": _space(account)}
    granted = _granted(service, _DEPLOYER, rules, [subject])
    return [{**account, "automountServiceAccountToken": False}, *granted]


def _routes(service: Service) -> list[Object]:
    found = []
    if service.kubernetes.ingress == "gateway":
        found.append(_rule("gateway.networking.k8s.io", ("httproutes", "grpcroutes"), _CHANGE))
    if service.kubernetes.mesh == "istio":
        kinds = ("virtualservices", "destinationrules")
        found.append(_rule("networking.istio.io", kinds, _CHANGE))
    return found


def _granted(service: Service, role: str, rules: list[Object], who: list[Object]) -> list[Object]:
    name = named(service, role)
    made = namespaced(service, f"{_GROUP}/v1/Role", name, "access")
    binding = namespaced(service, f"{_GROUP}/v1/RoleBinding", name, "access")
    reference = {"apiGroup": _GROUP, "kind": "Role", "name": name}
    return [{**made, "rules": rules}, {**binding, "roleRef": reference, "subjects": who}]


def _rule(group: str, resources: Iterable[str], verbs: Iterable[str], only: str = "") -> Object:
    """``only``: the one object of these resources that may be touched."""
    found: Object = {"apiGroups": [group], "resources": list(resources)}
    return found | ({"resourceNames": [only]} if only else {}) | {"verbs": list(verbs)}


def _people(service: Service, *groups: str) -> list[Object]:
    return [
        {"apiGroup": _GROUP, "kind": "Group", "name": f"holdfast:{service.service}:{group}"}
        for group in groups
    ]


def _space(found: Object) -> str:
    space: str = found["metadata"]["namespace"]
    return space
