"""A run of drills, one after the other, each on its own clean stage."""

from __future__ import annotations

import time
from collections.abc import Sequence

from holdfast.drills.catalog import Act, Drill, Ground
from holdfast.drills.meters import GeneratorFailed, machine_facts
from holdfast.drills.promises import catalogue
from holdfast.drills.report import Report
from holdfast.drills.stage import NoStage, find_example
from holdfast.drills.telling import Teller
from holdfast.spec.model import Promises

ENGINE_PROMISES = Promises(throughput=1e6, p99=0.010)


def run_drills(
    drills: Sequence[Drill], teller: Teller, quick: bool, replicas: int, command: str
) -> Report:
    """Play them all. A generator that broke is tried once more: it says nothing of Holdfast.

    A drill without a stage is told in the report and keeps what the others found; ``NoStage``
    is raised when none could be played.
    """
    ground = Ground(
        tell=teller,
        promises=catalogue(ENGINE_PROMISES),
        quick=quick,
        replicas=replicas,
        on_pulse=teller.pulse,
        spec_path=find_example(),
    )
    began = time.monotonic()
    acts: list[Act] = []
    unplayed: list[tuple[str, str]] = []
    for drill in drills:
        try:
            acts.append(_play(drill, ground, teller))
        except NoStage as error:
            teller.say(f"not played: {error.detail}", "bad")
            unplayed.append((drill.name, error.detail))
            trouble = error
    if not acts:
        raise trouble
    seconds = time.monotonic() - began
    return Report(tuple(acts), machine_facts(), command, seconds, unplayed=tuple(unplayed))


def _play(drill: Drill, ground: Ground, teller: Teller) -> Act:
    teller.head(f"{drill.name}: {drill.says}")
    try:
        return drill.play(ground)
    except GeneratorFailed as error:
        teller.say(f"void, once more: {error}", "void")
    try:
        return drill.play(ground)
    except GeneratorFailed as error:
        raise NoStage(f"the load generator failed twice: {error}") from error
