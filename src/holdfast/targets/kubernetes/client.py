"""The API of one cluster over HTTP: typed errors, bounded pace, retries, watches.

Objects are plain JSON: what is sent is what ``artifacts`` rendered, and the server is the one
that validates it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx

from holdfast.artifacts.names import MANAGER
from holdfast.runtime.clock import Clock
from holdfast.targets.base import TargetError, Unreachable
from holdfast.targets.kubernetes.answers import PASSING, Asked, Missing, failure
from holdfast.targets.kubernetes.credentials import Proof
from holdfast.targets.kubernetes.kinds import Kind, Object, kind_of, name_of
from holdfast.targets.kubernetes.kubeconfig import Cluster
from holdfast.targets.kubernetes.pace import Limits, Pace, pause

PAGE = 500  # objects of one page of a list
_APPLY = "application/apply-patch+yaml"
_JSON = "application/json"
#: A peer that is gone without a word is noticed within half a minute, also below a silent watch.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
Query = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it goes over the wire. ``again``: repeating it is harmless."""

    asked: Asked
    method: str
    path: str
    query: Query = field(default_factory=dict)
    body: Object | None = None
    content: str = _JSON
    again: bool = True


class Client:
    """Talks to one API server as one identity. Used within one event loop."""

    def __init__(self, cluster: Cluster, clock: Clock, limits: Limits | None = None) -> None:
        self.cluster, self.limits = cluster, limits or Limits()
        self.calls: Counter[str] = Counter()  # requests by verb, as roles call it
        self._pace = Pace(self.limits, clock)
        self._http: httpx.AsyncClient | None = None
        self._proof = Proof()

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    # ---- objects

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """None where there is no such object; a kind that is not served is refused."""
        asked = Asked("get", kind, namespace, name)
        try:
            return await self._json(Request(asked, "GET", kind.path(namespace, name)))
        except Missing as missing:
            if missing.code == "kind-missing":
                raise
            return None

    async def list(self, kind: Kind, namespace: str, selector: str) -> tuple[list[Object], str]:
        """All objects that match, and the resourceVersion of the list."""
        asked, found, more = Asked("list", kind, namespace), list[Object](), ""
        while True:
            query: dict[str, str | int] = {"limit": PAGE, **chosen(selector)}
            query |= {"continue": more} if more else {}
            page = await self._json(Request(asked, "GET", kind.path(namespace), query))
            found += page.get("items") or ()
            more = page["metadata"].get("continue") or ""
            if not more:
                return found, str(page["metadata"].get("resourceVersion", ""))

    async def apply(self, wanted: Object, *, force: bool = False, dry: bool = False) -> Object:
        """Server-side apply as field manager ``holdfast``; unknown fields are refused.

        Raises ``Clashes`` where others manage a field and ``force`` is not given, and ``Changed``
        where ``metadata.resourceVersion`` is given and is not the present one.
        """
        query: dict[str, str | int] = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        query |= {"force": str(force).lower()} | ({"dryRun": "All"} if dry else {})
        asked, path = _place("patch", wanted)
        return await self._json(Request(asked, "PATCH", path, query, wanted, _APPLY))

    async def report(self, wanted: Object) -> Object:
        """Server-side apply of the status of a custom resource; its only writer is Holdfast."""
        query: dict[str, str | int] = {"fieldManager": MANAGER, "force": "true"}
        asked, path = _place("patch", wanted)
        return await self._json(Request(asked, "PATCH", f"{path}/status", query, wanted, _APPLY))

    async def create(self, wanted: Object) -> Object:
        """Raises ``Changed`` with the code ``exists`` where there is one of that name."""
        asked, _ = _place("create", wanted)
        path = asked.kind.path(asked.namespace)
        query = {"fieldManager": MANAGER}
        return await self._json(Request(asked, "POST", path, query, wanted, again=False))

    async def replace(self, wanted: Object) -> Object:
        """Raises ``Changed`` where ``metadata.resourceVersion`` is not the present one."""
        asked, path = _place("update", wanted)
        query = {"fieldManager": MANAGER}
        return await self._json(Request(asked, "PUT", path, query, wanted, again=False))

    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """What belongs to it goes in the background, each pod with its grace. Idempotent."""
        asked = Asked("delete", kind, namespace, name)
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        with contextlib.suppress(Missing):
            await self._json(Request(asked, "DELETE", kind.path(namespace, name), {}, body))

    async def review(self, wanted: Object) -> Object:
        """A question in the form of an object: ``SelfSubjectAccessReview`` and the like."""
        kind = kind_of(wanted)
        return await self._json(Request(Asked("create", kind), "POST", kind.path(""), {}, wanted))

    async def text(self, kind: Kind, namespace: str, name: str, below: str, query: Query) -> str:
        """A subresource that is plain text, such as ``log``."""
        path = f"{kind.path(namespace, name)}/{below}"
        request = Request(Asked("get", kind, namespace, name), "GET", path, query)
        return (await self._ask(request)).decode(errors="replace")

    async def watch(
        self, kind: Kind, namespace: str, query: Query, quiet_s: float
    ) -> AsyncIterator[Object]:
        """Events from ``query["resourceVersion"]`` on, until the server ends the watch.

        ``quiet_s``: a watch that says nothing for longer, not even a bookmark, is broken.
        """
        asked = Asked("watch", kind, namespace)
        http, headers = await self._ready()
        self.calls["watch"] += 1
        timeout = httpx.Timeout(quiet_s, connect=self.limits.connect_s)
        path = kind.path(namespace)
        try:
            async with http.stream(
                "GET", path, params=dict(query), headers=headers, timeout=timeout
            ) as answer:
                if answer.is_error:
                    raise self._refusal(answer.status_code, await answer.aread(), asked)
                async for line in answer.aiter_lines():
                    yield _event(line, asked)
        except httpx.HTTPError as error:
            raise Unreachable(f"{asked}: {_said(error)}") from error

    # ---- requests

    async def _json(self, request: Request) -> Object:
        answer = await self._ask(request)
        try:
            found = json.loads(answer)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unreachable(f"{request.asked}: what answered is no API server")
        return found

    async def _ask(self, request: Request) -> bytes:
        """Repeated while the server stumbles, and once when it no longer accepts our proof."""
        failures = 0
        while True:
            failures += 1
            wait_s: float | None = None
            try:
                answer = await self._once(request)
            except httpx.HTTPError as error:
                failed: TargetError = Unreachable(f"{request.asked}: {_said(error)}")
            else:
                if answer.is_success:
                    return answer.content
                failed = self._refusal(answer.status_code, answer.content, request.asked)
                renewed = answer.status_code == 401 and failures == 1
                if answer.status_code not in PASSING and not renewed:
                    raise failed
                wait_s = 0.0 if renewed else _retry_after(answer)
            harmless = request.again or wait_s == 0.0  # who was not known did nothing
            if failures >= (self.limits.tries if harmless else 1):
                raise failed
            await asyncio.sleep(pause(self.limits, failures, wait_s))

    async def _once(self, request: Request) -> httpx.Response:
        async with self._pace.slot():
            http, headers = await self._ready()
            self.calls[request.asked.verb] += 1
            told = headers | {"Content-Type": request.content, "Accept": f"{_JSON}, */*"}
            data = json.dumps(request.body).encode() if request.body is not None else None
            return await http.request(
                request.method,
                request.path,
                params=dict(request.query),
                content=data,
                headers=told,
            )

    def _refusal(self, status: int, body: bytes, asked: Asked) -> TargetError:
        if status == 401:
            self.cluster.credential.forget()
        return failure(status, body, asked)

    async def _ready(self) -> tuple[httpx.AsyncClient, dict[str, str]]:
        """The connection pool of the present client certificate, and the present headers."""
        proof = await self.cluster.credential.proof()
        same = (proof.certificate, proof.key) == (self._proof.certificate, self._proof.key)
        if self._http is None or not same:
            await self.aclose()
            self._http = self._pool(proof)
        self._proof = proof
        return self._http, proof.headers

    def _pool(self, proof: Proof) -> httpx.AsyncClient:
        cluster, limits = self.cluster, self.limits
        trust: Any = cluster.trust.context(proof.certificate, proof.key)
        transport = httpx.AsyncHTTPTransport(
            verify=trust,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=limits.at_once),
            proxy=cluster.proxy or None,
            socket_options=_KEEPALIVE,
        )
        extensions = {"sni_hostname": cluster.server_name} if cluster.server_name else {}
        return _Named(
            extensions,
            base_url=cluster.server,
            transport=transport,
            timeout=httpx.Timeout(limits.answer_s, connect=limits.connect_s),
            headers={"User-Agent": MANAGER},
        )


