"""``holdfast simulate``: play rollouts in virtual time, with faults or for one's own spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.options import Finite
from holdfast.cli.printing import say, say_json

if TYPE_CHECKING:
    from holdfast.drills.simulation.waves import WaveOutcome
    from holdfast.drills.simulation.what_if import Assumptions, Prediction
    from holdfast.spec.model import Service

USAGE = 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-f", "--file", type=click.Path(path_type=Path), help="Ask about this spec.")
@click.option("--replicas", type=click.IntRange(1, 10_000), help="With --file: so many instead.")
@click.option(
    "--rate",
    default=1000.0,
    type=Finite(0, 1e9),
    show_default=True,
    help="With --file: requests per second.",
)
@click.option(
    "--start",
    default=1.0,
    type=Finite(0, 3600),
    show_default=True,
    help="With --file: seconds to be ready.",
)
@click.option("--release", "kind", default="good", show_default=True, help="What v2 is like.")
@click.option(
    "--fault", "faults", multiple=True, metavar="KIND[:old|new[:AMOUNT]]",
    help="With --file: this happens once, soon after the deploy; may be repeated.",
)  # fmt: skip
@click.option("--regions", metavar="A,B,C", help="With --file: a wave through these regions.")
@click.option(
    "--fail", multiple=True, metavar="REGION", help="With --regions: v2 is no good there."
)
@click.option(
    "--on-failure", default="abort-all", show_default=True,
    type=click.Choice(["abort-all", "abort-rest", "continue"]),
    help="With --regions: what the failure of one means for the others.",
)  # fmt: skip
@click.option(
    "--bake", default=60.0, type=Finite(0, 86_400), show_default=True,
    help="With --regions: seconds a region is watched before the next one is opened.",
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), help="How many plays.")
@click.option("--first", default=0, type=click.IntRange(0), help="The first seed of a campaign.")
@click.option("--jobs", default=1, type=click.IntRange(1), help="Processes of a campaign.")
@click.option("--seed", type=int, help="Play this seed only.")
@click.option("--story", is_flag=True, help="With --seed: a readable timeline.")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs.")
def command(file: Path | None, **ask: object) -> int:
    """Play rollouts in virtual time.

    Without --file, a campaign of random rollouts under random faults, watched by checkers; exits
    1 when a rule was broken. With --file, what the rollout of this spec would do.

    With --file and --regions, a wave: the regions roll out one after the other, and a region in
    which the release fails is one verdict for all of them.

    \b
      holdfast simulate -f holdfast.yaml --regions us-east,eu-west,ap-south --fail eu-west
    """
    _fitting(file is not None)
    return _campaign(ask) if file is None else _what_if(file, ask)


#: Parameters that mean nothing without a spec, and those that mean nothing with one.
OF_A_SPEC = {
    "replicas": "--replicas", "rate": "--rate", "start": "--start", "kind": "--release",
    "faults": "--fault", "regions": "--regions", "fail": "--fail", "on_failure": "--on-failure",
    "bake": "--bake",
}  # fmt: skip
OF_A_CAMPAIGN = {"first": "--first", "jobs": "--jobs", "seed": "--seed", "story": "--story"}


def _fitting(spec: bool) -> None:
    """An option that would be ignored is refused: its user believes that it counts."""
    context = click.get_current_context()
    for name, word in (OF_A_CAMPAIGN if spec else OF_A_SPEC).items():
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            how = "has no meaning with --file" if spec else "needs --file: it is about a spec"
            raise click.UsageError(f"{word} {how}")
    if context.params["story"] and context.params["seed"] is None:
        raise click.UsageError("--story needs --seed: it is told of one play")


def _campaign(ask: dict[str, object]) -> int:
    from holdfast.drills.simulation.__main__ import main

    argv = [f"--{name}={ask[name]}" for name in ("seeds", "first", "jobs", "seed")
            if ask[name] is not None]  # fmt: skip
    argv += [flag for flag, name in (("--story", "story"), ("--json", "json_wanted")) if ask[name]]
    return main(argv)


def _what_if(file: Path, ask: dict[str, object]) -> int:
    from holdfast.cli.problems import located, show
    from holdfast.drills.simulation.what_if import predict
    from holdfast.spec.load import read
    from holdfast.spec.problem import Invalid

    try:
        service = read(located(file)).service
        assume = _assumptions(ask)
    except Invalid as error:
        show(error.problems, error.text, "error", "bad")
        return USAGE
    if ask["replicas"]:
        service = service.model_copy(update={"replicas": ask["replicas"]})
    if ask["regions"]:
        return _wave(service, assume, ask)
    found = predict(service, assume)
    if ask["json_wanted"]:
        say_json(found.as_json())
    else:
        for line in told(found):
            say(line)
    return 0 if found.breaches == 0 else 1


def _assumptions(ask: dict[str, object]) -> Assumptions:
    from holdfast.drills.simulation.scenario import KINDS
    from holdfast.drills.simulation.what_if import Assumptions, parse_fault
    from holdfast.targets.simulated.behaviour import FAULTS

    try:
        faults = tuple(parse_fault(text) for text in ask["faults"])  # type: ignore[attr-defined]
    except ValueError as error:
        raise click.UsageError(f"{error}, for example kill-replica:old:2") from None
    if ask["kind"] not in KINDS:
        raise click.UsageError(f"unknown release {ask['kind']!r}: one of {', '.join(KINDS)}")
    for fault in faults:
        if fault.kind not in FAULTS:
            raise click.UsageError(f"unknown fault {fault.kind!r}: one of {', '.join(FAULTS)}")
    seeds = int(str(ask["seeds"] or 5))
    return Assumptions(
        kind=str(ask["kind"]),
        rate=float(str(ask["rate"])),
        start_s=float(str(ask["start"])),
        faults=faults,
        seeds=seeds,
    )


def _wave(service: Service, assume: Assumptions, ask: dict[str, object]) -> int:
    from dataclasses import asdict

    from holdfast.drills.simulation.waves import WaveAssumptions, bad_release, play_wave
    from holdfast.rollout.waves import OnFailure, WavePlan

    regions = tuple(name.strip() for name in str(ask["regions"]).split(",") if name.strip())
    fail = frozenset(ask["fail"])  # type: ignore[call-overload]
    if len(set(regions)) != len(regions) or not regions:
        raise click.UsageError(f"found --regions {ask['regions']!r}, wanted different names")
    if unknown := sorted(fail - set(regions)):
        raise click.UsageError(f"--fail {unknown[0]!r} is none of {', '.join(regions)}")
    wave = WavePlan(regions, float(str(ask["bake"])), OnFailure(str(ask["on_failure"])))
    bad = bad_release(service, assume.kind)
    found = play_wave(service, wave, WaveAssumptions(assume.rate, assume.start_s, fail, bad))
    if ask["json_wanted"]:
        say_json(asdict(found))
    else:
        for line in told_wave(found):
            say(line)
    return 0 if all(end.starved == 0 for end in found.regions.values()) else 1


def told_wave(found: WaveOutcome) -> list[str]:
    """The wave as people read it: what happened when, then where everybody is."""
    from holdfast.runtime.units import show_duration

    lines = [f"{show_duration(at) if at else '0 s':>9}  {what}" for at, what in found.story]
    for region, end in found.regions.items():
        share = ", ".join(f"{release} {weight} %" for release, weight in end.weights.items())
        line = f"  {region}: {share}; {end.starved} of {end.requests} requests found nobody ready"
        if end.back_s is not None:
            writes = f"{end.routes_back} route write{'' if end.routes_back == 1 else 's'}"
            line += f"; taken back in {show_duration(end.back_s)} by {writes}"
        lines.append(line)
    return lines


def told(found: Prediction) -> list[str]:
    """The prediction as people read it."""
    from holdfast.runtime.units import show_duration

    assume = found.assumptions
    lines = [
        f"{found.service}: {found.strategy}, {found.replicas} replicas, release is {assume.kind!r},"
        f" {assume.rate:g} requests/s, ready after {show_duration(assume.start_s)},"
        f" played {assume.seeds} times"
    ]
    endings = ", ".join(f"{ending} {count}" for ending, count in sorted(found.endings.items()))
    lines.append(f"  endings   {endings}")
    for reason, count in found.reasons.most_common():
        lines.append(f"  back      {reason} {count}")
    half, most = found.quantile(0.5), found.quantile(0.95)
    if half is not None and most is not None:
        lines.append(f"  takes     {show_duration(half)} (p95 {show_duration(most)})")
    for step, weight, at in found.steps:
        lines.append(f"  step {step:<4} {weight:>3} % of the traffic after {show_duration(at)}")
    for code, seconds in sorted(found.holds.items(), key=lambda item: -item[1]):
        lines.append(f"  waits     {code}: {show_duration(seconds)}")
    lines.append(f"  clients   {found.starved} of {found.requests} requests found nobody ready")
    return lines
