"""Recorded ratios, burn rates and what is left of the budgets; the alerts that rest on them."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Object
from holdfast.artifacts.names import duration
from holdfast.artifacts.observability.objective import (
    BURNS,
    WINDOWS,
    Objective,
    objectives,
    period,
    plain,
)
from holdfast.artifacts.observability.rule import Condition, group, record
from holdfast.artifacts.signals import RECORDED, Place
from holdfast.spec.model import Service

_BUDGET_EVERY = "5m"  # a month of samples is read for it


def rules(service: Service, place: Place) -> list[Object]:
    return [rule for each in objectives(service, place) for rule in _ratios(service, each)]


def budgets(service: Service, place: Place) -> Object:
    """A group of its own, looked at less often."""
    found = [rule for each in objectives(service, place) for rule in _budget(service, each)]
    return group(f"{service.service}-budget", found, _BUDGET_EVERY)


def _ratios(service: Service, objective: Objective) -> Iterator[Object]:
    labels = {"slo": objective.name}
    for window in WINDOWS:
        yield record(objective.ratio(window), _over(service, objective, window), labels)
    yield record(RECORDED.burn_rate, _burn_rate(service, objective), labels)
    total = f'{objective.total}{{service="{service.service}"}}'
    yield record(RECORDED.objective, f"0 * {total} + {plain(objective.target)}", labels)


def _over(service: Service, objective: Objective, window: str) -> str:
    chosen = f'{{service="{service.service}"}}'
    bad, total = f"{objective.bad}{chosen}[{window}]", f"{objective.total}{chosen}[{window}]"
    return f"sum_over_time({bad}) / sum_over_time({total})"


def _burn_rate(service: Service, objective: Objective) -> str:
    """How many budgets would be used up if it went on like the last hour."""
    hour = f'{objective.ratio("1h")}{{service="{service.service}",slo="{objective.name}"}}'
    return _in_budgets(hour, objective)


def _in_budgets(ratio: str, objective: Objective) -> str:
    """Where nothing may fail, any failure is the whole budget."""
    if not objective.budget:
        return f"({ratio} > bool 0)"
    return f"{ratio} / {plain(objective.budget)}"


def _budget(service: Service, objective: Objective) -> Iterator[Object]:
    """The part of the budget that is left; below zero the promise is broken."""
    window = duration(period(service))
    left = f"1 - {_in_budgets(f'({_over(service, objective, window)})', objective)}"
    yield record(RECORDED.budget_left, left, {"slo": objective.name, "window": window})


# ---- alerts --------------------------------------------------------------------------------------

_SAYS = "{{ $value | humanizePercentage }} of the requests in {{ $labels.region }}"


def conditions(service: Service, place: Place = "kubernetes") -> dict[str, Condition]:
    """What users notice."""
    chosen = f'{{service="{service.service}"}}'
    requests = f"{RECORDED.requests}{chosen}"
    found = dict(_burning(service, place))
    found["MostRequestsFail"] = _outage(chosen)
    found["NoTraffic"] = Condition(
        f"{requests} == 0 and avg_over_time({requests}[1h] offset 10m) > 0.1", "5m",
        "An hour ago there were requests in {{ $labels.region }}; now there are none.",
    )  # fmt: skip
    found["SignalsAbsent"] = Condition(
        f"absent({requests})", "5m", "No series says how many requests there are."
    )
    found["TooFewRequestsToJudge"] = _few(service)
    found["ThroughputBelowPromise"] = _throughput(service)
    return found


def _burning(service: Service, place: Place) -> Iterator[tuple[str, Condition]]:
    for objective in objectives(service, place):
        for severity, end in (("page", "BurnsFast"), ("ticket", "BurnsSlowly")):
            pairs = [each for each in BURNS if each.severity == severity]
            expr = " or ".join(f"({objective.fires(each, service)})" for each in pairs)
            verb = "fail" if objective.name == "availability" else "are slow"
            detail = f"{_SAYS} {verb}; the objective is that {objective.about}."
            yield f"{objective.name.capitalize()}{end}", Condition(expr, detail=detail)


def _outage(chosen: str) -> Condition:
    """Faster than any burn rate: after a month without failure an hour's ratio rises slowly."""
    errors, requests = f"{RECORDED.errors}{chosen}", f"{RECORDED.requests}{chosen}"
    least = f"avg_over_time({errors}[5m]) * 300 >= 2"
    return Condition(f"{errors} / {requests} > 0.5 and {least}", detail=f"{_SAYS} fail.")


def _few(service: Service) -> Condition:
    """An objective of 99.999 % can not be judged on a hundred requests an hour."""
    objective = next(objectives(service))
    rate = f'avg_over_time({RECORDED.requests}{{service="{service.service}"}}[1h])'
    least = objective.least_requests
    detail = (
        f"{{{{ $value | humanize }}}} requests in an hour; {least} are needed "
        f"to tell one failure from a broken promise of {service.promises.availability:g} %."
    )
    return Condition(f"{rate} * 3600 < {least} > 0", "1h", detail)


def _throughput(service: Service) -> Condition:
    """Units of work are the first counter that the program exports of itself, else requests."""
    promised = plain_number(service.promises.throughput)
    rate = f"sum by (region) ({served(service)})"
    busy = f'max by (region) ({RECORDED.saturation}{{service="{service.service}"}}) > 0.9'
    return Condition(
        f"{rate} < {promised} and on (region) {busy}", "10m",
        f"{{{{ $value | humanize }}}} a second in {{{{ $labels.region }}}}; promised: {promised}.",
    )  # fmt: skip


def plain_number(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def served(service: Service) -> str:
    """PromQL of the units of work per second that ``promises.throughput`` speaks of."""
    counters = [each.name for each in service.observability.metrics if each.kind == "counter"]
    if counters:
        return f'rate({counters[0]}{{service="{service.service}"}}[5m])'
    return f'{RECORDED.requests}{{service="{service.service}"}}'
