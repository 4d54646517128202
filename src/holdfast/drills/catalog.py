"""Every drill: a workload, what happens meanwhile, and which promises it measures.

A drill plays scenes on a clean stage while the open-loop generator runs, then asks the record.
It returns an ``Act``: the record, the scenes on one clock, and the findings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from holdfast.drills.meters import Load, LoadPlan, MachineMeter, Pulse
from holdfast.drills.promises import (
    QUIET,
    Finding,
    Noise,
    Promise,
    availability,
    find,
    show_bound_of_zero,
)
from holdfast.drills.record import Record, Window
from holdfast.drills.scenes import Director, Scene
from holdfast.drills.stage import NoStage, Stage

ROUNDS_MAX = 40
CALIBRATIONS, CALM_P99_MS = 4, 20.0
#: Two per cent above the promise: a window that cuts between two requests must not break it.
A_MILLION = LoadPlan(port=0, rate=1020, rows=1000)
OnPulse = Callable[[Pulse], None]

#: What a target must find out before users do: dead, or broken from the first answer on.
DEAD_VERSIONS = (
    "exits-at-once", "never-listens", "wrong-answer", "err500", "never-ready", "wrong-version",
    "wrong-length", "crashing", "leaking",
)  # fmt: skip


#: Those that die of work, so that nothing shows before they are given some.
DIE_WORKING = ("crashing", "leaking")


@dataclass(frozen=True)
class Ground:
    """What a drill stands on."""

    tell: Callable[[str], None]
    promises: dict[str, Promise]
    quick: bool = False
    replicas: int = 10
    on_pulse: OnPulse | None = None
    spec_path: Path | None = None


@dataclass(frozen=True)
class Act:
    """One drill as it was played."""

    name: str
    title: str
    record: Record
    scenes: tuple[Scene, ...]
    findings: tuple[Finding, ...]
    noise: Noise = QUIET


@dataclass(frozen=True)
class Drill:
    name: str
    measures: tuple[str, ...]
    says: str
    play: Callable[[Ground], Act] = field(repr=False)


Story = Callable[[Director], Iterable[Scene]]


def run(
    ground: Ground, load: LoadPlan, story: Story, calibrated: bool = False
) -> tuple[Record, tuple[Scene, ...], Noise]:
    """Set the stage, start the load, play the scenes, stop the load, take everything down."""
    ground.tell(f"setting the stage: a conductor and {ground.replicas} replicas behind Envoy")
    with Stage(ground.tell, ground.replicas, ground.spec_path) as stage:
        director = Director(stage)
        scenes = [_must(director.first())]
        plan = calibrate(replace(load, port=stage.port), stage) if calibrated else load
        plan = replace(plan, port=stage.port)
        ground.tell(f"load: {plan.rate:,.0f} requests/s of {plan.rows} rows, open loop")
        with Load(plan, stage.directory / "load.npz", ground.on_pulse) as running:
            running.wait_until_flowing()
            with MachineMeter(stage.roots) as meter:
                scenes += story(director)
                noise = meter.noise()
            record = running.stop()
    noise = replace(noise, lag_p99_ms=round(record.lag_ms(), 3), held_rate=record.held_rate())
    return record, tuple(scenes), noise


def calibrate(plan: LoadPlan, stage: Stage) -> LoadPlan:
    """The highest of a few rates that this machine answers calmly before anything happens."""
    for halvings in range(CALIBRATIONS):
        tried = replace(plan, rate=plan.rate / 2**halvings, duration=1.5)
        with Load(tried, stage.directory / "calibration.npz", None) as load:
            load.process.wait()
            p99 = load.stop().percentile_ms(99)
        if p99 <= CALM_P99_MS:
            break
        stage.tell(f"{tried.rate:,.0f} requests/s are too many here (p99 {p99:.0f} ms)")
    return replace(tried, duration=plan.duration)


def _must(scene: Scene) -> Scene:
    if not scene.as_expected and scene.outcome is not None:
        raise NoStage(f"the first deploy was {scene.outcome.ending}: {scene.outcome.reason}")
    return scene


# ---- measuring ----------------------------------------------------------------------------------


def deploy_time(promise: Promise, drill: str, scenes: Sequence[Scene], noise: Noise) -> Finding:
    """P1, the slowest full rollout, from the command until it was called promoted."""
    took = {
        f"{scene.name} {scene.version}": scene.outcome.seconds
        for scene in scenes
        if scene.outcome is not None and scene.expected == "promoted" and scene.as_expected
    }
    failed = [s.name for s in scenes if s.expected == "promoted" and not s.as_expected]
    measured = float("inf") if failed else max(took.values(), default=float("nan"))
    evidence = {"seconds": {name: round(s, 3) for name, s in took.items()}, "not promoted": failed}
    return find(promise, drill, measured, len(took) + len(failed), noise, evidence)


def rollback_time(
    promise: Promise, drill: str, record: Record, scenes: Sequence[Scene], noise: Noise
) -> Finding:
    """P2, the slowest way back: from the trigger to the last answer of the version that left.

    It cannot be known more finely than that version was asked: a canary with few requests may have
    been gone for as long as its answers were apart, which stands in the evidence.
    """
    took: dict[str, float] = {}
    for scene in scenes:
        last = record.last_answer(scene.version)
        if scene.trigger is not None and last is not None:
            took[f"{scene.name} {scene.version}"] = max(0.0, last - scene.trigger)
    evidence = {
        "seconds": {name: round(s, 4) for name, s in took.items()},
        "seconds between its answers before": {
            f"{s.name} {s.version}": round(record.answer_gap_s(s.version, s.trigger), 4)
            for s in scenes
            if s.trigger is not None and record.last_answer(s.version) is not None
        },
    }
    measured = max(took.values(), default=float("nan"))
    return find(promise, drill, measured, len(took), noise, evidence)


def lost_requests(
    promise: Promise, drill: str, record: Record, scenes: Sequence[Scene], noise: Noise
) -> Finding:
    """P3 over the whole run, with what each scene lost.

    Requests that ran out of time are a matter of time, which a busy machine can void; a refusal,
    a reset or a wrong answer never is.
    """
    lost = {f"{s.name} {s.version}".strip(): record.failures(s.window) for s in scenes}
    n = record.requests()
    evidence: dict[str, Any] = {
        "failures": record.failures(),
        "by scene": {name: kinds for name, kinds in lost.items() if kinds},
        "scenes": [s.name for s in scenes],
    }
    if not record.failed():
        evidence["bound"] = show_bound_of_zero(n)
    only_late = set(record.failures()) <= {"timeout"}
    asked = replace(promise, timed=only_late)
    return find(asked, drill, record.failed(), n, noise, evidence)


def latency(
    promise: Promise, drill: str, record: Record, scenes: Sequence[Scene], noise: Noise
) -> Finding:
    """P6, the worse of steady and deploying; each scene's own p99 stands beside it."""
    parts = {
        "steady": [s.window for s in scenes if s.outcome is None],
        "deploying": [s.window for s in scenes if s.outcome is not None],
    }
    p99 = {name: record.percentile_ms(99, *windows) for name, windows in parts.items() if windows}
    each = {
        f"{s.name} {s.version}".strip(): round(record.percentile_ms(99, s.window), 3)
        for s in scenes
        if record.requests(s.window) >= 100
    }
    measured = max(p99.values(), default=float("nan"))
    top = {f"p{q:g}": round(record.percentile_ms(q), 3) for q in (50, 99, 99.9, 100)}
    rounded = {name: round(value, 3) for name, value in p99.items()}
    evidence = {"p99 ms": rounded, "p99 ms by scene": each, "whole run": top}
    return find(promise, drill, measured, record.requests(), noise, evidence)


