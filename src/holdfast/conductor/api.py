"""The conductor's HTTP API: the operations of ``operations.py`` over a Unix socket or TCP.

Documents are the ``TypedDict`` classes of ``client.py``; ``GET /v1/services/{service}`` answers a
``StatusDoc``: service, target, replicas, endpoint, state (stable, previous, rollout, queued, last,
rejected, retired), fleets, weights, holds, gate, generation, owner, now, trouble. Errors are
``{"error": {"code", "detail", "hint"}}``; a wrong spec also has ``problems``. Every number in an
answer is finite; what is not a number is null.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from operator import attrgetter
from typing import Any

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from holdfast import __version__
from holdfast.conductor.answers import Problem, answer, failure
from holdfast.conductor.auth import Identity, identify_peer, identify_token, is_peer
from holdfast.conductor.call import Call, Perform, Result
from holdfast.conductor.clusters import logs_command
from holdfast.conductor.commands import Commands
from holdfast.conductor.console.calls import ConsoleCalls
from holdfast.conductor.console.pages import check_read, check_write, cookie_of
from holdfast.conductor.events import entry_document, stream_events
from holdfast.conductor.hosts import check_host
from holdfast.conductor.logs import read_logs
from holdfast.conductor.metrics import MEDIA_TYPE, Metrics
from holdfast.conductor.openapi import document
from holdfast.conductor.operations import EVENTS, OPERATIONS, Operation
from holdfast.conductor.status import status_document
from holdfast.conductor.wiring import Conductor

BODY_BYTES_MAX = 4 * 1024 * 1024
HISTORY_ENTRIES = 1000
LOG_LINES = 100


class Api(ConsoleCalls):
    """One method per operation; it returns a document or a ``Response``."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__(conductor)
        self._commands = Commands(conductor)
        self.metered = Metrics(conductor)
        conductor.observers.append(self.metered.recorded)

    def app(self) -> Starlette:
        routes = [Route(op.path, self._endpoint(op), methods=[op.method]) for op in OPERATIONS]
        return Starlette(
            routes=[*routes, *self.pages()],
            exception_handlers={404: _no_route, 405: _no_route},
        )

    # ---- reading

    async def healthz(self, _call: Call) -> Result:
        works = self._conductor.works
        return {
            "ok": not self._conductor.unreadable,
            "version": __version__,
            "pid": os.getpid(),
            "owner": works.owner,
            "generation": self._conductor.lease.generation,
            "services": len(self._conductor.stations),
            "unreadable": self._conductor.unreadable,
            "ledger": works.ledger.size,
        }

    async def metrics(self, _call: Call) -> Result:
        return Response(self.metered.exposition(), media_type=MEDIA_TYPE)

    async def openapi(self, _call: Call) -> Result:
        return document()

    async def services(self, _call: Call) -> Result:
        stations = list(self._conductor.stations.values())
        await asyncio.gather(*(station.looked() for station in stations))
        return {"services": [status_document(each.snapshot()) for each in stations]}

    async def status(self, call: Call) -> Result:
        station = self._station(call)
        await station.looked()
        return status_document(station.snapshot())

    async def history(self, call: Call) -> Result:
        station = self._station(call)
        since, limit = call.query["since"] or 0, call.query["limit"] or HISTORY_ENTRIES
        ledger = self._conductor.works.ledger
        streams = (ledger.replay(station.name), ledger.replay(f"{station.name}/releases"))
        entries = heapq.merge(*streams, key=attrgetter("index"))
        wanted = (entry for entry in entries if entry.index >= since)
        found = [entry_document(entry) for entry in islice(wanted, limit)]
        return {"entries": found}

    async def logs(self, call: Call) -> Result:
        station = self._station(call)
        if station.service is not None and station.service.target == "kubernetes":
            detail = "instances in a cluster print to its nodes, not to this machine"
            raise Problem(409, "logs-elsewhere", detail, logs_command(station.service))
        lines = LOG_LINES if call.query["lines"] is None else call.query["lines"]
        directory = self._conductor.works.home.logs(station.name)
        release = self._commands.release_named(station, call.query["release"])
        return {"logs": read_logs(directory, release, call.query["replica"], lines)}

    async def events(self, call: Call) -> Result:
        self._one_more_stream()
        works = self._conductor.works
        since = call.query["since"] if call.last_event is None else call.last_event + 1
        frames = stream_events(works.ledger, works.news, call.query["service"], since)
        return StreamingResponse(frames, media_type=EVENTS, headers={"cache-control": "no-store"})

    # ---- commands

    async def plan(self, call: Call) -> Result:
        return await self._commands.plan(call.service, call.body, call.by())

    async def deploy(self, call: Call) -> Result:
        assert call.identity is not None
        return await self._commands.deploy(call.service, call.body, call.identity)

    async def promote(self, call: Call) -> Result:
        return await self._commands.promote(self._station(call), call.by())

    async def approve(self, call: Call) -> Result:
        return await self._commands.approve(self._station(call), call.by())

    async def pause(self, call: Call) -> Result:
        return await self._commands.pause(self._station(call), call.by(), call.body.reason)

    async def resume(self, call: Call) -> Result:
        return await self._commands.resume(self._station(call), call.by())

    async def abort(self, call: Call) -> Result:
        return await self._commands.abort(self._station(call), call.by(), call.body.reason)

    async def rollback(self, call: Call) -> Result:
        body = call.body
        return await self._commands.rollback(self._station(call), body.to, call.by(), body.force)

    async def scale(self, call: Call) -> Result:
        return await self._commands.scale(self._station(call), call.body.replicas, call.by())

    async def restart(self, call: Call) -> Result:
        return await self._commands.restart(self._station(call), call.by())

    async def down(self, call: Call) -> Result:
        return await self._commands.down(self._station(call), call.by())

    # ---- around every operation

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        perform: Perform = getattr(self, operation.name)

        async def endpoint(request: Request) -> Response:
            began = time.perf_counter()
            response = await self._answer(operation, perform, request)
            spent = time.perf_counter() - began
            self.metered.answered(operation.name, response.status_code, spent)
            return response

        return endpoint

    async def _answer(self, operation: Operation, perform: Perform, request: Request) -> Response:
        try:
            call = await self._call(operation, request)
            result = await perform(call)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:
            return failure(operation.name, error)
        return result if isinstance(result, Response) else answer(200, result)

    async def _call(self, operation: Operation, request: Request) -> Call:
        check_host(request)
        identity, cookie = await self._identify(request)
        _permit(operation, identity)
        query = _query(operation, request)
        body = await _body(operation, request)
        last = request.headers.get("last-event-id", "")
        return Call(
            service=request.path_params.get("service", ""),
            identity=identity,
            body=body,
            query=query,
            last_event=int(last) if last.isascii() and last.isdigit() else None,
            session=cookie,
        )

    async def _identify(self, request: Request) -> tuple[Identity | None, str]:
        """Who calls, and the cookie when that is how we know."""
        known = await self._by_connection(request)
        session = (
            self.sessions.find(text) if known is None and (text := cookie_of(request)) else None
        )
        if session is None:
            return known, ""
        check_read(request)
        if request.method != "GET":
            check_write(request, text)
        return session.identity, text

    async def _by_connection(self, request: Request) -> Identity | None:
        peer = None if request.client is None else (request.client.host, request.client.port)
        if peer is not None and is_peer(peer):
            return identify_peer(peer)
        scheme, _space, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        known = identify_token(self._conductor.works.home.tokens, token.strip())
        ask = self._conductor.outside
        return await ask(token.strip()) if known is None and ask is not None else known


