"""Who sits at a browser: a link that works once, then a cookie that ends by itself.

    holdfast console --> code (in memory, 2 minutes, once) --> cookie (8 hours at most)

Of codes and cookies only hashes are kept. Sessions outlive the conductor in ``console.json``
(0600), so that a page goes on after a restart. A session got by a bearer token ends with it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass

from holdfast.conductor.auth import Identity, Role, TokenProblem, read_tokens
from holdfast.runtime.home import Home, UnsafeHome, read_private, write_private

LINK_S_MAX = 120.0
SESSION_S_MAX = 8 * 3600.0
LINKS_MAX = SESSIONS_MAX = 64


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that was let in. ``token``: hash of the bearer token it was got by, or empty."""

    sha256: str
    name: str
    role: str
    token: str
    expires: float  # seconds since 1970

    @property
    def identity(self) -> Identity:
        return Identity(self.name, Role.named(self.role), self.token)


@dataclass(frozen=True, slots=True)
class _Link:
    name: str
    role: Role
    token: str
    expires: float


class Sessions:
    """All links and sessions of one home."""

    def __init__(self, home: Home, wall: Callable[[], float]) -> None:
        self._home, self._wall = home, wall
        self._file = home.path / "console.json"
        self._links: dict[str, _Link] = {}
        self._sessions: dict[str, Session] = {}
        self.port = 0  # where browsers were sent last
        self._recall()

    def link(self, who: Identity, role: Role) -> str:
        """A code by which a browser becomes ``who``, with ``role`` at the most."""
        self._expire()
        while len(self._links) >= LINKS_MAX:
            self._links.pop(next(iter(self._links)))
        code = secrets.token_urlsafe(24)
        until = self._wall() + LINK_S_MAX
        self._links[_digest(code)] = _Link(who.name, min(role, who.role), who.token, until)
        return code

    def redeem(self, code: str) -> str | None:
        """The text of a new session's cookie. None when the code is unknown, used or too old."""
        self._expire()
        link = self._links.pop(_digest(code), None)
        if link is None:
            return None
        while len(self._sessions) >= SESSIONS_MAX:
            self._sessions.pop(next(iter(self._sessions)))
        text = secrets.token_urlsafe(32)
        until = self._wall() + SESSION_S_MAX
        made = Session(_digest(text), link.name, link.role.word, link.token, until)
        self._sessions[made.sha256] = made
        self._remember()
        return text

    def find(self, text: str) -> Session | None:
        session = self._sessions.get(_digest(text))
        if session is None or session.expires <= self._wall() or not self._token_lives(session):
            return None
        return session

    def end(self, text: str) -> None:
        if self._sessions.pop(_digest(text), None) is not None:
            self._remember()

    def listen_at(self, port: int) -> None:
        """Remember the port, because open pages will ask there again."""
        if port != self.port:
            self.port = port
            self._remember()

    @property
    def any_alive(self) -> bool:
        self._expire()
        return bool(self._sessions)

    def _token_lives(self, session: Session) -> bool:
        if not session.token:
            return True
        try:
            known = read_tokens(self._home.tokens)
        except (TokenProblem, UnsafeHome):
            return False
        return any(each.sha256 == session.token for each in known)

    def _expire(self) -> None:
        now = self._wall()
        self._links = {key: each for key, each in self._links.items() if each.expires > now}
        self._sessions = {key: s for key, s in self._sessions.items() if s.expires > now}

    def _remember(self) -> None:
        body = {"port": self.port, "sessions": [asdict(s) for s in self._sessions.values()]}
        write_private(self._file, json.dumps(body).encode())

    def _recall(self) -> None:
        """A damaged or foreign file means signing in again, nothing worse."""
        try:
            kept = json.loads(read_private(self._file))
            found = [Session(**each) for each in kept["sessions"]]
            self.port = int(kept["port"])
            self._sessions = {each.sha256: each for each in found if Role.named(each.role)}
        except (OSError, UnsafeHome, ValueError, TypeError, KeyError):
            self._sessions = {}


def csrf_of(text: str) -> str:
    """What a page must send with every write: another site cannot read it."""
    return _digest(f"csrf:{text}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
