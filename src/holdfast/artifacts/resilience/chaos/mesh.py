"""Experiments for Chaos Mesh: steady before, broken and watched, steady again.

The watch runs beside the fault and aborts the workflow, which ends the fault, when users are no
longer answered. Each experiment has an hour of its own in the week; two never overlap. Source:
Chaos Mesh v2.8 (Workflow, StatusCheck, Schedule).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.chaos.experiments import (
    Experiment,
    experiments,
    fault,
    lasts,
)
from holdfast.artifacts.resilience.objects import CHAOS, named, owned
from holdfast.spec.model import Service

_API = "chaos-mesh.org/v1alpha1"
_ENTRY = "experiment"
#: Of the checks before, during and after; how long they last follows from the fault.
_CHECKED = ("kubernetes.host", "probes.ready", "traffic.protocol", "resilience.backup.rto")
_ALL = (
    "service", "kubernetes.namespace", *_CHECKED, "regions", "resilience.database",
    "resilience.cache", "resilience.queue",
)  # fmt: skip
#: kind -> its field in a template of a workflow.
FIELDS: Final = {
    "PodChaos": "podChaos", "NetworkChaos": "networkChaos", "StressChaos": "stressChaos",
    "TimeChaos": "timeChaos", "DNSChaos": "dnsChaos",
}  # fmt: skip
_FIRST_HOUR, _LAST_HOUR = 9, 15  # UTC; people are there


def render(service: Service) -> Iterator[Artifact]:
    for each in experiments(service):
        yield Artifact(
            f"{CHAOS}/faults/{each.name}.yaml", alone(each, service),
            f"{each.title}: the fault alone; to apply it is to start it.", each.keys, (),
        )  # fmt: skip
    if watched(service):
        yield Artifact(
            f"{CHAOS}/schedules.yaml",
            [_schedule(each, service, index) for index, each in enumerate(experiments(service))],
            "Every experiment once a week, in an hour of its own.", _ALL, ("T129",),
        )  # fmt: skip
        for each in experiments(service):
            yield Artifact(
                f"{CHAOS}/experiments/{each.name}.yaml", _workflow(each, service),
                f"{each.title}: steady, broken and watched, steady again.",
                tuple(dict.fromkeys((*each.keys, *_CHECKED))), ("T129",),
            )  # fmt: skip


def watched(service: Service) -> bool:
    """A status check speaks HTTP: without it nothing would stop an experiment."""
    return service.traffic.protocol in ("http1", "http2")


def alone(experiment: Experiment, service: Service) -> Object:
    return owned(
        service,
        f"{_API}/{experiment.kind}",
        named(service, experiment.name),
        fault(experiment, service),
        "chaos",
    )


def _workflow(experiment: Experiment, service: Service) -> Object:
    spec = _steps(experiment, service)
    return owned(service, f"{_API}/Workflow", named(service, experiment.name), spec, "chaos")


def _steps(experiment: Experiment, service: Service) -> Object:
    long = lasts(service)
    before, after = _steady(service, "steady-before"), _steady(service, "steady-after")
    broken = {
        "name": "fault",
        "templateType": experiment.kind,
        "deadline": f"{long}s",
        FIELDS[experiment.kind]: fault(experiment, service),
    }
    attack = {
        "name": "attack",
        "templateType": "Parallel",
        "deadline": f"{long + 30}s",
        "children": ["fault", "watch"],
    }
    entry = {
        "name": _ENTRY,
        "templateType": "Serial",
        "deadline": f"{long + 600}s",
        "children": ["steady-before", "attack", "steady-after"],
    }
    templates = [entry, before, attack, broken, _watch(service, long), after]
    return {"entry": _ENTRY, "templates": templates}


def _steady(service: Service, name: str) -> Object:
    check = {"mode": "Synchronous", "duration": "120s", "successThreshold": 5,
             "failureThreshold": 1}  # fmt: skip
    return _check(service, name, "150s", check)


def _watch(service: Service, long: int) -> Object:
    """Two answers in a row that users would not like end it."""
    check = {"mode": "Continuous", "duration": f"{long}s", "successThreshold": 1,
             "failureThreshold": 2}  # fmt: skip
    return _check(service, "watch", f"{long + 10}s", check)


def _check(service: Service, name: str, deadline: str, check: Object) -> Object:
    path = quote(service.probes.ready.path or "/", safe="/?&=%:@,;+~")
    http = {
        "url": f"https://{names.host(service)}{path}",
        "method": "GET",
        "criteria": {"statusCode": "200"},
    }
    return {
        "name": name,
        "templateType": "StatusCheck",
        "deadline": deadline,
        "abortWithStatusCheck": True,
        "statusCheck": {"type": "HTTP", "intervalSeconds": 2, "timeoutSeconds": 2, **check,
                        "http": http},
    }  # fmt: skip


def _schedule(experiment: Experiment, service: Service, index: int) -> Object:
    hours = _LAST_HOUR - _FIRST_HOUR
    day, hour = 1 + index // hours, _FIRST_HOUR + index % hours
    spec = {
        "schedule": f"0 {hour} * * {day}",
        "concurrencyPolicy": "Forbid",
        "historyLimit": 5,
        "startingDeadlineSeconds": 600,
        "type": "Workflow",
        "workflow": _steps(experiment, service),
    }
    return owned(service, f"{_API}/Schedule", named(service, experiment.name), spec, "chaos")
