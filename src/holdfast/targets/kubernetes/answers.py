"""What the API server said, as errors with a code. Pure.

Source: Kubernetes API conventions, "Response Status Kind" and "HTTP Status codes".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from holdfast.targets.base import Refused, TargetError, Unreachable
from holdfast.targets.kubernetes.kinds import Kind

SAID_MAX = 600  # characters of a server's words that people are shown
#: Asked again: the server is overloaded, starting, or between two leaders of its store.
PASSING = frozenset({408, 429, 500, 502, 503, 504})
_FORBIDDEN = re.compile(
    r'[Uu]ser "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"'
)
_CLASH = re.compile(r'conflict with "([^"]*)"')
_DENIED = ("denied", "violates PodSecurity", "ValidatingAdmissionPolicy", "admission webhook")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: verb of roles (``get``, ``patch``), kind, namespace and name."""

    verb: str
    kind: Kind
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        named = f"{self.kind.plural}/{self.name}" if self.name else self.kind.plural
        inside = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {named}{inside}"


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that somebody else manages."""

    manager: str
    field: str

    def __str__(self) -> str:
        return f"{self.manager} manages {self.field}"


class Clashes(Refused):
    """Server-side apply found other managers of the same fields."""

    def __init__(self, asked: Asked, clashes: tuple[Clash, ...]) -> None:
        super().__init__("conflict", f"{asked}: " + "; ".join(map(str, clashes)))
        self.clashes = clashes


class Changed(Refused):
    """The object is not what it was when it was read: read it again."""


class Missing(Refused):
    """No such object, or no such kind of object."""


class Gone(Refused):
    """The server has forgotten this resourceVersion: list anew."""


def failure(status: int, body: bytes, asked: Asked) -> TargetError:
    """The error for an answer that is no success."""
    said = _status(body)
    message = " ".join(str(said.get("message") or "").split())[:SAID_MAX] or f"status {status}"
    if status in PASSING:
        return Unreachable(f"{asked}: the API server answered {status}: {message}")
    if status == 409:
        return _conflict(said, message, asked)
    makers = {401: _unauthorised, 403: _forbidden, 404: _missing, 410: _gone}
    return makers.get(status, _invalid)(message, asked)


def _status(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {"message": body[:SAID_MAX].decode(errors="replace")}
    return said if isinstance(said, dict) else {}


def _conflict(said: dict[str, Any], message: str, asked: Asked) -> Refused:
    details = said.get("details") or {}
    causes = [c for c in details.get("causes") or () if c.get("reason") == "FieldManagerConflict"]
    if causes:
        return Clashes(asked, tuple(_clash(cause) for cause in causes))
    if said.get("reason") == "AlreadyExists":
        return Changed("exists", f"{asked}: {message}")
    return Changed("changed", f"{asked}: {message}")


def _clash(cause: dict[str, Any]) -> Clash:
    found = _CLASH.search(str(cause.get("message", "")))
    return Clash(found[1] if found else "somebody else", str(cause.get("field", "?")))


def _unauthorised(message: str, asked: Asked) -> Refused:
    hint = "renew the credentials of this context"
    return Refused("unauthorized", f"{asked}: the API server does not know us ({message}): {hint}")


def _forbidden(message: str, asked: Asked) -> Refused:
    """Forbidden means many things: no room, no such place any more, a policy, or no right."""
    if "exceeded quota" in message:
        return Refused("quota", f"{asked}: {message}")
    if "being terminated" in message:
        return Refused("namespace-ending", f"{asked}: {message}")
    found = _FORBIDDEN.search(message)
    if found is None:
        denied = any(word in message for word in _DENIED)
        return Refused("admission-denied" if denied else "forbidden", f"{asked}: {message}")
    where = f"in namespace {asked.namespace}" if asked.namespace else "in the cluster"
    wanted = f"the verb {found['verb']} on {asked.kind.resource} {where}"
    return Refused("forbidden", f"{found['user']} may not {asked}: its role lacks {wanted}")


def _missing(message: str, asked: Asked) -> Refused:
    if "could not find the requested resource" in message or "page not found" in message:
        what = f"{asked.kind.name} of {asked.kind.version}"
        return Missing("kind-missing", f"this cluster does not serve {what}: install its CRDs")
    return Missing("not-found", f"{asked}: {message}")


def _gone(message: str, asked: Asked) -> Refused:
    return Gone("gone", f"{asked}: {message}")


def _invalid(message: str, asked: Asked) -> Refused:
    if any(word in message for word in _DENIED):
        return Refused("admission-denied", f"{asked}: {message}")
    return Refused("invalid", f"{asked}: {message}")
