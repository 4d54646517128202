"""One registry over HTTP: opencontainers/distribution-spec v1.1, with tokens or a password.

Every read is verified against its digest. What may be repeated is repeated when the network or
the registry stumbles; an upload goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlparse

import httpx2 as httpx

from holdfast.supply.images.layout import INDEX_TYPES, MANIFEST_TYPES
from holdfast.supply.registry.credentials import Login

TRIES = 5
PAUSE_S = 0.2  # doubled at every try
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_STUMBLES = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_NEXT = re.compile(r'<([^>]+)>;\s*rel="?next"?')
_PLAIN = ("localhost", "127.0.0.1", "[::1]")
_ACCEPT = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))


class RegistryError(Exception):
    """What the registry said, or that it said nothing; ``status`` is 0 then."""

    def __init__(self, says: str, status: int = 0) -> None:
        super().__init__(says)
        self.status = status


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index as the registry has it."""

    media_type: str
    digest: str
    data: bytes


class Registry:
    """A connection to one registry. Not for several threads at once."""

    def __init__(
        self,
        host: str,
        login: Login | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.host = host
        scheme = "http" if host.rpartition(":")[0] in _PLAIN or host in _PLAIN else "https"
        self._base = f"{scheme}://{host}"
        self._login, self._sleep = login, sleep
        self._tokens: dict[str, str] = {}
        self._http = httpx.Client(timeout=_TIMEOUT, transport=transport, follow_redirects=True)

    def close(self) -> None:
        self._http.close()

    def repositories(self) -> list[str]:
        """Names in the registry's catalogue."""
        return [
            str(each) for each in self._listed("/v2/_catalog", "repositories", "registry:catalog:*")
        ]

    def tags(self, repository: str) -> list[str]:
        """None where the repository does not exist yet."""
        try:
            found = self._listed(f"/v2/{repository}/tags/list", "tags", _pull(repository))
        except RegistryError as error:
            if error.status == 404:
                return []
            raise
        return sorted(str(each) for each in found)

    def manifest(self, repository: str, reference: str) -> Manifest:
        """By tag or digest; verified. Raises ``RegistryError``."""
        url = f"/v2/{repository}/manifests/{quote(reference)}"
        answer = self._ask("GET", url, _pull(repository), headers={"Accept": _ACCEPT})
        digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
        if reference.startswith("sha256:") and digest != reference:
            raise RegistryError(f"{self.host} gave other bytes for {reference}")
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        return Manifest(media_type, digest, answer.content)

    def has_manifest(self, repository: str, digest: str) -> bool:
        return self._exists(f"/v2/{repository}/manifests/{digest}", repository)

    def has_blob(self, repository: str, digest: str) -> bool:
        return self._exists(f"/v2/{repository}/blobs/{digest}", repository)

    def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        headers = {"Content-Type": manifest.media_type}
        url = f"/v2/{repository}/manifests/{quote(reference)}"
        self._ask("PUT", url, _push(repository), headers=headers, content=manifest.data)

    def delete_manifest(self, repository: str, digest: str) -> None:
        """Raises ``RegistryError`` with 405 where the registry does not let anybody delete."""
        self._ask("DELETE", f"/v2/{repository}/manifests/{digest}", _delete(repository))

    def blob(self, repository: str, digest: str) -> bytes:
        """A small blob, verified."""
        answer = self._ask("GET", f"/v2/{repository}/blobs/{digest}", _pull(repository))
        if f"sha256:{hashlib.sha256(answer.content).hexdigest()}" != digest:
            raise RegistryError(f"{self.host} gave other bytes for {digest}")
        return answer.content

    @contextmanager
    def stream(
        self, repository: str, digest: str, offset: int
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """A large blob from ``offset`` on; says where it really begins. Not verified here."""
        scope, url = _pull(repository), f"{self._base}/v2/{repository}/blobs/{digest}"
        self._ask("HEAD", f"/v2/{repository}/blobs/{digest}", scope)  # gets a token if need be
        headers = self._authorised(scope) | ({"Range": f"bytes={offset}-"} if offset else {})
        try:
            with self._http.stream("GET", url, headers=headers) as answer:
                if answer.status_code not in (200, 206):
                    raise self._refusal(answer, "GET", url)
                begins = offset if answer.status_code == 206 else 0
                yield begins, answer.iter_bytes()
        except httpx.HTTPError as error:
            raise RegistryError(f"{self.host}: {_said(error)}") from error

    def start(self, repository: str, mount: str = "", source: str = "") -> str:
        """Begin an upload; empty when the blob was mounted from another repository instead."""
        asked = f"?mount={mount}&from={quote(source, safe='')}" if mount else ""
        scope = _push(repository) + (f" {_pull(source)}" if source else "")
        answer = self._ask("POST", f"/v2/{repository}/blobs/uploads/{asked}", scope)
        return "" if answer.status_code == 201 else self._location(answer)

    def progress(self, repository: str, location: str) -> tuple[str, int] | None:
        """Where an upload goes on and how much of it is there; None when it is forgotten."""
        try:
            answer = self._ask("GET", location, _push(repository))
        except RegistryError as error:
            if error.status in (400, 404, 405, 416):
                return None
            raise
        _, _, last = answer.headers.get("range", "").rpartition("-")
        done = int(last) + 1 if last.isdigit() and int(last) else 0
        return self._location(answer), done

    def append(self, repository: str, location: str, offset: int, data: bytes) -> str:
        """One piece; the place of the next. Not repeated here: ask ``progress`` first."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{offset}-{offset + len(data) - 1}",
        }
        scope = _push(repository)
        return self._location(self._ask("PATCH", location, scope, headers, data, tries=1))

    def finish(self, repository: str, location: str, digest: str) -> None:
        """The registry verifies the digest itself."""
        joint = "&" if "?" in location else "?"
        self._ask("PUT", f"{location}{joint}digest={digest}", _push(repository), tries=1)

    def _exists(self, url: str, repository: str) -> bool:
        try:
            self._ask("HEAD", url, _pull(repository), headers={"Accept": _ACCEPT})
        except RegistryError as error:
            if error.status == 404:
                return False
            raise
        return True

    def _listed(self, url: str, key: str, scope: str) -> list[Any]:
        found: list[Any] = []
        at: str | None = f"{url}?n=1000"
        while at:
            answer = self._ask("GET", at, scope)
            try:
                found += answer.json().get(key) or []
            except (ValueError, AttributeError):
                raise RegistryError(f"{self.host}: {url} is no list") from None
            more = _NEXT.search(answer.headers.get("link", ""))
            at = more[1] if more else None
        return found

    def _ask(
        self, method: str, url: str, scope: str,
        headers: dict[str, str] | None = None, content: bytes | None = None, tries: int = TRIES,
    ) -> httpx.Response:  # fmt: skip
        address = urljoin(self._base, url)
        answer: httpx.Response | None = None
        says = ""
        for again in range(tries):
            if again:
                self._sleep(PAUSE_S * 2 ** (again - 1))
            try:
                answer = self._sent(method, address, scope, headers or {}, content)
            except httpx.TransportError as error:
                answer, says = None, f"{self.host}: {_said(error)}"
                continue
            if answer.status_code not in _STUMBLES:
                break
        if answer is None:
            raise RegistryError(says)
        if answer.is_error:
            raise self._refusal(answer, method, url)
        return answer

    def _sent(
        self, method: str, address: str, scope: str, headers: dict[str, str], content: bytes | None
    ) -> httpx.Response:
        told = self._authorised(scope) | headers
        answer = self._http.request(method, address, headers=told, content=content)
        if answer.status_code == 401 and self._learns(answer, scope):
            told = self._authorised(scope) | headers
            answer = self._http.request(method, address, headers=told, content=content)
        return answer

    def _authorised(self, scope: str) -> dict[str, str]:
        """Only what this registry asked for before: a password is never volunteered."""
        found = self._tokens.get(scope) or self._tokens.get("")
        return {"Authorization": found} if found else {}

    def _learns(self, answer: httpx.Response, scope: str) -> bool:
        """Whether the challenge could be met: distribution-spec, docker token authentication."""
        kind, _, rest = answer.headers.get("www-authenticate", "").partition(" ")
        if kind.lower() == "basic" and self._login and not self._tokens.get(""):
            request = httpx.Request("GET", self._base)
            basic = httpx.BasicAuth(self._login.name, self._login.password)
            self._tokens[""] = next(basic.auth_flow(request)).headers["Authorization"]
            return True
        if kind.lower() == "bearer":
            self._tokens[scope] = self._token(dict(_CHALLENGE.findall(rest)), scope)
            return True
        return False

    def _token(self, challenge: dict[str, str], scope: str) -> str:
        realm = challenge.get("realm", "")
        if urlparse(realm).scheme != "https" and urlparse(realm).hostname not in _PLAIN:
            raise RegistryError(f"{self.host} asks for the password at {realm}, which is not https")
        asked: dict[str, Any] = {"scope": scope.split(" ")}
        if "service" in challenge:
            asked["service"] = challenge["service"]
        login = (self._login.name, self._login.password) if self._login else None
        answer = self._http.get(realm, params=asked, auth=login)
        if answer.is_error:
            raise self._refusal(answer, "GET", realm)
        body = answer.json()
        return f"Bearer {body.get('token') or body.get('access_token')}"

    def _location(self, answer: httpx.Response) -> str:
        """Where an upload goes on; never at another host, which would get our token."""
        found = urljoin(str(answer.request.url), answer.headers.get("location", ""))
        if urlparse(found).netloc != urlparse(self._base).netloc:
            raise RegistryError(f"{self.host} sends an upload to {urlparse(found).netloc}")
        return found

    def _refusal(self, answer: httpx.Response, method: str, url: str) -> RegistryError:
        answer.read()
        said = ""
        try:
            first = answer.json()["errors"][0]
            said = f": {first.get('code', '')} {first.get('message', '')}".rstrip()
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            pass
        path = urlparse(url).path
        return RegistryError(
            f"{self.host} answered {answer.status_code} to {method} {path}{said}",
            answer.status_code,
        )


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _pull(repository: str) -> str:
    return f"repository:{repository}:pull"


def _push(repository: str) -> str:
    return f"repository:{repository}:pull,push"


def _delete(repository: str) -> str:
    return f"repository:{repository}:delete"
