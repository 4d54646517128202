"""``python -m holdfast.drills.simulation --seeds 5000 --jobs 2``: exit 1 when a rule was broken."""

from __future__ import annotations

import argparse
import json
import sys

from holdfast.drills.simulation.campaign import Tally, campaign, table
from holdfast.drills.simulation.checkers import RULES
from holdfast.drills.simulation.run import play
from holdfast.drills.simulation.scenario import make_scenario

SHOWN = 10


def main(argv: list[str] | None = None) -> int:
    ask = _arguments(argv)
    if ask.story:
        return tell_story(ask.seed)
    first, count = (ask.seed, 1) if ask.seed is not None else (ask.first, ask.seeds)
    say = (lambda tally: None) if ask.json else _progress
    tally = campaign(range(first, first + count), ask.jobs, say)
    print(json.dumps(tally.as_json(), indent=2) if ask.json else report(tally))
    return 1 if tally.findings else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, help="play this seed only")
    parser.add_argument("--story", action="store_true", help="with --seed: a readable timeline")
    parser.add_argument("--json", action="store_true")
    ask = parser.parse_args(argv)
    if ask.story and ask.seed is None:
        parser.error("--story needs --seed")
    return ask


def _progress(tally: Tally) -> None:
    rate = tally.seeds / tally.wall_s
    broken = f"{len(tally.findings)} broken"
    if tally.findings:
        broken += f" (seeds {', '.join(str(f.seed) for f in tally.findings[-SHOWN:])})"
    print(f"{tally.seeds} rollouts, {rate:.0f}/s, {broken}", file=sys.stderr, flush=True)


def report(tally: Tally) -> str:
    """The end of a campaign as people read it."""
    hours, wall = tally.virtual_s / 3600, max(tally.wall_s, 1e-9)
    lines = [
        f"{tally.seeds} rollouts, {hours:.1f} virtual hours, {tally.turns:,} turns, "
        f"{tally.crashes:,} conductor crashes, {tally.requests:,} requests",
        f"{wall:.1f} s wall: {tally.seeds / wall:.1f} rollouts/s, "
        f"{tally.virtual_s / wall:,.0f} x real time",
        table(tally),
        f"rules broken in {len(tally.findings)} of {tally.seeds} runs",
    ]
    for finding in tally.findings[:SHOWN]:
        first = finding.breaches[0]
        lines.append(f"  seed {finding.seed}: {first.rule} at {first.at:.3f} s: {first.detail}")
        lines.append(f"    promise: {RULES[first.rule]}")
        lines.append(
            f"    replay: python -m holdfast.drills.simulation --seed {finding.seed} --story"
        )
    return "\n".join(lines)


def tell_story(seed: int) -> int:
    """One seed as a timeline; equal lines in a row are folded."""
    scenario = make_scenario(seed)
    outcome = play(scenario, telling=True)
    rollout = scenario.service.rollout
    print(f"seed {seed}: {rollout.strategy}, {scenario.service.replicas} replicas, "
          f"second release is {scenario.kind!r}, {scenario.traffic.rate:g} requests/s")  # fmt: skip
    print(f"troubles: {', '.join(scenario.troubles) or 'none'}")
    for line in folded(outcome.story):
        print(line)
    print(f"ending: {outcome.ending}; {outcome.requests} requests, {outcome.starved} found nobody")
    for breach in outcome.breaches:
        print(f"BREACH {breach.at:.3f} {breach.rule}: {breach.detail}")
    return 1 if outcome.breaches else 0


def folded(story: list[str]) -> list[str]:
    """The same order again and again becomes one line with a count."""
    lines: list[str] = []
    last, times = "", 0
    for line in story:
        what = line[10:].split("; ready")[0]
        if what == last:
            times += 1
            continue
        if times:
            lines.append(f"{'':11}... {times} times more")
        lines.append(line)
        last, times = what, 0
    return lines


if __name__ == "__main__":
    sys.exit(main())