def throughput(
    promise: Promise, drill: str, record: Record, scenes: Sequence[Scene], noise: Noise
) -> Finding:
    """P7, the worse of steady and deploying: rows answered right, by when they were answered."""
    rows = int(record.plan["rows"]) or 1
    windows = [(scene, clip(scene.window, record.window)) for scene in scenes]
    each = {
        f"{scene.name} {scene.version}".strip(): round(record.answered(w) * rows / w.seconds)
        for scene, w in windows
        if w.seconds >= 0.5
    }
    parts = {
        "steady": [w for scene, w in windows if scene.outcome is None],
        "deploying": [w for scene, w in windows if scene.outcome is not None],
    }
    rates = {
        name: sum(record.answered(w) for w in part) * rows / seconds
        for name, part in parts.items()
        if (seconds := sum(w.seconds for w in part)) >= 0.5
    }
    measured = min(rates.values(), default=float("nan"))
    rounded = {name: round(rate) for name, rate in rates.items()}
    evidence = {"decisions/s": rounded, "decisions/s by scene": each, "rows": rows}
    return find(promise, drill, measured, record.requests(), noise, evidence)


def budget(promise: Promise, drill: str, record: Record, noise: Noise) -> Finding:
    """P8 from real counts: availability, and how much of the error budget is gone."""
    n, failed = record.requests(), record.failed()
    seen, at_least = availability(n, failed)
    asked = replace(promise, timed=set(record.failures()) <= {"timeout"})
    allowed = n * (1 - promise.bound / 100)
    evidence = {
        "requests": n, "failed": failed, "at least, with 95 % confidence": round(at_least, 5),
        "failures the budget allows": round(allowed, 2),
        "budget spent": f"{100 * failed / allowed:.0f} %" if allowed else "-",
    }  # fmt: skip
    return find(asked, drill, seen, n, noise, evidence)