# ---- checks -------------------------------------------------------------------------------------


def _permit(operation: Operation, identity: Identity | None) -> None:
    if operation.role is None:
        return
    if identity is None:
        hint = "send Authorization: Bearer <token>; make one with: holdfast token create"
        raise Problem(401, "unknown-caller", "who calls is not known here", hint)
    if identity.role < operation.role:
        raise Problem(
            403,
            "role",
            f"{identity.name} is {identity.role.word}; {operation.name} needs "
            f"{operation.role.word}",
            "ask somebody who has that role",
        )


def _query(operation: Operation, request: Request) -> dict[str, Any]:
    """The values of the known parameters; others are refused, because a typo must not be."""
    known = {each.name: each for each in operation.query}
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        hint = f"known: {', '.join(known) or 'none'}"
        raise Problem(400, "unknown-parameter", f"unknown parameter {unknown[0]!r}", hint)
    found: dict[str, Any] = {}
    for name, each in known.items():
        text = request.query_params.get(name)
        if text is None or not each.number:
            found[name] = text
        elif text.isascii() and text.isdigit() and len(text) < 17 and int(text) <= each.most:
            found[name] = int(text)
        else:
            wanted = f"wanted a whole number from 0 to {each.most}"
            raise Problem(400, "wrong-parameter", f"{name}: found {text[:40]!r}, {wanted}")
    return found


async def _body(operation: Operation, request: Request) -> BaseModel | None:
    if operation.body is None:
        return None
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_BYTES_MAX:
            raise Problem(413, "too-large", f"the body has more than {BODY_BYTES_MAX} bytes")
    return operation.body.model_validate_json(bytes(raw) or b"{}")


async def _no_route(request: Request, _error: Exception) -> Response:
    problem = Problem(
        404,
        "unknown-route",
        f"no operation {request.method} {request.url.path[:200]!r}",
        "all operations are in /v1/openapi.json",
    )
    return failure("no route", problem)
