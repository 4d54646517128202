"""Why no rollout may start now: outside every window, or inside a freeze. All in UTC.

Only *starting* and *rising* are ever blocked. A rollback, an abort and the end of a rollout never
ask here: that is the caller's duty, and the reason why this module knows nothing of rollouts.
A freeze that cannot be read blocks: an unreadable "no" must not turn into a "yes".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from holdfast.spec.model import Freeze, Service, Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86_400
AHEAD_DAYS = 8  # a weekly window opens within a week


def blocked(service: Service, wall: float) -> str | None:
    """A sentence that says why no rollout may start at ``wall`` (UTC epoch), and when one may."""
    now = int(wall)
    rollout = service.rollout
    reason = _frozen(rollout.freezes, now) or _closed(rollout.windows, now)
    if reason is None:
        return None
    opens = next_opening(service, now)
    when = f"rollouts may start again at {_utc(opens)}" if opens else "no opening is in sight"
    return f"{reason}; {when} (a rollback is possible at any time)"


def next_opening(service: Service, now: int) -> int | None:
    """The first second from ``now`` on at which a rollout may start."""
    rollout = service.rollout
    for at in sorted(_candidates(rollout.windows, rollout.freezes, now)):
        if not _frozen(rollout.freezes, at) and not _closed(rollout.windows, at):
            return at
    return None


def _frozen(freezes: tuple[Freeze, ...], now: int) -> str | None:
    for freeze in freezes:
        span = f"the freeze from {freeze.start} to {freeze.end}"
        try:
            start, end = instant(freeze.start), instant(freeze.end)
        except ValueError:
            return f"{span} cannot be read as two RFC 3339 instants and blocks until it is mended"
        if start <= now < end:
            return f"{span} forbids rollouts" + (f" ({freeze.reason})" if freeze.reason else "")
    return None


def _closed(windows: tuple[Window, ...], now: int) -> str | None:
    if not windows or any(_inside(window, now) for window in windows):
        return None
    spans = ", ".join(f"{'/'.join(w.days)} {w.start}-{w.end}" for w in windows)
    return f"it is {_utc(now)}, outside the windows {spans} UTC"


def _inside(window: Window, now: int) -> bool:
    """A window whose end is not after its start runs over midnight into the next day."""
    start, end = _seconds(window.start), _seconds(window.end)
    day, second = now // DAY_S, now % DAY_S
    if start < end:
        return _named(day) in window.days and start <= second < end
    late = _named(day) in window.days and second >= start
    return late or (_named(day - 1) in window.days and second < end)


def _candidates(
    windows: tuple[Window, ...], freezes: tuple[Freeze, ...], now: int
) -> Iterator[int]:
    """Every instant at which "may not" can turn into "may"."""
    for base in (now, *_ends(freezes, now)):
        yield base
        for day in range(base // DAY_S, base // DAY_S + AHEAD_DAYS):
            yield from (at for w in windows if (at := day * DAY_S + _seconds(w.start)) >= base)


def _ends(freezes: tuple[Freeze, ...], now: int) -> Iterator[int]:
    for freeze in freezes:
        try:
            end = instant(freeze.end)
        except ValueError:
            continue
        if end > now:
            yield end


def instant(text: str) -> int:
    """RFC 3339 to epoch seconds; without an offset it is UTC. Raises ``ValueError``."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())


def _seconds(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60


def _named(day: int) -> str:
    return DAYS[(day + 3) % 7]  # 1 January 1970 was a Thursday


def _utc(at: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
    return f"{DAYS[moment.weekday()]} {moment:%Y-%m-%d %H:%M} UTC"