def clip(window: Window, outer: Window) -> Window:
    return Window(max(window.start, outer.start), min(window.end, outer.end))


# ---- the drills ---------------------------------------------------------------------------------


def play_deploy(ground: Ground) -> Act:
    """A million decisions a second, steady and while every replica is replaced."""
    calm = 3.0 if ground.quick else 10.0

    def story(director: Director) -> Iterable[Scene]:
        yield director.steady(calm)
        for _ in range(1 if ground.quick else 3):
            yield director.rolling()
            yield director.steady(calm / 3)
        yield director.blue_green()

    record, scenes, noise = run(ground, A_MILLION, story)
    promises, played = ground.promises, scenes[1:]
    findings = (
        deploy_time(promises["P1"], "deploy", scenes, noise),
        latency(promises["P6"], "deploy", record, played, noise),
        throughput(promises["P7"], "deploy", record, played, noise),
        lost_requests(promises["P3"], "deploy", record, played, noise),
    )
    return Act("deploy", "A million decisions a second, while deploying", record, scenes, findings)


def play_rollback(ground: Ground) -> Act:
    """Back by command, and back by verdict."""

    def story(director: Director) -> Iterable[Scene]:
        yield director.canary()
        yield director.rollback()
        for _ in range(1 if ground.quick else 3):
            yield director.bad("errors-5pct")
        if not ground.quick:
            yield director.bad("slow")

    record, scenes, noise = run(ground, A_MILLION, story)
    back = [s for s in scenes if s.name == "rollback" or s.expected == "reverted"]
    findings = (
        rollback_time(ground.promises["P2"], "rollback", record, back, noise),
        refusals(ground.promises["T76"], "rollback", back, noise, limit_s=60.0),
    )
    return Act("rollback", "The way back: by command and by verdict", record, scenes, findings)


