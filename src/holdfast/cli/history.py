"""``holdfast history``: what happened, who did it, and why. Read from the ledger itself.

No conductor is needed: history is there when everything else is down. Sentences are made from the
recorded fields and not from today's classes, so a ledger of an older version still reads well.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import printing
from holdfast.cli.options import Where, addressed
from holdfast.cli.recorded import at_home

if TYPE_CHECKING:
    from holdfast.ledger import Archive, Entry

Fields = Mapping[str, Any]
#: Facts the engine needs every second and nobody wants to read.
QUIET = ("Measured", "Progressed")
FOLLOW_S = 0.5
ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as it is told."""

    index: int
    wall: float
    service: str
    kind: str
    by: str
    sentence: str
    fields: Fields

    @property
    def time(self) -> str:
        return datetime.fromtimestamp(self.wall, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@click.command()
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), default=30, show_default=True,
    help="How many of the last entries to show.",
)  # fmt: skip
@click.option("-a", "--all", "everything", is_flag=True, help="Also show samples and progress.")
@click.option("--follow", is_flag=True, help="Go on showing new entries until Ctrl-C.")
@at_home
@addressed
def command(where: Where, home: Path | None, limit: int, everything: bool, follow: bool) -> None:
    """Show what happened, who did it, and why, oldest first.

    Reads the ledger directly, so it also works when no conductor runs. With ``--follow --json``
    each entry is one JSON line.
    """
    from holdfast.cli.reach import named_in
    from holdfast.cli.recorded import home_path, recorded

    service = where.service or named_in(where.file)
    hidden = () if everything else QUIET
    with recorded(home_path(home, where.file)) as archive:
        start = archive.size
        lines = [line_of(entry) for entry in archive.latest(limit, service, hidden)]
        if where.json and not follow:
            printing.say_json({"entries": [document(line) for line in lines]})
            return
        show(lines, where.json)
        if not lines and not follow and not where.json:
            printing.say(f"nothing has happened {f'to {service}' if service else 'here'} yet")
        if follow:
            _follow(archive, start, Where(where.file, service, where.json), hidden)


def _follow(archive: Archive, start: int, where: Where, hidden: Iterable[str]) -> None:
    try:
        while True:
            for entry in archive.entries(start, archive.size):
                start = entry.index + 1
                wanted = where.service in (None, entry.stream, entry.stream.split("/")[0])
                if wanted and entry.kind not in hidden:
                    show([line_of(entry)], where.json)
            time.sleep(FOLLOW_S)
    except KeyboardInterrupt:
        return  # leaving is the only way to end it, so it is not a failure


def show(lines: list[Line], as_json: bool) -> None:
    if as_json:
        for line in lines:
            printing.say_json_line(document(line))
        return
    services = max((len(line.service) for line in lines), default=0)
    people = max((len(line.by) for line in lines), default=0)
    for line in lines:
        stamp, name = printing.tone(line.time, "dim"), printing.tone(line.service, "name")
        pad = " " * (services - len(line.service))
        said = printing.plain(f"{line.by.ljust(people)}  {line.sentence}")
        printing.say(f"{stamp}  {name}{pad}  {said}")


def document(line: Line) -> dict[str, Any]:
    return {
        "index": line.index,
        "time": line.time,
        "wall": line.wall,
        "service": line.service,
        "kind": line.kind,
        "by": line.by,
        "sentence": line.sentence,
        "fields": line.fields,
    }


def line_of(entry: Entry) -> Line:
    fields = fields_of(entry.body)
    by = fields.get("by") or fields.get("owner") or ENGINE
    sentence = tell(entry.kind, fields)
    service = entry.stream.split("/")[0]
    return Line(entry.index, entry.wall, service, entry.kind, str(by), sentence, fields)


