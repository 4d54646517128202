"""Who may do what: roles, bearer tokens, and the peer of a Unix socket.

viewer < deployer < approver < admin; each role may do all that the ones before it may. The peer of
the Unix socket is known to the kernel: the same user (or root) is admin, anybody else is nobody.
Over TCP a bearer token names its role. Tokens are stored hashed; the plain text is shown once.

``by`` (who did it) is the user or the token's name. Only an admin may speak for somebody else,
because an admin could write that person's name into the token file anyway.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pwd
import re
import secrets
import socket
import struct
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path

from holdfast.runtime.home import Home, read_private, write_private

TOKENS_MAX = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_PEER = "uid:"


class Role(IntEnum):
    VIEWER = 1
    DEPLOYER = 2
    APPROVER = 3
    ADMIN = 4

    @classmethod
    def named(cls, word: str) -> Role:
        try:
            return cls[word.upper()]
        except KeyError:
            wanted = ", ".join(role.word for role in cls)
            raise TokenProblem(f"found role {word!r}, wanted one of {wanted}") from None

    @property
    def word(self) -> str:
        return self.name.lower()


class TokenProblem(ValueError):
    """The token file or a request to change it is wrong."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom the conductor knows."""

    name: str
    role: Role
    token: str = field(default="", compare=False, repr=False)  # its hash, when one was shown

    def acts_as(self, claimed: str | None) -> str:
        """The name to record: an admin may speak for somebody, others are who they are."""
        return claimed if claimed and self.role is Role.ADMIN else self.name


@dataclass(frozen=True, slots=True)
class Token:
    """What is stored of one token; never its text."""

    name: str
    role: str
    sha256: str
    created: float


# ---- tokens -------------------------------------------------------------------------------------


def create_token(home: Home, name: str, role: Role, wall: float) -> str:
    """Add a token and return its text, which is not stored anywhere."""
    if not _NAME.fullmatch(name):
        raise TokenProblem(f"found name {name!r}, wanted letters, digits and . _ @ - (at most 64)")
    tokens = read_tokens(home.tokens)
    if any(token.name == name for token in tokens):
        raise TokenProblem(f"a token named {name!r} exists; revoke it first")
    if len(tokens) >= TOKENS_MAX:
        raise TokenProblem(f"there are already {TOKENS_MAX} tokens; revoke some first")
    text = f"hf_{secrets.token_urlsafe(32)}"
    _write_tokens(home.tokens, (*tokens, Token(name, role.word, _digest(text), wall)))
    return text


def revoke_token(home: Home, name: str) -> None:
    tokens = read_tokens(home.tokens)
    if all(token.name != name for token in tokens):
        raise TokenProblem(f"there is no token named {name!r}")
    _write_tokens(home.tokens, tuple(token for token in tokens if token.name != name))


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a home; none when there is no file. Refuses a file others may read."""
    try:
        content = read_private(path)
    except FileNotFoundError:
        return ()
    try:
        tokens = tuple(Token(**each) for each in json.loads(content)["tokens"])
        for token in tokens:
            Role.named(token.role)
    except (ValueError, TypeError, KeyError) as error:
        raise TokenProblem(f"{path} is damaged: {error}") from error
    return tokens


def _write_tokens(path: Path, tokens: tuple[Token, ...]) -> None:
    body = {"tokens": [asdict(token) for token in tokens]}
    write_private(path, json.dumps(body, indent=2, sort_keys=True).encode())


def identify_token(path: Path, text: str) -> Identity | None:
    """Whose token this is. Looks at every stored hash, so timing does not tell which matched."""
    given = _digest(text)
    found = None
    for token in read_tokens(path):
        if hmac.compare_digest(token.sha256, given):
            found = Identity(token.name, Role.named(token.role), token.sha256)
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ---- peers of the Unix socket -------------------------------------------------------------------


def peer_address(connection: socket.socket) -> tuple[str, int] | None:
    """The kernel's word on who connected, in the place where ASGI keeps a peer's address.

    A TCP peer's address is an IP number, so it can never be mistaken for one of these.
    """
    if connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _gid = struct.unpack("3i", raw)
    return f"{_PEER}{uid}", pid


def is_peer(address: tuple[str, int] | None) -> bool:
    return address is not None and address[0].startswith(_PEER)


def identify_peer(address: tuple[str, int], own_uid: int | None = None) -> Identity | None:
    """The same user and root are admins. Everybody else is nobody."""
    uid = int(address[0].removeprefix(_PEER))
    own = os.geteuid() if own_uid is None else own_uid
    return Identity(user_name(uid), Role.ADMIN) if uid in (own, 0) else None


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
