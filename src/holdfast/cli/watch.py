"""Following a rollout: in place on a terminal, one line per fact in a pipe, always to its end.

The conductor does the work; this only watches. Ctrl-C therefore detaches and stops nothing.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.cli import printing
from holdfast.cli.complaint import FAILED, INTERRUPTED, OK, Complaint
from holdfast.cli.picture import Picture, absorb, event_of, holds_of, look, unheard_ending
from holdfast.cli.telling import ending_line, event_line, failure_lines, hold_line
from holdfast.rollout.model import Ending, Started
from holdfast.runtime.units import show_duration

if TYPE_CHECKING:
    from holdfast.conductor.client import Client, EventDoc, StatusDoc

#: How long a conductor that is being restarted may be silent before we give up watching.
PATIENCE_S = 30.0
LOOK_EVERY_S = 0.5
#: An ending that a look saw is believed after so long without news: its event may be on the way.
UNHEARD_S = 2.0
TICK_S = 0.1
#: A rollout with a sample every tenth of a second has so many entries in half an hour.
LOOK_BACK = 20_000
#: The same wait is told again in a pipe after this long, with its new numbers.
REPEAT_WAIT_S = 10.0
DETACHED = (
    "detached: the rollout goes on; look with: holdfast status, take it back with: holdfast abort"
)


class Screen(Protocol):
    """Where progress is shown."""

    def fact(self, line: str, picture: Picture) -> None: ...

    def tick(self, picture: Picture) -> None: ...


class PlainScreen:
    """One line per fact, stamped with the seconds since the rollout began.

    A wait is told when it begins, and again now and then with its new numbers.
    """

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def fact(self, line: str, picture: Picture) -> None:
        printing.say(printing.plain(f"{_stamp(picture)}  {line}"))

    def tick(self, picture: Picture) -> None:
        now = time.monotonic()
        waits = dict(picture.holds)
        self._told = {code: at for code, at in self._told.items() if code in waits}
        for code, detail in waits.items():
            if now - self._told.get(code, -REPEAT_WAIT_S) >= REPEAT_WAIT_S:
                self._told[code] = now
                self.fact(hold_line(code, detail), picture)


class NoScreen:
    """For ``--json``: one document at the end is all a program wants."""

    def fact(self, line: str, picture: Picture) -> None:
        """Nothing is shown on the way."""

    def tick(self, picture: Picture) -> None:
        """Nothing is shown on the way."""


def _stamp(picture: Picture) -> str:
    return f"+{picture.elapsed_s:6.2f}s"


@contextlib.contextmanager
def screen(as_json: bool) -> Iterator[Screen]:
    if as_json:
        yield NoScreen()
    elif printing.is_live():
        from holdfast.cli.live import live_screen

        with live_screen() as shown:
            yield shown
    else:
        yield PlainScreen()


# ---- following ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watched:
    """A service, and from which ledger index on it is listened to and told about."""

    client: Client
    service: str
    since: int
    told_from: int

    def earlier(self) -> Watched:
        """Far enough back to hear how a rollout that runs already began."""
        return replace(self, since=max(0, self.since - LOOK_BACK))


def begin(client: Client, service: str) -> Watched:
    """Mark the present end of the service's ledger, before a command is given."""
    end = client.history_end()
    return Watched(client, service, end, end)


def follow(watched: Watched, rollout: str, as_json: bool, wanted: Ending = Ending.PROMOTED) -> int:
    """Watch ``rollout`` to its end and say how it ended. 0 when that is the wanted ending."""
    try:
        with screen(as_json) as shown:
            picture = _watch(watched, Picture(rollout), shown)
        picture = _look(watched, picture)
        _conclude(watched, picture, as_json, picture.ending is wanted)
    except KeyboardInterrupt:
        raise Complaint(DETACHED, code="detached", exit_code=INTERRUPTED) from None
    return OK if picture.ending is wanted else FAILED


