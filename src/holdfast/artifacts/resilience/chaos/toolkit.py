"""Experiments for Chaos Toolkit: a hypothesis out of the promises, a method, a way back.

The hypothesis is asked of Prometheus. It holds as long as nobody would be called: failures use the
budget slower than the page's burn rate, and the promised latency holds where the fault may not cost
any. ``run.sh`` asks it every few seconds, ends the experiment when it breaks and rolls back
whatever happened. Source: Chaos Toolkit 1.19 (experiment, ``chaos run``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.chaos.experiments import Experiment, experiments, lasts
from holdfast.artifacts.resilience.chaos.mesh import alone
from holdfast.artifacts.resilience.objects import CHAOS
from holdfast.artifacts.signals import RECORDED, quote, source
from holdfast.spec.model import Service

_FOLDER = f"{CHAOS}/toolkit"
_WAIT = 5  # seconds
_PAGE_BURN = 14.4  # of the budget of 30 days: 2 percent in an hour (SRE Workbook, Alerting on SLOs)
_RUN = """\
#!/bin/sh
# Needs PROMETHEUS_URL, REGION (a context of kubectl) and chaostoolkit with jsonpath2.
set -eu
name=${1:?the name of an experiment, such as kill-instance}
cd "$(dirname "$0")"
exec chaos run --hypothesis-strategy=continuously --hypothesis-frequency=5 --fail-fast \\
  --rollback-strategy=always "$name.json"
"""


def render(service: Service) -> Iterator[Artifact]:
    for each in experiments(service):
        yield Artifact(
            f"{_FOLDER}/{each.name}.json", _experiment(each, service),
            f"{each.title}: run.sh {each.name}.", _keys(each),
            ("T129",),
        )  # fmt: skip
    yield Artifact(
        f"{_FOLDER}/run.sh", _RUN,
        "Runs one experiment: judged while it runs, ended when users notice, always rolled back.",
        (), ("T129",),
    )  # fmt: skip


def _keys(experiment: Experiment) -> tuple[str, ...]:
    """Those of the fault, of the hypothesis, and of how long both last."""
    latency = () if experiment.slows else ("promises.p99", "traffic.protocol")
    judged = ("promises.availability", *latency, "regions", "resilience.backup.rto")
    return tuple(dict.fromkeys((*experiment.keys, *judged)))


def _experiment(experiment: Experiment, service: Service) -> Object:
    return {
        "version": "1.0.0",
        "title": f"{experiment.title}: {service.service}",
        "description": "Users notice nothing; what was broken is whole again afterwards.",
        "tags": ["holdfast", service.service, experiment.name],
        "configuration": {
            "prometheus": _variable("PROMETHEUS_URL", "http://localhost:9090"),
            "context": _variable("REGION", service.regions[0].name),
        },
        "steady-state-hypothesis": {
            "title": "Users are served as promised",
            "probes": list(_probes(experiment, service)),
        },
        "method": list(_method(experiment, service)),
        "rollbacks": [_remove(experiment, service)],
    }


def _variable(key: str, default: str) -> Object:
    return {"type": "env", "key": key, "default": default}


# ---- the hypothesis ------------------------------------------------------------------------------


def _probes(experiment: Experiment, service: Service) -> Iterator[Object]:
    budget = 1 - service.promises.availability / 100
    failures = RECORDED.chosen(f"{RECORDED.error_ratio}5m", service)
    most = min(1.0, _PAGE_BURN * budget)
    yield _probe("failures-within-budget", f"max({failures}) <= bool {most:.10g}")
    if source(service).measures_latency and not experiment.slows:
        slow = RECORDED.chosen(RECORDED.latency, service, f"quantile={quote('0.99')}")
        yield _probe("latency-as-promised", f"max({slow}) <= bool {service.promises.p99:.10g}")


def _probe(name: str, query: str) -> Object:
    """Prometheus answers 1 as long as the comparison holds."""
    return {
        "type": "probe",
        "name": name,
        "tolerance": {
            "type": "jsonpath",
            "target": "body",
            "path": "$.data.result[0].value[1]",
            "expect": ["1"],
        },
        "provider": {
            "type": "http",
            "url": "${prometheus}/api/v1/query",
            "timeout": 5,
            "arguments": {"query": query},
        },
    }


# ---- the method and the way back -----------------------------------------------------------------


def _method(experiment: Experiment, service: Service) -> Iterator[Object]:
    """Waits are short and many: an experiment can end only between two steps."""
    yield _kubectl(f"begin-{experiment.name}", "apply", experiment)
    for number in range(math.ceil(lasts(service) / _WAIT)):
        provider = {"type": "process", "path": "sleep", "arguments": [str(_WAIT)]}
        yield {"type": "action", "name": f"wait-{number + 1}", "provider": provider}


def _remove(experiment: Experiment, service: Service) -> Object:
    """By name, so that it works even when the file is gone."""
    found = alone(experiment, service)
    kind = f"{experiment.kind.lower()}.chaos-mesh.org"
    where = ["-n", found["metadata"]["namespace"]]
    action = _kubectl(f"end-{experiment.name}", "delete", experiment)
    action["provider"]["arguments"] = [
        "--context", "${context}", *where, "delete", kind, found["metadata"]["name"],
        "--ignore-not-found",
    ]  # fmt: skip
    return action


def _kubectl(name: str, verb: str, experiment: Experiment) -> Object:
    arguments = ["--context", "${context}", verb, "-f", f"../faults/{experiment.name}.yaml"]
    provider = {"type": "process", "path": "kubectl", "arguments": arguments, "timeout": 60}
    return {"type": "action", "name": name, "provider": provider}