class _Named(httpx.AsyncClient):
    """Expects the name of ``tls-server-name`` in the server's certificate."""

    def __init__(self, extensions: dict[str, Any], **given: Any) -> None:  # noqa: ANN401
        super().__init__(**given)
        self._extensions = extensions

    async def send(self, request: httpx.Request, **given: Any) -> httpx.Response:  # noqa: ANN401
        request.extensions.update(self._extensions)
        return await super().send(request, **given)


def _place(verb: str, wanted: Object) -> tuple[Asked, str]:
    kind, namespace = kind_of(wanted), str(wanted["metadata"].get("namespace", ""))
    asked = Asked(verb, kind, namespace, name_of(wanted))
    return asked, kind.path(namespace, asked.name)


def chosen(selector: str) -> dict[str, str]:
    """A label selector as a query, or ``field=value`` of ``metadata.name`` as a field selector."""
    if not selector:
        return {}
    field = selector.startswith("metadata.name=")
    return {"fieldSelector" if field else "labelSelector": selector}


def _event(line: str, asked: Asked) -> Object:
    """Raises ``Gone`` where the server has forgotten where we were."""
    try:
        event = json.loads(line)
        kind, found = event["type"], event["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"{asked}: a broken watch") from error
    if kind == "ERROR":
        raise failure(int(found.get("code") or 500), json.dumps(found).encode(), asked)
    return {"type": kind, "object": found}


def _retry_after(answer: httpx.Response) -> float | None:
    """Whole seconds only, as API servers say it."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isdigit() else None


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