def fields_of(body: bytes) -> Fields:
    """The recorded fields; a body that is no JSON object is told by its size."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"bytes": len(body)}


# ---- sentences ----------------------------------------------------------------------------------


def tell(kind: str, fields: Fields) -> str:
    """What an entry means. Kinds without a sentence are told by their fields."""
    sentence = SENTENCES.get(kind)
    try:
        told = sentence(fields) if sentence else _plainly(kind, fields)
    except (KeyError, TypeError, IndexError, ValueError):
        told = _plainly(kind, fields)  # an older or newer version wrote other fields
    return " ".join(told.split())


def _plainly(kind: str, fields: Fields) -> str:
    shown = (f"{name}={_short(value)}" for name, value in fields.items() if name != "is")
    return " ".join([kind, *shown])


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _because(fields: Fields) -> str:
    return f": {fields['reason']}" if fields.get("reason") else ""


def _names(plan: Fields) -> str:
    old, new = plan["old"], plan["new"]["version"]
    return f"{old['version']} -> {new}" if old else f"{new} (first deploy)"


def _started(fields: Fields) -> str:
    plan = fields["plan"]
    count = len(plan["ladder"])
    what = "rollback" if plan["rollback"] else f"{plan['strategy']} rollout"
    steps = f"{count} step" + ("" if count == 1 else "s")
    forced = ", forced" if fields.get("forced") else ""
    return f"{what} {_names(plan)} started: {steps}, {plan['replicas']} replicas{forced}"


def _measured(fields: Fields) -> str:
    sample = fields["sample"]
    if sample["source"] != "ok":
        return f"metric source {sample['source']}"
    arms = (f"{arm}: {c['errors']} of {c['requests']} failed" for arm, c in sample["arms"])
    return f"measured {sample['seconds']:g} s; " + (", ".join(arms) or "no requests")


def _judged(fields: Fields) -> str:
    verdict = fields["verdict"]
    return f"verdict on step {fields['step'] + 1}: {verdict['mark'].upper()}: {verdict['detail']}"


def _finished(fields: Fields) -> str:
    words = {
        "promoted": "rollout finished: promoted",
        "reverted": "rollout taken back",
        "superseded": "rollout superseded by a newer one",
        "stranded": "rollout stranded; a person is needed",
    }
    return words.get(fields["ending"], f"rollout ended: {fields['ending']}") + _because(fields)


#: Kind of entry -> its sentence. Every event of ``rollout.model.Event`` is here.
SENTENCES: dict[str, Callable[[Fields], str]] = {
    "Started": _started,
    "Queued": lambda f: f"rollout {_names(f['plan'])} queued behind the running one",
    "Dequeued": lambda f: f"queued rollout {f['rollout']} let go{_because(f)}",
    "StepEntered": lambda f: f"step {f['step'] + 1} entered",
    "WeightReached": lambda f: f"traffic of step {f['step'] + 1} reached the data plane",
    "Measured": _measured,
    "Progressed": lambda f: f"{f['ready']} new instances ready",
    "Slipped": lambda f: f"new release lost instances: {f['ready']} still ready",
    "Judged": _judged,
    "SettleEntered": lambda f: "100 % reached; baking before it is called promoted",
    "RevertOrdered": lambda f: f"rollback ordered ({f['code']}){_because(f)}",
    "Finished": _finished,
    "WarmEnded": lambda f: f"{f['release']} is no longer kept warm{_because(f)}",
    "Paused": lambda f: f"rollout paused{_because(f)}",
    "Resumed": lambda f: "rollout resumed",
    "Approved": lambda f: f"step {f['step'] + 1} approved",
    "PromoteRequested": lambda f: "rest of the step's wait skipped",
    "AbortRequested": lambda f: f"abort requested{_because(f)}",
    "Scaled": lambda f: f"scaled to {f['replicas']} replicas",
    "ConductorStarted": lambda f: f"conductor took over, generation {f['generation']}",
    "Retired": lambda f: "service taken down",
    "ServiceAdded": lambda f: f"service {f['service']} added, target {f['target']}",
    "GateOverridden": lambda f: f"{f['gate']} overridden for rollout {f['rollout']}",
    "ReleaseStored": lambda f: f"release {f['release']} kept for deploy and rollback",
}
