"""What the conductor may do in the cluster: each verb with what it is for, and nothing else.

It reads no Secret, makes no Role and starts no Pod by itself. A test holds the table against what
targets/kubernetes asks for, in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.installation.definition import GROUP, PLURAL

ACCOUNT = "holdfast-conductor"
_RBAC = "rbac.authorization.k8s.io/v1"
_FOLLOW = ("list", "watch")
_APPLY = ("get", "create", "patch")
_OWN = (*_FOLLOW, *_APPLY, "delete")


@dataclass(frozen=True, slots=True)
class Right:
    """``why`` is what would not work without it."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str


EVERYWHERE = (
    Right(GROUP, (PLURAL,), _FOLLOW, "what shall serve"),
    Right(GROUP, (f"{PLURAL}/status",), ("patch",), "how far it is"),
    Right("", ("events",), ("create",), "what kubectl describe shows"),
    Right("authentication.k8s.io", ("tokenreviews",), ("create",), "who calls the API"),
    Right("authorization.k8s.io", ("subjectaccessreviews",), ("create",), "what they may do"),
    Right("apps", ("deployments",), _OWN, "one Deployment a release"),
    Right("", ("services",), _OWN, "addresses of releases"),
    Right("", ("serviceaccounts",), _APPLY, "the account of its pods"),
    Right("", ("namespaces",), ("get",), "that the namespace is there"),
    Right("", ("pods",), _FOLLOW, "what starts, serves and fails"),
    Right("", ("pods/log",), ("get",), "the last words of what failed"),
    Right("discovery.k8s.io", ("endpointslices",), _FOLLOW, "who gets traffic"),
    Right("coordination.k8s.io", ("leases",), ("get", "create", "update"), "one actor a service"),
    Right("autoscaling", ("horizontalpodautoscalers",), (*_FOLLOW, *_APPLY), "size by load"),
    Right("keda.sh", ("scaledobjects",), _APPLY, "size by events, where KEDA is asked for"),
    Right("scheduling.k8s.io", ("priorityclasses",), _APPLY, "its pods' class"),
    Right("gateway.networking.k8s.io", ("gateways",), _APPLY, "its entrance"),
    Right("gateway.networking.k8s.io", ("httproutes", "grpcroutes"), _OWN, "weights"),
    Right("networking.istio.io", ("virtualservices",), _OWN, "weights where Istio is asked for"),
    Right("networking.istio.io", ("destinationrules",), (*_APPLY, "delete"), "and its versions"),
)  # fmt: skip


def objects(namespace: str) -> list[Object]:
    """Account, role and binding."""
    role = _object("ClusterRole", ACCOUNT, {})
    role["rules"] = [_rule(right) for right in EVERYWHERE]
    binding = _object("ClusterRoleBinding", ACCOUNT, {})
    binding["roleRef"] = {"apiGroup": _RBAC.partition("/")[0], "kind": "ClusterRole",
                          "name": ACCOUNT}  # fmt: skip
    binding["subjects"] = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}]
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": namespace},
    }
    return [account, role, binding]


def _rule(right: Right) -> Object:
    return {
        "apiGroups": [right.group],
        "resources": list(right.resources),
        "verbs": list(right.verbs),
    }


def _object(kind: str, name: str, more: Object) -> Object:
    return {"apiVersion": _RBAC, "kind": kind, "metadata": {"name": name} | more}
