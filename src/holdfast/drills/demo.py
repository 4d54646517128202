"""``make demo``: a million decisions a second, a good release, a bad one caught, the proof.

python -m holdfast.drills.demo --html demo-report.html --json demo-report.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from holdfast.drills import catalog
from holdfast.drills.catalog import Act, Ground
from holdfast.drills.keeping import unwritable
from holdfast.drills.meters import GeneratorFailed, machine_facts
from holdfast.drills.promises import UNDECIDED, catalogue, show
from holdfast.drills.report import Report, to_html
from holdfast.drills.scenes import Director, Scene
from holdfast.drills.session import ENGINE_PROMISES
from holdfast.drills.stage import NoStage, end_like_ctrl_c
from holdfast.drills.telling import Teller

TITLE = "A rollout you can trust: the demo"
INTRODUCTION = """\
Holdfast demo. Ten replicas of a trading engine behind Envoy answer a million decisions a second.
1. v1 -> v2, replica by replica: no request may be lost.
2. v2 -> v3, which fails 5 % of its answers: it must be caught as a canary and taken back.
3. v2 -> v4 as a canary, and back by command: how long until the last answer of v4?"""


def story(director: Director) -> Iterable[Scene]:
    yield director.steady(5.0)
    yield director.rolling()
    yield director.steady(3.0)
    yield director.bad("errors-5pct")
    yield director.steady(2.0)
    yield director.canary()
    yield director.rollback()
    yield director.steady(3.0)


def play(ground: Ground) -> Act:
    record, scenes, noise = catalog.run(ground, catalog.A_MILLION, story)
    promises, played = ground.promises, scenes[1:]
    back = [s for s in played if s.name == "rollback" or s.expected == "reverted"]
    findings = (
        catalog.deploy_time(promises["P1"], "demo", scenes, noise),
        catalog.rollback_time(promises["P2"], "demo", record, back, noise),
        catalog.lost_requests(promises["P3"], "demo", record, played, noise),
        catalog.latency(promises["P6"], "demo", record, played, noise),
        catalog.throughput(promises["P7"], "demo", record, played, noise),
        catalog.refusals(replace(promises["T76"], bound=60.0), "demo", back, noise),
    )
    return Act("demo", "From v1 to v2, past a bad v3, and back", record, scenes, findings, noise)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m holdfast.drills.demo")
    parser.add_argument("--html", type=Path, default=Path("demo-report.html"))
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--replicas", type=int, default=10)
    asked = parser.parse_args(argv)
    teller = Teller(sys.stdout)
    teller.plain(teller.paint(INTRODUCTION, "bold"))
    teller.plain()
    began = time.monotonic()
    for place in filter(None, (asked.html, asked.json)):
        if why := unwritable(place):
            teller.say(f"{place}: {why}", "broken")
            return 2
    ground = Ground(teller, catalogue(ENGINE_PROMISES), True, asked.replicas, on_pulse=teller.pulse)
    end_like_ctrl_c()
    try:
        act = play(ground)
    except (NoStage, GeneratorFailed) as error:
        teller.say(str(error), "broken")
        return 1
    except KeyboardInterrupt:
        teller.say("interrupted; everything is taken down again", "void")
        return 130
    report = Report((act,), machine_facts(), "make demo", time.monotonic() - began)
    conclude(teller, report)
    try:
        write(report, asked.html, asked.json)
    except OSError as error:
        teller.say(f"the report could not be written: {error}", "broken")
        return 1
    teller.plain(f"The proof, with plots: {asked.html}")
    return code_of(report)


def code_of(report: Report) -> int:
    """A demo whose times a busy machine made void has still shown that no request was lost, and
    ends 0; ``holdfast drill`` is the strict one. One that lost requests has not shown it."""
    lost = report.acts[0].record.failed()
    return 0 if report.code == UNDECIDED and not lost else report.code


def write(report: Report, html: Path, as_json: Path | None) -> None:
    html.write_text(to_html(report, TITLE), encoding="utf-8")
    if as_json is not None:
        text = json.dumps(report.as_json(), indent=1, allow_nan=False)
        as_json.write_text(text + "\n", encoding="utf-8")


def conclude(teller: Teller, report: Report) -> None:
    act = report.acts[0]
    failed, requests = act.record.failed(), act.record.requests()
    teller.head("Measured beside promised")
    teller.table(report.findings)
    back = next(f for f in report.findings if f.promise == "P2")
    teller.plain()
    teller.plain(
        f"{failed:,} of {requests:,} requests failed; the slowest way back took "
        f"{show(back.measured, back.unit)} from the trigger to the last answer."
    )
    void = [f.promise for f in report.findings if f.void]
    if void:
        teller.plain(
            f"Void, neither kept nor broken: {', '.join(void)}. This machine was too busy to tell; "
            "run it again when it is calm."
        )


if __name__ == "__main__":
    sys.exit(main())