def play_zero_downtime(ground: Ground) -> Act:
    """Every strategy and every accident, until enough requests were counted."""
    wanted = 20_000 if ground.quick else 300_000
    rate = 1000.0 if ground.quick else 2000.0
    counted: Pulse = {}

    def story(director: Director) -> Iterable[Scene]:
        yield from accidents(director)  # each of them at least once
        for _ in range(ROUNDS_MAX if counted.get("requests", 0) < wanted else 0):
            for scene in accidents(director):
                yield scene
                if counted.get("requests", 0) >= wanted:
                    return

    def count(pulse: Pulse) -> None:
        counted.update(pulse)
        if ground.on_pulse is not None:
            ground.on_pulse(pulse)

    load, counting = LoadPlan(0, rate=rate, rows=100), replace(ground, on_pulse=count)
    record, scenes, noise = run(counting, load, story, calibrated=True)
    odd = [s for s in scenes if not s.as_expected]
    lost = lost_requests(ground.promises["P3"], "zero-downtime", record, scenes[1:], noise)
    if odd:
        told = {s.name: s.outcome.reason if s.outcome else "" for s in odd}
        lost = replace(lost, holds=False, evidence={**lost.evidence, "unexpected": told})
    findings = (lost, budget(ground.promises["P8"], "zero-downtime", record, noise))
    title = "No request lost: every strategy, every accident"
    return Act("zero-downtime", title, record, scenes, findings, noise)


def accidents(director: Director) -> Iterable[Scene]:
    yield director.rolling()
    yield director.rollback()
    yield director.blue_green()
    yield director.canary()
    yield director.abort()
    yield director.kill_conductor()
    yield director.kill_replicas()


def play_bad_versions(ground: Ground) -> Act:
    """Versions that are dead or broken from the start: refused, and no user notices."""
    faults = DEAD_VERSIONS[:4] if ground.quick else DEAD_VERSIONS

    def story(director: Director) -> Iterable[Scene]:
        for fault in faults:
            yield director.bad(fault, "canary" if fault in DIE_WORKING else "rolling")

    record, scenes, noise = run(ground, LoadPlan(0, rate=500, rows=100), story)
    played = scenes[1:]
    findings = (
        refusals(ground.promises["T76"], "bad-versions", played, noise),
        lost_requests(ground.promises["P3"], "bad-versions", record, played, noise),
    )
    title = "Bad versions, refused before a user notices"
    return Act("bad-versions", title, record, scenes, findings, noise)


def refusals(
    promise: Promise, drill: str, scenes: Sequence[Scene], noise: Noise, limit_s: float = 0.0
) -> Finding:
    """The slowest refusal; a bad version that was not refused breaks the promise."""
    played = [s for s in scenes if s.expected == "reverted" and s.outcome is not None]
    took, let_in = {}, []
    for scene in played:
        assert scene.outcome is not None
        took[scene.name] = scene.outcome.seconds
        if scene.outcome.ending not in ("reverted", "refused"):
            let_in.append(f"{scene.name}: {scene.outcome.ending}")
    measured = float("inf") if let_in else max(took.values(), default=float("nan"))
    evidence = {
        "seconds": {name: round(s, 3) for name, s in took.items()},
        "reasons": {s.name: s.outcome.reason for s in played if s.outcome},
        "let in": let_in,
    }
    asked = replace(promise, bound=limit_s) if limit_s else promise
    return find(asked, drill, measured, len(played), noise, evidence)


DRILLS: tuple[Drill, ...] = (
    Drill("deploy", ("P1", "P3", "P6", "P7"), "roll out under a million decisions/s", play_deploy),
    Drill("rollback", ("P2", "T76"), "go back by command and by verdict", play_rollback),
    Drill(
        "zero-downtime", ("P3", "P8"), "every strategy, abort, rollback, kill -9",
        play_zero_downtime,
    ),
    Drill("bad-versions", ("P3", "T76"), "dead and broken versions are refused", play_bad_versions),
)  # fmt: skip


def choose(names: Sequence[str]) -> tuple[Drill, ...]:
    """Drills by name or by promise; all of them when nothing is named. Raises ``KeyError``."""
    if not names:
        return DRILLS
    known = {word for drill in DRILLS for word in (drill.name, *drill.measures)}
    for name in names:
        if name not in known:
            raise KeyError(name)
    return tuple(d for d in DRILLS if {d.name, *d.measures} & set(names))
