"""``holdfast replay``: would this policy have rolled back? Judged on counters in the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import printing
from holdfast.cli.options import Finite, Where, addressed
from holdfast.cli.recorded import at_home

if TYPE_CHECKING:
    from holdfast.ledger import Archive
    from holdfast.rollout.model import Event, JudgePolicy
    from holdfast.rollout.replay import Replay


@click.command()
@click.option("--alpha", type=Finite(0, 0.5, min_open=True), help="Chance of a false stop.")
@click.option("--error-rate-max", type=Finite(0, 1, min_open=True), help="What PASS shows.")
@click.option("--ratio-tolerated", type=Finite(1, 10), help="No regression up to here.")
@at_home
@addressed
def command(where: Where, home: Path | None, **changes: float | None) -> None:
    """Judge past rollouts again, as they were planned or under another policy.

    Reads the recorded counters, so no traffic and no conductor is needed. An option left out keeps
    what the rollout was planned with.
    """
    from holdfast.cli.reach import named_in
    from holdfast.cli.recorded import home_path, recorded
    from holdfast.rollout.replay import replay

    wanted = {name: value for name, value in changes.items() if value is not None}
    with recorded(home_path(home, where.file)) as archive:
        services = [where.service or named_in(where.file)]
        found: dict[str, tuple[Replay, ...]] = {}
        for service in services if services[0] else _services(archive):
            events = _events(archive, str(service))
            found[str(service)] = replay(events, _policy(events, wanted))
    if where.json:
        printing.say_json({name: [_document(r) for r in runs] for name, runs in found.items()})
        return
    for name, runs in found.items():
        for run in runs:
            _tell(name, run)
    if not any(found.values()):
        printing.say("no rollout with recorded counters yet")


def _services(archive: Archive) -> list[str]:
    kinds = {(e.stream, e.kind) for e in archive.entries(0, archive.size)}
    return sorted(stream for stream, kind in kinds if kind == "Started")


def _events(archive: Archive, service: str) -> list[Event]:
    from holdfast.conductor.journal import EVENT_KINDS, read_event

    entries = (e for e in archive.entries(0, archive.size) if e.stream == service)
    return [read_event(e.body) for e in entries if e.kind in EVENT_KINDS]


def _policy(events: list[Event], wanted: dict[str, Any]) -> JudgePolicy | None:
    """The policy of the last rollout with the options put over it; None: each by its own."""
    from holdfast.rollout.model import Started

    plans = [event.plan for event in events if isinstance(event, Started)]
    return replace(plans[-1].judge, **wanted) if wanted and plans else None


def _document(run: Replay) -> dict[str, Any]:
    from holdfast.runtime.codec import encode

    document: dict[str, Any] = encode(run)
    return document


def _tell(service: str, run: Replay) -> None:
    really = (
        "went on"
        if run.reverted_after_s is None
        else f"was reverted after {run.reverted_after_s:.1f} s"
    )
    printing.say(f"{service}  rollout {run.rollout} {really}; {run.looks} intervals judged again")
    for turn in run.turns:
        verdict = turn.verdict
        printing.say(
            f"  +{turn.after_s:7.2f}s  step {turn.step + 1}  {verdict.mark.name}: {verdict.detail}"
        )
    printing.say(
        f"  users sent {run.requests} requests to the new release and got {run.errors} errors"
    )
