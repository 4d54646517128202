"""Callers whom the cluster knows: a token for us, and what the cluster's roles allow its bearer.

A token must be made for the audience ``holdfast``, so that it is of no use to whoever steals it
from here. Roles are not configured twice: who may ``get`` Releases is a viewer, who may ``patch``
them a deployer; ``approve`` and ``*`` are verbs that only Holdfast asks about.

Source: kubernetes.io, TokenReview and SubjectAccessReview.
"""

from __future__ import annotations

import hashlib

from holdfast.artifacts.installation.definition import GROUP, PLURAL
from holdfast.conductor.auth import Identity, Role
from holdfast.runtime.clock import Clock
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import SUBJECT_REVIEW, TOKEN_REVIEW, Object

AUDIENCE = "holdfast"
#: A right that was taken away counts for so long.
KNOWN_S = 15.0
KNOWN_MAX = 1000
#: From the highest down: the first one that is allowed.
VERBS = ((Role.ADMIN, "*"), (Role.APPROVER, "approve"), (Role.DEPLOYER, "patch"),
         (Role.VIEWER, "get"))  # fmt: skip


class ClusterIdentity:
    """Asks the API server who a bearer is; remembers the answer for a moment, never the token."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._known: dict[str, tuple[float, Identity | None]] = {}

    async def __call__(self, token: str) -> Identity | None:
        """None for nobody. Raises ``targets.base.TargetError`` where the server does not say."""
        key = hashlib.sha256(token.encode()).hexdigest()
        until, identity = self._known.get(key, (0.0, None))
        now = self._clock.now()
        if now < until:
            return identity
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        identity = await self._ask(token)
        self._known[key] = (now + KNOWN_S, identity)
        return identity

    async def _ask(self, token: str) -> Identity | None:
        review = await self._client.review(_token_review(token))
        status = review.get("status") or {}
        if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or ()):
            return None
        user = status["user"]
        for role, verb in VERBS:
            answer = await self._client.review(_access_review(user, verb))
            if (answer.get("status") or {}).get("allowed"):
                return Identity(str(user["username"])[:100], role)
        return None


def _token_review(token: str) -> Object:
    return {"apiVersion": TOKEN_REVIEW.version, "kind": TOKEN_REVIEW.name,
            "spec": {"token": token, "audiences": [AUDIENCE]}}  # fmt: skip


def _access_review(user: Object, verb: str) -> Object:
    spec = {
        "user": user["username"],
        "uid": user.get("uid", ""),
        "groups": user.get("groups") or [],
        "resourceAttributes": {"group": GROUP, "resource": PLURAL, "verb": verb},
    }
    return {"apiVersion": SUBJECT_REVIEW.version, "kind": SUBJECT_REVIEW.name, "spec": spec}
