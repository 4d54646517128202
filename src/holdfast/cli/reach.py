"""Which home, which spec file, which service, which conductor: from words to the thing itself."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli.complaint import Complaint
from holdfast.runtime.home import SPEC_NAME, Home, find_home, spec_in

if TYPE_CHECKING:
    from holdfast.cli.options import Where
    from holdfast.conductor.client import Client

ADDRESS_VARIABLE = "HOLDFAST_CONDUCTOR"
TOKEN_VARIABLE = "HOLDFAST_TOKEN"
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[^\s:/@\x00-\x1f]+):([0-9]{1,5})")
_SERVICE_LINE = re.compile(r"^service:\s*[\"']?([a-z][a-z0-9-]*)", re.MULTILINE)


def home_of(file: Path | None) -> Path:
    return find_home(file).absolute()


def spec_path(where: Where) -> Path | None:
    """The spec file meant: the one named, else the nearest at or above this directory."""
    if where.file is not None:
        inside = spec_in(where.file) or where.file / SPEC_NAME
        path = inside if where.file.is_dir() else where.file
        if not path.is_file():
            raise Complaint(f"there is no file {path}", "name another with -f", code="no-spec")
        return path
    here = Path.cwd()
    return next(filter(None, map(spec_in, (here, *here.parents))), None)


def spec_text(where: Where) -> tuple[Path, str]:
    """The path and the text of the spec; a missing one is said, with the way to get one."""
    path = spec_path(where)
    if path is None:
        raise Complaint(
            f"there is no {SPEC_NAME} here or in a directory above",
            "write one with: holdfast init",
            code="no-spec",
        )
    try:
        return path.absolute(), path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Complaint(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}",
            "save it as UTF-8",
            code="invalid-spec",
        ) from error


def named_in(path: Path | None) -> str | None:
    """The service a spec file is about.

    Read with one regular expression and not the loader: ``abort`` and ``rollback`` must work
    while somebody has a broken spec open in an editor.
    """
    if path is None:
        return None
    try:
        match = _SERVICE_LINE.search(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return match[1] if match else None


def reach(where: Where) -> Client:
    """The conductor of this home, or the one ``HOLDFAST_CONDUCTOR`` and its token name."""
    from holdfast.conductor.client import Client

    if address := os.environ.get(ADDRESS_VARIABLE):
        token = _checked(address, os.environ.get(TOKEN_VARIABLE))
        return Client(address, token, _say_once("waiting for an answer"))
    return Client(Home(home_of(where.file)).socket, slow=_say_once("waiting for the conductor"))


def _checked(address: str, token: str | None) -> str | None:
    """The token, when both words can be sent. Never repeats the token, not even a wrong one."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 1 <= int(match[1]) <= 65_535:
        says = f"{ADDRESS_VARIABLE}: found {address!r}, wanted HOST:PORT"
        raise Complaint(says, f"{ADDRESS_VARIABLE}=127.0.0.1:8443")
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        says = f"{TOKEN_VARIABLE}: found characters that no token has"
        raise Complaint(says, "holdfast token create NAME, on the conductor's machine")
    return token


def _say_once(words: str) -> Callable[[], None]:
    """Says on the other stream that something takes time, so that no output for programs breaks."""
    said: list[str] = []

    def say() -> None:
        if not said:
            said.append(words)
            print(f"{words} ...", file=sys.stderr, flush=True)

    return say


def pick_service(where: Where, client: Client) -> str:
    """``--service``; else the spec file's service; else the only one there is."""
    services = client.services()
    known = [status["service"] for status in services]
    wanted = where.service or (named_in(where.file) if where.file else None)
    if wanted is not None:
        return _known(wanted, known)
    nearby = named_in(spec_path(where))
    live = [status["service"] for status in services if not status["state"]["retired"]]
    for choice in (known, [nearby] if nearby in known else [], live):
        if len(choice) == 1:
            return str(choice[0])
    if not known:
        hint = "holdfast up; an idle conductor is stopped by: holdfast down --all"
        raise Complaint("no service is deployed here", hint, code="no-service")
    raise Complaint(
        f"there are {len(known)} services here: {', '.join(known)}",
        f"say which: --service {known[0]}",
        code="ambiguous-service",
    )


def names(client: Client) -> list[str]:
    return [status["service"] for status in client.services()]


def _known(wanted: str, known: list[str]) -> str:
    if wanted in known:
        return wanted
    others = f"there is {', '.join(known)}" if known else "nothing is deployed: holdfast up"
    raise Complaint(f"there is no service {wanted!r} here", others, code="unknown-service")


def is_running(client: Client) -> bool:
    from holdfast.conductor.client import NoConductor

    try:
        client.healthz()
    except NoConductor:
        return False
    return True


def is_remote() -> bool:
    """Whether the conductor is another machine's, so that it is not ours to start and stop."""
    return bool(os.environ.get(ADDRESS_VARIABLE))


def reach_or_start(where: Where, listen: str | None) -> tuple[Client, bool]:
    """A conductor that answers, and whether this call started it."""
    client = reach(where)
    if is_remote() or is_running(client):
        return client, False
    from holdfast.conductor.daemon import start_daemon

    start_daemon(Home(home_of(where.file)), listen)
    return client, True
