"""A simulated API server: HTTP in front of a store, in the event loop of the test.

It is no Kubernetes. It speaks as much of its API as the target uses: get, list, watch with
bookmarks and 410, server-side apply with conflicts, update, merge patch, delete, logs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kubernetes_simulated.store import Failed, Object, Store

#: A misfortune looks at (method, path) and may answer in the server's place.
Fault = Callable[[str, str], tuple[int, dict[str, str], Object] | None]


@dataclass
class Heard:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


@dataclass
class Server:
    """Where it listens, what it stores, what it was asked, and what goes wrong."""

    store: Store = field(default_factory=Store)
    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)  # pod name -> what it printed
    tokens: set[str] = field(default_factory=set)  # empty: everybody is known
    forbidden: set[tuple[str, str]] = field(default_factory=set)  # (verb, plural) of reviews
    unserved: set[str] = field(default_factory=set)  # plurals of kinds that are not installed
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: str, word: str) -> list[Heard]:
        return [each for each in self.heard if each.method == method and word in each.path]

    # ---- connections

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while (request := await _read(reader)) is not None:
                self.heard.append(request)
                await self._answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    def cut(self) -> None:
        """Every connection breaks at once, in the middle of whatever it carries."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def stop(self) -> None:
        self.store.end_watches()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, request: Heard, writer: asyncio.StreamWriter) -> None:
        headers: dict[str, str] = {}
        try:
            for fault in self.faults:
                if (answer := fault(request.method, request.path)) is not None:
                    return await _send(writer, *answer)
            self._admit(request)
            if request.query.get("watch") == "true":
                return await self._watch(request, writer)
            status, body = self._do(request)
        except Failed as failed:
            status, body = failed.status, failed.body
        await _send(writer, status, headers, body)

    def _admit(self, request: Heard) -> None:
        word = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens and word not in self.tokens:
            raise Failed(401, "Unauthorized", "Unauthorized")
        if self.unserved & set(request.path.split("/")):
            raise Failed(404, "NotFound", "the server could not find the requested resource")

    # ---- verbs

    def _do(self, request: Heard) -> tuple[int, Any]:
        at, store = request.path, self.store
        if at.endswith("/log"):
            return 200, self.logs.get(at.split("/")[-2], "")
        if request.method == "POST" and request.body["kind"] == "SelfSubjectAccessReview":
            wanted = request.body["spec"]["resourceAttributes"]
            allowed = (wanted["verb"], wanted["resource"]) not in self.forbidden
            return 201, {**request.body, "status": {"allowed": allowed}}
        if request.method == "GET":
            return (200, store.get(at)) if _is_object(at) else (200, self._list(request))
        if request.method == "DELETE":
            return 200, self._delete(at)
        return self._write(request, request.query.get("fieldManager", "test"))

    def _write(self, request: Heard, manager: str) -> tuple[int, Any]:
        at, store = request.path, self.store
        if request.method == "POST":
            at = f"{at}/{request.body['metadata']['name']}"
            if at in store.objects:
                raise Failed(409, "AlreadyExists", "it already exists")
            return 201, store.update(at, request.body, manager)
        if request.method == "PUT":
            store.get(at)
            return 200, store.update(at, request.body, manager)
        if "apply-patch" not in request.headers["content-type"]:
            return 200, store.update(at, _merged(store.get(at), request.body), manager)
        if request.query.get("dryRun"):
            return 200, request.body
        return 200, store.apply(at, request.body, manager, request.query.get("force") == "true")

    def _delete(self, at: str) -> Object:
        found = self.store.get(at)
        if "/pods/" in at:
            metadata = found["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:00Z"}
            return self.store.put(at, {**found, "metadata": metadata})
        self.store.remove(at)
        return {"kind": "Status", "status": "Success"}

    def _list(self, request: Heard) -> Object:
        items = self.store.list(_matcher(request))
        start = int(request.query.get("continue", 0))
        end = start + int(request.query.get("limit", 500))
        metadata = {"resourceVersion": str(self.store.version)}
        if end < len(items):
            metadata["continue"] = str(end)
        return {"kind": "List", "metadata": metadata, "items": items[start:end]}

    async def _watch(self, request: Heard, writer: asyncio.StreamWriter) -> None:
        watch = self.store.watch(int(request.query["resourceVersion"]), _matcher(request))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")  # fmt: skip
        try:
            while (event := await watch.queue.get()) is not None:
                await _chunk(writer, json.dumps(event) + "\n")
            await _chunk(writer, "")
        finally:
            with contextlib.suppress(ValueError):
                self.store.watches.remove(watch)


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    """Listens on a free port of loopback while the block runs."""
    listener = await asyncio.start_server(server.serve, "127.0.0.1", server.port)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.stop()


async def _read(reader: asyncio.StreamReader) -> Heard | None:
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode().split(" ")
    headers = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    given = json.loads(body) if body else None
    return Heard(method, parts.path, dict(parse_qsl(parts.query)), headers, given)


async def _send(
    writer: asyncio.StreamWriter, status: int, headers: dict[str, str], body: Any
) -> None:
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    told = {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    writer.write(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + data)
    await writer.drain()


async def _chunk(writer: asyncio.StreamWriter, text: str) -> None:
    data = text.encode()
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


def _is_object(at: str) -> bool:
    """``/apis/apps/v1/namespaces/x/deployments/y``, ``/api/v1/namespaces/x``."""
    parts = at.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    inside = rest[0] == "namespaces" and len(rest) > 2
    return len(rest) == (4 if inside else 2)


def _matcher(request: Heard) -> Callable[[str, Object], bool]:
    labels = dict(
        each.split("=", 1) for each in request.query.get("labelSelector", "").split(",") if each
    )
    name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")

    def matches(at: str, found: Object) -> bool:
        metadata = found["metadata"]
        mine = at.rpartition("/")[0] == request.path
        named = name in ("", metadata["name"])
        return mine and named and labels.items() <= (metadata.get("labels") or {}).items()

    return matches


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    base = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            base.pop(name, None)
        else:
            base[name] = _merged(base.get(name), value)
    return base
