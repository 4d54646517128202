"""The operations of the API as data: route, role, what goes in, what comes out.

``api.py`` routes by this table and ``openapi.py`` documents it, so neither can forget one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from holdfast.conductor import client, requests
from holdfast.conductor.auth import Role
from holdfast.conductor.console import documents


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter."""

    name: str
    description: str
    number: bool = False
    most: int = 2**53


@dataclass(frozen=True, slots=True)
class Operation:
    """``name`` is also the name of the method in ``api.Api`` that performs it."""

    name: str
    method: str
    path: str
    role: Role | None  # None: anybody who reaches the socket
    summary: str
    answer: Any = None  # a TypedDict of client.py, {key: [TypedDict]}, or a media type
    body: type[BaseModel] | None = None
    query: tuple[Parameter, ...] = ()


_S = "/v1/services/{service}"
_BY = Parameter("by", "on whose behalf; honoured for admins")
_SINCE = Parameter("since", "ledger index to begin at", number=True)
_LIMIT = Parameter("limit", "at most so many entries", number=True, most=10_000)
_RELEASE = Parameter("release", "id or version of a release")
_REPLICA = Parameter("replica", "name of one replica")
_LINES = Parameter("lines", "so many lines of each replica", number=True, most=10_000)
_SERVICE = Parameter("service", "only this service")
_INDEX = Parameter("index", "index of a ledger entry", number=True)
_OLD = Parameter("old", "entries of an earlier tree", number=True)

JSON = "application/json"
EVENTS = "text/event-stream"
TEXT = "text/plain"


def _command(name: str, body: type[BaseModel], summary: str, role: Role) -> Operation:
    return Operation(name, "POST", f"{_S}/{name}", role, summary, client.OutcomeDoc, body)


OPERATIONS: tuple[Operation, ...] = (
    Operation("healthz", "GET", "/healthz", None, "Whether the conductor works", JSON),
    Operation("metrics", "GET", "/metrics", Role.VIEWER, "Prometheus metrics", TEXT),
    Operation("openapi", "GET", "/v1/openapi.json", None, "This document", JSON),
    Operation(
        "services", "GET", "/v1/services", Role.VIEWER, "Status of every service",
        {"services": client.StatusDoc},
    ),
    Operation("status", "GET", _S, Role.VIEWER, "Status of one service", client.StatusDoc),
    Operation(
        "history", "GET", f"{_S}/history", Role.VIEWER, "Ledger entries about a service",
        {"entries": client.EventDoc}, query=(_SINCE, _LIMIT),
    ),
    Operation(
        "logs", "GET", f"{_S}/logs", Role.VIEWER, "The last lines that replicas printed",
        {"logs": client.LogDoc}, query=(_RELEASE, _REPLICA, _LINES),
    ),
    Operation(
        "events", "GET", "/v1/events", Role.VIEWER,
        "Ledger entries from index `since` on as they happen, and holds when they change",
        EVENTS, query=(_SERVICE, _SINCE),
    ),
    Operation(
        "plan", "POST", f"{_S}/plan", Role.DEPLOYER, "What a deploy would do; changes nothing",
        client.PlanDoc, requests.DeployBody,
    ),
    _command("deploy", requests.DeployBody, "Bring a service to a spec", Role.DEPLOYER),
    _command("promote", requests.ByBody, "Skip the rest of a step's wait", Role.APPROVER),
    _command("approve", requests.ByBody, "Approve the present step", Role.APPROVER),
    _command("pause", requests.ReasonBody, "Stop rising", Role.DEPLOYER),
    _command("resume", requests.ByBody, "Go on rising", Role.DEPLOYER),
    _command("abort", requests.ReasonBody, "Take the rollout back", Role.DEPLOYER),
    _command("rollback", requests.RollbackBody, "Go back to a past release", Role.DEPLOYER),
    _command("scale", requests.ScaleBody, "Change the number of replicas", Role.DEPLOYER),
    _command("restart", requests.ByBody, "Replace every replica, batch by batch", Role.DEPLOYER),
    Operation(
        "board", "GET", "/v1/board", Role.VIEWER, "Every service at a glance",
        {"cards": documents.CardDoc},
    ),
    Operation(
        "live", "GET", "/v1/live", Role.VIEWER,
        "What changes of every service, and the whole of one, as it happens", EVENTS,
        query=(_SERVICE,),
    ),
    Operation(
        "sheet", "GET", f"{_S}/sheet", Role.VIEWER, "Ladder, evidence, promises and regions",
        documents.SheetDoc,
    ),
    Operation(
        "series", "GET", f"{_S}/series", Role.VIEWER,
        "Requests, errors and latency of each release, second by second", documents.SeriesDoc,
    ),
    Operation(
        "ledger", "GET", "/v1/ledger", Role.VIEWER, "The newest ledger entries first",
        {"entries": client.EventDoc}, query=(_SERVICE, _LIMIT),
    ),
    Operation(
        "proof", "GET", "/v1/ledger/proof", Role.VIEWER,
        "That entry `index` is in the newest signed tree (C2SP tlog-proof)", TEXT,
        query=(_INDEX,),
    ),
    Operation(
        "consistency", "GET", "/v1/ledger/consistency", Role.VIEWER,
        "That the newest tree continues the one of `old` entries", TEXT, query=(_OLD,),
    ),
    Operation(
        "verifier_keys", "GET", "/v1/ledger/keys", Role.VIEWER,
        "The public keys that verify checkpoints", TEXT,
    ),
    Operation(
        "findings", "GET", "/v1/drills", Role.VIEWER, "The latest finding about each promise",
        JSON,
    ),
    Operation(
        "console_link", "POST", "/v1/console/links", Role.VIEWER,
        "A link that signs one browser in, once", documents.LinkDoc, requests.LinkBody,
    ),
    Operation(
        "down", "DELETE", _S, Role.ADMIN, "Take the service down", client.OutcomeDoc, query=(_BY,)
    ),
)  # fmt: skip
