"""Scenes: what happens on the stage while the load runs. Each returns what it did and when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from holdfast.drills.record import Window
from holdfast.drills.stage import Edition, Outcome, Stage

CANARY = {"analysis": {"warm_up": "500ms"}}


@dataclass(frozen=True, slots=True)
class Mark:
    """One event on the timeline of a run, monotonic seconds."""

    at: float
    text: str
    kind: str = "step"  # command, step, verdict, revert, end, fault


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that was done under load."""

    name: str
    window: Window  # from just before the command to a second after the end
    outcome: Outcome | None
    expected: str  # the ending a healthy Holdfast comes to
    version: str = ""
    marks: tuple[Mark, ...] = ()

    @property
    def as_expected(self) -> bool:
        return self.outcome is None or self.outcome.ending == self.expected

    @property
    def trigger(self) -> float | None:
        """When it was decided to go back: the verdict, or the person's command."""
        if self.outcome is None:
            return None
        revert = self.outcome.first("RevertOrdered")
        return revert.at if revert is not None else self.outcome.asked


@dataclass
class Director:
    """Plays scenes one after the other and names versions so that each is new."""

    stage: Stage
    settle_s: float = 0.5
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    serving: str = ""

    def next_version(self) -> str:
        return f"v{next(self.numbers)}"

    # ---- scenes

    def first(self) -> Scene:
        """Bring the service up: nobody is asked before somebody is ready."""
        version = self.next_version()
        return self._roll("first deploy", Edition(version), "promoted")

    def steady(self, seconds: float) -> Scene:
        began = time.monotonic()
        time.sleep(seconds)
        window = Window(began, time.monotonic())
        return Scene("steady", window, None, "", self.serving)

    def rolling(self) -> Scene:
        return self._roll("rolling", Edition(self.next_version()), "promoted")

    def blue_green(self) -> Scene:
        edition = Edition(self.next_version(), strategy="blue-green")
        return self._roll("blue-green", edition, "promoted")

    def canary(self) -> Scene:
        edition = Edition(self.next_version(), strategy="canary", rollout=dict(CANARY))
        return self._roll("canary", edition, "promoted")

    def bad(self, fault: str, strategy: str = "canary") -> Scene:
        """A version that must be found out and taken back."""
        rollout: dict[str, object] = {"strategy": strategy}
        if strategy == "canary":
            metrics = {"metrics": ["errors", "slow"]} if fault == "slow" else {}
            rollout = {"analysis": {"warm_up": "500ms", **metrics}}
        limits = {"memory": "256MiB"} if fault == "leaking" else {}
        edition = Edition(
            self.next_version(), fault, strategy, rollout, {"start_within": "5s"}, limits
        )
        return self._roll(f"bad: {fault}", edition, "reverted")

    def rollback(self) -> Scene:
        """Back to the previous release by command; the bad one is whoever serves now."""
        leaving = self.serving
        self.stage.tell(f"rollback: from {leaving} to the release before it")
        began = time.monotonic()
        scene = self._scene("rollback", leaving, self.stage.rollback(), "promoted", began)
        stable = self.stage.status()["state"]["stable"]
        self.serving = stable["version"] if stable else self.serving
        return scene

    def abort(self) -> Scene:
        """A person stops a canary in the middle."""
        edition = Edition(self.next_version(), strategy="canary", rollout=dict(CANARY))
        self.stage.tell(f"abort: {edition.version} as a canary, stopped on its second step")
        began = time.monotonic()
        begun = self.stage.begin(edition)
        self.stage.wait_for_step(begun, 1, 60)
        outcome = self.stage.abort(begun)
        return self._scene("abort", edition.version, outcome, "reverted", began)

    def kill_conductor(self) -> Scene:
        """kill -9 in the middle of a rolling update; a new conductor carries on."""
        edition = Edition(self.next_version(), rollout={"max_surge": 1})
        self.stage.tell(f"kill -9 of the conductor while {edition.version} rolls out")
        began = time.monotonic()
        begun = self.stage.begin(edition)
        self.stage.wait_for_step(begun, 1, 30)
        killed = Mark(time.monotonic(), "kill -9 conductor", "fault")
        self.stage.kill_conductor()
        self.stage.start_conductor()
        outcome = self.stage.finish(begun, 120)
        return self._after("kill -9 conductor", edition, outcome, began, (killed,))

    def kill_replicas(self, replicas: int = 2) -> Scene:
        """kill -9 of serving replicas, one after the other; each comes back."""
        self.stage.tell(f"kill -9 of {replicas} replicas of {self.serving}, one after the other")
        began = time.monotonic()
        marks = []
        for _ in range(replicas):
            marks.append(Mark(time.monotonic(), "kill -9 replica", "fault"))
            self.stage.kill_replica(self.serving)
            time.sleep(1.0)
            wait_until(lambda: ready(self.stage, self.serving) >= self.stage.replicas, 20)
        window = Window(began, time.monotonic() + self.settle_s)
        time.sleep(self.settle_s)
        return Scene("kill -9 replicas", window, None, "", self.serving, tuple(marks))

    # ---- inside

    def _roll(self, name: str, edition: Edition, expected: str) -> Scene:
        before = self.serving or "nothing"
        self.stage.tell(f"{name}: {before} -> {edition.version} on {self.stage.replicas} replicas")
        began = time.monotonic()
        outcome = self.stage.deploy(edition)
        return self._after(name, edition, outcome, began, (), expected)

    def _after(
        self, name: str, edition: Edition, outcome: Outcome, began: float,
        marks: tuple[Mark, ...], expected: str = "promoted",
    ) -> Scene:  # fmt: skip
        if outcome.ending == "promoted":
            self.serving = edition.version
        return self._scene(name, edition.version, outcome, expected, began, marks)

    def _scene(
        self, name: str, version: str, outcome: Outcome, expected: str, began: float,
        marks: tuple[Mark, ...] = (),
    ) -> Scene:  # fmt: skip
        say = f"{name}: {outcome.ending} after {outcome.seconds:.2f} s"
        self.stage.tell(f"{say} ({outcome.reason})" if outcome.reason else say)
        time.sleep(self.settle_s)
        window = Window(began, time.monotonic())
        told = (Mark(began, f"{name} {version}", "command"), *marks, *timeline(outcome))
        return Scene(name, window, outcome, expected, version, tuple(sorted(told, key=_when)))


def _when(mark: Mark) -> float:
    return mark.at


def timeline(outcome: Outcome) -> Iterator[Mark]:
    """The facts of a rollout as marks for people."""
    ladder: list[dict[str, object]] = []
    for fact in outcome.facts:
        body = fact.body
        match fact.kind:
            case "Started":
                ladder = body["plan"]["ladder"]
            case "WeightReached" if ladder:
                yield Mark(fact.at, f"{ladder[int(body['step'])]['weight']} %", "step")
            case "Judged" if body["verdict"]["mark"] in ("pass", "fail"):
                yield Mark(fact.at, f"verdict: {body['verdict']['mark']}", "verdict")
            case "RevertOrdered":
                yield Mark(fact.at, f"revert: {body['code']}", "revert")
            case "Finished":
                yield Mark(fact.at, str(body["ending"]), "end")


def ready(stage: Stage, version: str) -> int:
    fleets = stage.status()["fleets"]
    return sum(fleet["ready"] for fleet in fleets if fleet["version"] == version)


def wait_until(holds: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
