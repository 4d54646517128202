"""What a conductor must be allowed in the namespace of a service, and which of it is missing.

One table for whoever grants (roles) and whoever checks (``holdfast doctor``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.spec.model import Service
from holdfast.targets.kubernetes import kinds
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import Kind, Object
from holdfast.targets.kubernetes.routes import way_of
from holdfast.targets.kubernetes.scaler import kind_for
from holdfast.targets.kubernetes.wanted import namespace

FOLLOW = ("list", "watch")
#: Server-side apply of an object that is not there yet needs both.
APPLY = ("get", "create", "patch")


@dataclass(frozen=True, slots=True)
class Right:
    """Some verbs on one kind; ``below`` is a subresource. ``optional``: asked for, not needed."""

    kind: Kind
    verbs: tuple[str, ...]
    below: str = ""
    optional: bool = False

    @property
    def resource(self) -> str:
        """As a role names it, without the group."""
        return f"{self.kind.plural}/{self.below}" if self.below else self.kind.plural


def rights(spec: Service) -> tuple[Right, ...]:
    """All that the target does for this service."""
    way = way_of(spec)
    routes = (*FOLLOW, *APPLY, "delete")
    found = [
        Right(kinds.POD, FOLLOW),
        Right(kinds.POD, ("get",), below="log"),
        Right(kinds.DEPLOYMENT, routes),
        Right(kinds.ENDPOINTS, FOLLOW),
        Right(kinds.AUTOSCALER, FOLLOW),
        Right(kinds.SERVICE, routes if way.kind is kinds.SERVICE else (*APPLY, "delete")),
        Right(kinds.LEASE, ("get", "create", "update")),
        Right(kinds.ACCOUNT, APPLY, optional=True),  # where somebody else makes it
        Right(kinds.NAMESPACE, APPLY, optional=True),
        Right(kinds.PRIORITY, APPLY, optional=True),
    ]
    if way.kind is not kinds.SERVICE:
        found.append(Right(way.kind, routes))
    if way.name == "istio":
        found.append(Right(kinds.DESTINATION_RULE, (*APPLY, "delete")))
    if (scaler := kind_for(spec)) is not None:
        found.append(Right(scaler, APPLY))
    if way.name == "gateway":
        found.append(Right(kinds.GATEWAY, APPLY, optional=True))
    return tuple(found)


async def missing(client: Client, spec: Service, asked: Iterable[Right]) -> list[str]:
    """Rights that the API server says we lack: ``patch deployments.apps``."""
    lacking = []
    for right in asked:
        for verb in right.verbs:
            answer = await client.review(_question(right, verb, namespace(spec)))
            if not (answer.get("status") or {}).get("allowed"):
                group = f".{right.kind.group}" if right.kind.group else ""
                lacking.append(f"{verb} {right.resource}{group}")
    return lacking


def _question(right: Right, verb: str, space: str) -> Object:
    attributes = {
        "verb": verb,
        "group": right.kind.group,
        "resource": right.kind.plural,
        "subresource": right.below,
        "namespace": space if right.kind.namespaced else "",
    }
    said = {key: value for key, value in attributes.items() if value}
    review = kinds.ACCESS_REVIEW
    return {
        "apiVersion": review.version,
        "kind": review.name,
        "metadata": {},
        "spec": {"resourceAttributes": said},
    }