def _watch(watched: Watched, picture: Picture, shown: Screen) -> Picture:
    news = _news(watched)
    heard_at = looked_at = time.monotonic()
    while picture.ending is None:
        with contextlib.suppress(queue.Empty):
            picture = _hear(watched, news.get(timeout=TICK_S), picture, shown)
            heard_at = time.monotonic()
        now = time.monotonic()
        if news.empty() and now - looked_at >= LOOK_EVERY_S:
            picture, looked_at = _look(watched, picture), now
        if now - heard_at >= UNHEARD_S:
            picture = unheard_ending(picture) or picture
        shown.tick(picture)
    return picture


def _hear(
    watched: Watched, document: EventDoc | BaseException, picture: Picture, shown: Screen
) -> Picture:
    if isinstance(document, BaseException):
        raise document
    event = event_of(document)
    if event is None:
        holds = holds_of(document)
        return picture if holds is None else replace(picture, holds=holds)
    after = absorb(picture, event)
    line = event_line(event, after)
    if line is not None and (_is_new(watched, document) or isinstance(event, Started)):
        shown.fact(line, after)
    return after


def _is_new(watched: Watched, document: EventDoc) -> bool:
    """Who joins a rollout is not told again what happened before."""
    return document["index"] is not None and document["index"] >= watched.told_from


def _look(watched: Watched, picture: Picture) -> Picture:
    from holdfast.conductor.client import NoConductor

    try:
        return look(picture, watched.client.status(watched.service))
    except NoConductor:
        return picture  # being restarted; the event stream decides when to give up


def _news(watched: Watched) -> queue.Queue[EventDoc | BaseException]:
    """Events as they come. A thread, because the blocking client has no other way to wait."""
    news: queue.Queue[EventDoc | BaseException] = queue.Queue()

    def listen() -> None:
        try:
            for document in watched.client.events(watched.service, watched.since, PATIENCE_S):
                news.put(document)
        except BaseException as error:
            news.put(error)

    threading.Thread(target=listen, daemon=True, name="events").start()
    return news


# ---- endings ------------------------------------------------------------------------------------


def _conclude(watched: Watched, picture: Picture, as_json: bool, good: bool) -> None:
    tail = _log_tail(watched, picture)
    if as_json:
        printing.say_json(conclusion(picture, tail))
        return
    for line in failure_lines(picture, tail) if not good else []:
        printing.say(printing.plain(line))
    printing.say(printing.tone(printing.plain(ending_line(picture)), "good" if good else "bad"))


def conclusion(picture: Picture, log_tail: list[str]) -> dict[str, Any]:
    """What a program learns about a finished rollout."""
    plan, ending = picture.plan, picture.ending
    assert plan is not None and ending is not None
    return {
        "service": picture.status["service"] if picture.status else None,
        "rollout": picture.rollout,
        "ending": ending.value,
        "old": plan.old.version if plan.old else None,
        "new": plan.new.version,
        "release": plan.new.id,
        "seconds": round(picture.elapsed_s, 6),
        "took": show_duration(picture.elapsed_s),
        "code": picture.revert.code if picture.revert else None,
        "reason": picture.revert.reason if picture.revert else picture.reason,
        "failure": picture.failure,
        "weights": picture.status["weights"] if picture.status else {},
        "log_tail": log_tail,
        "says": ending_line(picture),
    }


def _log_tail(watched: Watched, picture: Picture) -> list[str]:
    """What the instances of a release that failed printed last."""
    from holdfast.conductor.client import ConductorError

    if picture.ending is Ending.PROMOTED or picture.plan is None:
        return []
    try:
        logs = watched.client.logs(watched.service, release=picture.plan.new.id, lines=10)
    except ConductorError:
        return []  # the sentence about the ending matters more than the lines below it
    return [line for log in logs for line in log["lines"]][-10:]


def statuses(client: Client, service: str) -> Iterator[StatusDoc]:
    """A new status each time something changes, and twice a second while a rollout runs."""
    news = _news(begin(client, service))
    while True:
        status = client.status(service)
        yield status
        wait = LOOK_EVERY_S if status["state"]["rollout"] else LOOK_EVERY_S * 10
        with contextlib.suppress(queue.Empty):
            document = news.get(timeout=wait)
            if isinstance(document, BaseException):
                raise document
