"""Programs of the rig beside the API server: each in a thread and an asyncio loop of its own."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2 as httpx

from kubernetes_rig.api_server import TOKEN, Refused, Server

Object = dict[str, Any]
_AGAIN = 0.05  # seconds until a lost server is asked again


class Api:
    """The API of a server as its administrator, for asyncio."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(self, method: str, path: str, body: Any = None, kind: str = "json") -> Object:
        """One request. Raises ``Refused`` for every status that is no success."""
        content = json.dumps(body) if body is not None else None
        headers = {"Content-Type": f"application/{kind}"}
        answer = await self._http.request(method, path, content=content, headers=headers)
        if answer.status_code >= 300:
            raise Refused(answer.status_code, answer.text)
        found: Object = answer.json()
        return found

    async def told(self, method: str, path: str, body: Any = None, kind: str = "json") -> bool:
        """``ask`` until somebody answers; False for an object that is gone or has changed."""
        while True:
            try:
                await self.ask(method, path, body, kind)
            except Refused as refused:
                if refused.status in (404, 409):
                    return False
                if refused.status < 429 or refused.status == 422:
                    raise
            except httpx.HTTPError:
                pass
            else:
                return True
            await asyncio.sleep(_AGAIN)

    async def follow(self, path: str, seen: dict[str, Object]) -> AsyncIterator[None]:
        """Keeps ``seen`` (by uid) as the server has it; yields after each change, for ever."""
        while True:
            try:
                listed = await self.ask("GET", path)
                seen.clear()
                seen.update({each["metadata"]["uid"]: each for each in listed.get("items", ())})
                yield
                async for event in self._events(path, listed["metadata"]["resourceVersion"]):
                    _take(event, seen)
                    yield
            except (httpx.HTTPError, Refused, _Lost):
                await asyncio.sleep(_AGAIN)

    async def _events(self, path: str, version: str) -> AsyncIterator[Object]:
        query = {"watch": "true", "resourceVersion": version}
        async with self._http.stream("GET", path, params=query, timeout=None) as answer:
            if answer.status_code >= 300:  # such as 429 while the server fills its cache
                raise _Lost
            async for line in answer.aiter_lines():
                event: Object = json.loads(line)
                if event["type"] == "ERROR":
                    raise _Lost
                yield event


class _Lost(Exception):
    """The watch cannot go on: list again."""


def _take(event: Object, seen: dict[str, Object]) -> None:
    uid = event["object"]["metadata"]["uid"]
    if event["type"] == "DELETED":
        seen.pop(uid, None)
    else:
        seen[uid] = event["object"]


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[Api]:
    trusted = ssl.create_default_context(cafile=str(server.authority))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(
        base_url=server.url, headers=headers, verify=trusted, timeout=30, limits=limits
    ) as http:
        yield Api(http)


class Resident:
    """Something that lives beside the server until the block ends; its errors fail the test."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._begun = threading.Event()

    def __enter__(self) -> Any:  # the subclass
        self._thread.start()
        self._begun.wait(timeout=30)
        return self

    def __exit__(self, kind: type[BaseException] | None, *why: object) -> None:
        self._soon(lambda: self._task and self._task.cancel())
        self._thread.join(timeout=30)
        if self._error and kind is None:
            raise self._error

    def _soon(self, act: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._whole())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._begun.set()
            self._loop.close()

    async def _whole(self) -> None:
        self._task = asyncio.current_task()
        async with opened(self.server) as api, asyncio.TaskGroup() as tasks:
            for live in self.lives(api):
                tasks.create_task(live)
            self._begun.set()

    def lives(self, api: Api) -> Iterator[Any]:
        """What goes on at the same time, each for ever."""
        raise NotImplementedError


@contextmanager
def together(*residents: Resident) -> Iterator[None]:
    """All of them for one block."""
    entered: list[Resident] = []
    try:
        for each in residents:
            entered.append(each.__enter__())
        yield
    finally:
        for each in reversed(entered):
            each.__exit__(None)
