"""``rollout.windows`` and ``rollout.freezes`` as sync windows of Argo CD.

``manualSync`` is true on all of them: they stop what Argo CD starts by itself, which includes each
wave of a RollingSync, and never a person who goes back to an earlier commit (argo-cd v3.5,
``controller/sync.go`` asks ``InitiatedBy.Automated``, which RollingSync sets). What runs when a
window closes may finish.

A sync window is a cron line, which knows no year. A freeze therefore comes back each year until it
is taken out of the spec.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Freeze, Service, Window
from holdfast.spec.rules.rollout import instant

KEYS = ("rollout.windows", "rollout.freezes")
_CRON_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}


def sync_windows(service: Service) -> list[Object]:
    """For the Applications of this service; none: Argo CD may sync at any time."""
    return [*map(_allow, service.rollout.windows), *_denials(service.rollout.freezes)]


def _allow(window: Window) -> Object:
    hour, minute = divmod(_minutes(window.start), 60)
    days = ",".join(map(str, sorted(_CRON_DAYS[day] for day in window.days)))
    spent = _minutes(window.end) - _minutes(window.start)
    return _window("allow", f"{minute} {hour} * * {days}", spent, "Rollouts may start.")


def _denials(freezes: tuple[Freeze, ...]) -> Iterator[Object]:
    for freeze in freezes:
        start, end = instant(freeze.start), instant(freeze.end)
        if start and end:
            yield _deny(start.astimezone(UTC), end.astimezone(UTC), freeze.reason)


def _deny(start: datetime, end: datetime, reason: str) -> Object:
    start = start.replace(second=0, microsecond=0)  # a whole minute, and never less than was said
    spent = math.ceil((end - start).total_seconds() / 60)
    schedule = f"{start.minute} {start.hour} {start.day} {start.month} *"
    return _window("deny", schedule, spent, reason or "No rollout may start.")


def _window(kind: str, schedule: str, minutes: int, description: str) -> Object:
    return {
        "kind": kind,
        "schedule": schedule,
        "duration": f"{minutes}m",
        "timeZone": "UTC",
        "applications": ["*"],
        "manualSync": True,
        "syncOverrun": True,
        "description": description,
    }


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
