"""``holdfast plan``: the steps of a rollout before anything moves."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from holdfast.cli import printing
from holdfast.cli.options import Where, addressed, person
from holdfast.cli.options import version as named_version
from holdfast.runtime.units import parse_rate, show_duration

if TYPE_CHECKING:
    from holdfast.cli.release import ReleaseAsked
    from holdfast.conductor.client import PlanDoc
    from holdfast.rollout.model import Plan
    from holdfast.rollout.plan import StepForecast


def _rate(ctx: click.Context, param: click.Parameter, value: str | None) -> float:
    try:
        return parse_rate(value) if value else 0.0
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@named_version("What people call this release.")
@click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="As for holdfast deploy."
)
@click.option(
    "--rate", callback=_rate, metavar="R", help="Traffic to reckon with, e.g. 200/s."
)  # fmt: skip
@addressed
def command(where: Where, version: str | None, settings: tuple[str, ...], rate: float) -> int:
    """Show the steps of a rollout before anything moves.

    For each step what it needs to be left and how long that takes, then what happens when it
    fails, and what a rollback afterwards would do. Changes nothing.
    """
    from holdfast.cli.release import asked

    return show_plan(where, asked(where, settings, {"version": version}), rate)


def show_plan(where: Where, release: ReleaseAsked, rate: float = 0.0) -> int:
    from holdfast.cli.reach import is_remote, reach
    from holdfast.conductor.client import NoConductor

    try:
        document = reach(where).plan(release.service, release.text, **release.options(person()))
    except NoConductor:
        if is_remote():
            raise
        document = first_plan(release)
    if where.json:
        printing.say_json(document)
    else:
        for line in plan_lines(document, rate):
            printing.say(line)
    return 0


def first_plan(release: ReleaseAsked) -> PlanDoc:
    """What the first deploy would do, thought through here because no conductor runs yet."""
    from holdfast.rollout.model import Release
    from holdfast.rollout.plan import forecast, plan_rollout
    from holdfast.runtime.codec import encode
    from holdfast.spec.digest import make_release
    from holdfast.spec.load import load_text

    service = load_text(release.text, str(release.path))
    version = release.version or service.version
    digest = make_release(service, release.path.parent, version).digest
    name = version or "r1"
    new = Release(f"{name}-{digest[:8]}", digest, name)
    plan = plan_rollout(service, None, new, "first")
    detail = "no conductor runs here, so this is the plan of a first deploy"
    return {
        "service": service.service,
        "outcome": "no-conductor",
        "detail": detail,
        "plan": encode(plan),
        "rollback": None,
        "forecast": [asdict(step) for step in forecast(plan, 0.0)],
        "gate": None,
        "release": {"id": new.id, "digest": new.digest, "version": new.version},
    }


# ---- text ---------------------------------------------------------------------------------------


def plan_lines(document: PlanDoc, rate: float) -> list[str]:
    """The answer of the conductor as text."""
    from holdfast.cli.telling import headline
    from holdfast.rollout.model import Plan
    from holdfast.rollout.plan import StepForecast, forecast
    from holdfast.runtime.codec import decode

    if document["plan"] is None:
        return [f"{document['service']}: {document['detail']}"]
    plan: Plan = decode(Plan, document["plan"])
    told = (
        StepForecast(**{**step, "gates": tuple(step["gates"])}) for step in document["forecast"]
    )
    steps = forecast(plan, rate) if rate else tuple(told)
    lines = [f"{document['service']}: {headline(plan)}"]
    lines += [f"  {line}" for line in _step_table(steps)]
    lines += [f"  {line}" for line in (_duration(steps, rate), *_on_failure(plan), *_after(plan))]
    if document["gate"]:
        lines.append(f"  it would wait to start: {document['gate']}")
    if document["outcome"] != "started":
        lines.append(f"  {document['detail']}")
    return lines


def _step_table(steps: tuple[StepForecast, ...]) -> list[str]:
    rows = [
        (
            str(step.step),
            f"{step.weight} %",
            str(step.instances_new),
            str(step.instances_old),
            _took(step.seconds_expected),
            "; ".join(step.gates),
        )
        for step in steps
    ]
    return printing.table(("STEP", "TRAFFIC", "NEW", "OLD", "ABOUT", "LEFT WHEN"), rows)


def _took(seconds: float | None) -> str:
    return "-" if seconds is None else show_duration(seconds)


def _duration(steps: tuple[StepForecast, ...], rate: float) -> str:
    known = [step.seconds_expected for step in steps if step.seconds_expected is not None]
    open_steps = [str(step.step) for step in steps if step.seconds_expected is None]
    total = show_duration(sum(known))
    if not open_steps:
        return f"expected duration: {total}"
    traffic = f"traffic of {rate:g} requests/s" if rate else "the present traffic (try --rate)"
    which = "step " + ", ".join(open_steps)
    return f"expected duration: {total}, and {which} depends on people or on {traffic}"


def _on_failure(plan: Plan) -> list[str]:
    limits = plan.limits
    bounds = (
        f"taken back when it fails, or after {show_duration(limits.rollout_s)} in all, "
        f"{show_duration(limits.step_s)} on one step, "
        f"{show_duration(limits.progress_s)} without progress"
    )
    if plan.old is None:
        return [bounds, "on failure: nothing was deployed before, so nothing serves"]
    return [bounds, f"on failure: all traffic goes back to {plan.old.version}"]


def _after(plan: Plan) -> list[str]:
    if plan.old is None:
        return ["a rollback afterwards: there is nothing older to go back to"]
    old, warm = plan.old.version, show_duration(plan.limits.keep_warm_s)
    if plan.strategy.value == "rolling" or plan.limits.keep_warm_s <= 0:
        return [f"a rollback afterwards: starts {old} again, then moves the traffic to it"]
    return [
        f"a rollback afterwards: one route write to {old} for {warm} after promotion, "
        f"later {old} is started again first"
    ]
