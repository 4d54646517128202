"""One HTTP connection to a Prometheus-compatible API: credentials, time limits, size limits."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2 as httpx

from holdfast.spec.production.observability import Prometheus
from holdfast.telemetry.prometheus.answer import (
    Denied,
    Series,
    Unanswered,
    Unreadable,
    read,
    said,
)

BYTES_MAX = 16 * 2**20  # a larger answer is no answer to a question about one service
#: Half an answer is worse than none: Thanos and VictoriaMetrics are asked to say so.
_WHOLE = {"partial_response": "false", "deny_partial_response": "1", "nocache": "1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Series, and the server's time in seconds since the Unix epoch when it answered."""

    series: tuple[Series, ...]
    at: float


class Connection:
    """Asks one server. Files with secrets are read at every question, so they may be rotated."""

    def __init__(
        self,
        settings: Prometheus,
        wall: Callable[[], float],
        base: Path = Path(),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``base``: where relative paths of the spec begin.

        Raises ``Denied`` for certificates that cannot be read.
        """
        self._settings, self._wall, self._base = settings, wall, base
        self._http = httpx.AsyncClient(
            timeout=settings.timeout, verify=self._trusted(), transport=transport, trust_env=False
        )

    async def select(self, selector: str, seconds: float) -> Answer:
        """Every sample of the last ``seconds`` of the series chosen. Raises ``SourceError``."""
        form = {"query": f"{selector}[{max(1, round(seconds))}s]", **_WHOLE}
        form["timeout"] = f"{round(self._settings.timeout * 1000)}ms"  # it reads no 1.5s
        url = f"{self._settings.url.rstrip('/')}/api/v1/query"
        try:
            async with (
                asyncio.timeout(self._settings.timeout),  # of the whole, however it drips
                self._http.stream(
                    "POST", url, data=form, headers=self._headers(), auth=self._auth()
                ) as response,
            ):
                text = await self._text(response)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unanswered(f"no answer within {self._settings.timeout:g}s") from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise Unanswered(said(str(error) or type(error).__name__)) from error
        return Answer(read(text), self._time(response))

    async def _text(self, response: httpx.Response) -> str:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > BYTES_MAX:
                raise Unreadable(f"an answer of more than {BYTES_MAX} bytes")
            parts.append(part)
        text = b"".join(parts).decode("utf-8", "replace")
        if response.status_code == 200:
            return text
        if response.status_code >= 500:
            raise Unanswered(f"status {response.status_code}: {said(text)}")
        raise Denied(f"status {response.status_code}: {said(text)}")

    def _time(self, response: httpx.Response) -> float:
        """By the server's clock where it says so: ours may differ from whoever scrapes."""
        try:
            return parsedate_to_datetime(response.headers.get("date", "")).timestamp()
        except (ValueError, OverflowError):
            return self._wall()

    def _headers(self) -> dict[str, str]:
        headers = {}
        if self._settings.tenant:
            headers["X-Scope-OrgID"] = self._settings.tenant
        if self._settings.token_file:
            headers["Authorization"] = f"Bearer {self._secret(self._settings.token_file)}"
        return headers

    def _auth(self) -> httpx.BasicAuth | None:
        if not self._settings.username:
            return None
        return httpx.BasicAuth(self._settings.username, self._secret(self._settings.password_file))

    def _secret(self, path: str) -> str:
        try:
            secret = (self._base / path).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise Denied(f"{path} cannot be read: {type(error).__name__}") from error
        if not secret.isprintable() or not secret.isascii():
            raise Denied(f"{path} holds more than one line, or characters no header may have")
        return secret

    def _trusted(self) -> ssl.SSLContext:
        given = self._settings
        try:
            ca = str(self._base / given.ca_file) if given.ca_file else None
            trusted = ssl.create_default_context(cafile=ca)
            if given.cert_file:
                certificate, key = self._base / given.cert_file, self._base / given.key_file
                trusted.load_cert_chain(certificate, key, password=lambda: "")
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise Denied(f"certificates of observability.prometheus: {said(str(error))}") from error
        return trusted

    async def aclose(self) -> None:
        await self._http.aclose()
