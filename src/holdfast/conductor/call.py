"""One request that may proceed, as the methods behind the operations get it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from holdfast.conductor.auth import Identity


@dataclass(frozen=True)
class Call:
    """Who calls, and what with, checked."""

    service: str
    identity: Identity | None
    body: Any  # an instance of the operation's model
    query: dict[str, Any]
    last_event: int | None  # where a browser's stream broke off
    session: str = ""  # the cookie of a browser that is signed in

    def by(self) -> str:
        assert self.identity is not None, "only named people reach a command"
        claimed = self.query.get("by") if self.body is None else self.body.by
        return self.identity.acts_as(claimed)


Result = Mapping[str, object] | Response
Perform = Callable[[Call], Awaitable[Result]]
