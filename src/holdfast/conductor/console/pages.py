"""The console's files, and signing in and out. Everything is read once and served from memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from holdfast.conductor.answers import Problem, answer, failure
from holdfast.conductor.console.sessions import SESSION_S_MAX, Sessions, csrf_of
from holdfast.conductor.hosts import CONSOLE, check_host

COOKIE = "holdfast_session"
CSRF = "x-holdfast-csrf"
BODY_BYTES_MAX = 1024
MEDIA = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
#: Nothing but our own files, no markup made from text, nobody's frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One file as it is sent."""

    content: bytes
    media: str

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


def read_pages() -> dict[str, Page]:
    """Every file of the console by its name; those of others are below ``vendor/``."""
    static = files(__package__) / "static"
    found = {}
    for folder in ("", "vendor/"):
        for path in (static / folder).iterdir() if folder else static.iterdir():
            ending = path.name.rpartition(".")[2]
            if ending in MEDIA:
                found[f"{folder}{path.name}"] = Page(path.read_bytes(), MEDIA[ending])
    return found


class Pages:
    """The routes that are no operations of the API."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._pages = read_pages()

    def routes(self) -> list[Route]:
        def guarded(path: str, perform: Callable[[Request], Awaitable[Response]],
                    *methods: str) -> Route:  # fmt: skip
            return Route(
                path, _guard(perform), methods=methods or ("GET",), include_in_schema=False
            )

        return [
            guarded("/", self._index),
            guarded("/console/session", self._who),
            guarded("/console/session", self._sign_in, "POST"),
            guarded("/console/session", self._sign_out, "DELETE"),
            guarded("/console/{name:path}", self._file),
        ]

    async def _index(self, request: Request) -> Response:
        if not is_console(request):  # a cookie of 127.0.0.1 would be sent to every port there
            port = request.url.port
            return RedirectResponse(
                f"http://{CONSOLE}:{port}/" if port else f"http://{CONSOLE}/", 307
            )
        return self._sent(request, "index.html")

    async def _file(self, request: Request) -> Response:
        return self._sent(request, request.path_params["name"])

    def _sent(self, request: Request, name: str) -> Response:
        page = self._pages.get(name)
        if page is None:
            raise Problem(404, "unknown-page", f"the console has no {name[:100]!r}", "begin at /")
        headers = {**HEADERS, "etag": page.tag}
        if request.headers.get("if-none-match") == page.tag:
            return Response(status_code=304, headers=headers)
        return Response(page.content, headers=headers, media_type=page.media)

    async def _who(self, request: Request) -> Response:
        text = cookie_of(request)
        session = self._sessions.find(text)
        if session is None:
            raise Problem(401, "signed-out", "nobody is signed in here", "holdfast console")
        return answer(200, {
            "name": session.name, "role": session.role, "expires": session.expires,
            "csrf": csrf_of(text),
        })  # fmt: skip

    async def _sign_in(self, request: Request) -> Response:
        _check_origin(request)
        text = self._sessions.redeem(await _code(request))
        if text is None:
            hint = "links work once and for two minutes; holdfast console prints a new one"
            raise Problem(401, "used-link", "this link does not work any more", hint)
        response = answer(200, {"ok": True})
        response.set_cookie(
            COOKIE, text, max_age=int(SESSION_S_MAX), httponly=True, samesite="strict"
        )
        return response

    async def _sign_out(self, request: Request) -> Response:
        check_write(request, cookie_of(request))
        self._sessions.end(cookie_of(request))
        response = answer(200, {"ok": True})
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response


# ---- checks -------------------------------------------------------------------------------------


def is_console(request: Request) -> bool:
    """Whether the browser calls us by the console's own name; cookies count nowhere else."""
    return request.headers.get("host", "").partition(":")[0].lower() == CONSOLE


def cookie_of(request: Request) -> str:
    return request.cookies.get(COOKIE, "") if is_console(request) else ""


def check_write(request: Request, text: str) -> None:
    """A write by cookie must come from our own page: same origin, and it knows the CSRF token."""
    _check_origin(request)
    if request.headers.get(CSRF, "") != csrf_of(text):
        raise Problem(403, "csrf", f"the header {CSRF} is missing or wrong", "reload the page")


def check_read(request: Request) -> None:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "cross-site", "another site's page asked", "use the console itself")


def _check_origin(request: Request) -> None:
    wanted = f"http://{request.headers.get('host', '')}"
    if not is_console(request) or request.headers.get("origin", "") != wanted:
        raise Problem(403, "origin", "the request does not come from the console's own page")


async def _code(request: Request) -> str:
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_BYTES_MAX:
            raise Problem(413, "too-large", f"the body has more than {BODY_BYTES_MAX} bytes")
    try:
        code = json.loads(bytes(raw))["code"]
    except (ValueError, TypeError, KeyError):
        code = None
    if not isinstance(code, str):
        raise Problem(400, "not-json", 'wanted {"code": "..."}')
    return code


def _guard(
    perform: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            check_host(request)
            return await perform(request)
        except Exception as error:
            return failure("console", error)

    return endpoint
