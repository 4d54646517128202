"""Flagger, for those who run it: the same steps and the same thresholds as the engine's.

Each look asks Prometheus four things of the last interval: at most this part of the canary's
answers failed, at most this part was slow, and neither is a regression. A regression is judged by
what the old release does at the same time, as the engine does: failures above ``ratio_tolerated``
times the old release's rate, in standard deviations of a Poisson count, against the quantile of
``alpha`` over the number of metrics. What Flagger cannot do is said here:

- ``alpha`` is of each look, not of the whole rollout; there is no keep_warm and no bake, and a
  promotion copies the release into new pods;
- a source that is silent counts as a failed look: as many are borne as ``source_down`` has;
- a StatefulSet cannot be a target, a rolling update is Kubernetes' own, and of TCP nothing can be
  judged request by request: nothing is rendered.

``warm_up`` is kept out by a window that is shorter than the interval.
Sources: Flagger v1.44, ``pkg/controller``, Metrics Analysis, Webhooks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import NormalDist

from holdfast.artifacts import calls, names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.delivery.objects import FLAGGER, owned
from holdfast.artifacts.signals import Source, source
from holdfast.spec.model import Service

_GATE = "http://flagger-loadtester.flagger-system/gate/check"
_TARGET = "{{ target }}"  # Flagger's own; the namespace and the window are known here
_KEYS = (
    "service", "kubernetes.namespace", "kubernetes.workload", "kubernetes.mesh",
    "kubernetes.ingress", "kubernetes.host", "traffic.port", "autoscaling.by",
    "autoscaling.metrics", "rollout", "observability.scrape", *calls.POLICY_KEYS,
    *calls.LIMIT_KEYS[1:],
)  # fmt: skip
_QUERY_KEYS = (
    "service", "kubernetes.namespace", "kubernetes.workload", "kubernetes.mesh",
    "kubernetes.ingress", "traffic.protocol", "rollout", "promises.p99", "observability.scrape",
)  # fmt: skip


def render(service: Service) -> Iterable[Artifact]:
    if not possible(service):
        return
    yield Artifact(
        f"{FLAGGER}/canary.yaml",
        _canary(service),
        "A rollout by Flagger: the steps and thresholds of the engine.",
        _KEYS,
        ("T72", "T73"),
    )
    yield Artifact(
        f"{FLAGGER}/metrictemplates.yaml",
        [_template(service, name, query) for name, query, _most in metrics(service)],
        "What Flagger asks Prometheus at each look.",
        _QUERY_KEYS,
        ("T72",),
    )


def possible(service: Service) -> bool:
    """Whether Flagger can do what the spec says."""
    shaped = service.rollout.strategy != "rolling" and service.traffic.protocol != "tcp"
    return shaped and service.kubernetes.workload != "stateful"


def interval(service: Service) -> int:
    """Seconds between two looks: the longest hold of a step, and never too short for a rate."""
    rollout = service.rollout
    holds = [step.hold for step in rollout.steps] if rollout.strategy == "canary" else []
    return math.ceil(max(_window(service) + rollout.analysis.warm_up, *holds, rollout.bake))


def threshold(service: Service) -> int:
    """Failed looks after which it goes back: as many as a silent source has time for."""
    return max(1, int(service.rollout.source_down // interval(service)))


def metrics(service: Service) -> Iterator[tuple[str, str, float]]:
    """Name, query and the most it may be, of each thing that is asked."""
    found, analysis = source(service), service.rollout.analysis
    new, old = arms(service, found)
    window, than = f"{_measured(service)}s", service.promises.p99
    deviations = round(NormalDist().inv_cdf(1 - analysis.alpha / len(analysis.metrics)), 6)
    if "errors" in analysis.metrics:
        yield "errors", found.error_ratio(window, new), analysis.error_rate_max
        yield "errors-regression", _regression(service, "errors", new, old), deviations
    if "slow" in analysis.metrics and found.measures_latency:
        yield "slow", found.slow_ratio(than, window, new), analysis.slow_rate_max
        yield "slow-regression", _regression(service, "slow", new, old), deviations


def _window(service: Service) -> float:
    return max(60.0, 4 * service.observability.scrape)


def arms(service: Service, found: Source) -> tuple[str, str]:
    """Matchers of the canary and of the primary, as each source tells Flagger's two apart."""
    name = f"{names.namespace(service)}-{service.service}"
    if found.name == "istio":
        return f'destination_workload="{_TARGET}"', f'destination_workload="{_TARGET}-primary"'
    if found.name == "nginx":
        return 'canary!=""', 'canary=""'
    return f'service=~"{name}-canary-.*"', f'service=~"{name}-primary-.*"'


def _regression(service: Service, metric: str, new: str, old: str) -> str:
    """Standard deviations above what the old release's rate and the tolerated ratio explain."""
    found, than, seconds = source(service), service.promises.p99, _measured(service)
    window, tolerated = f"{seconds}s", service.rollout.analysis.ratio_tolerated
    if metric == "errors":
        bad, whole = found.errors(window, new), found.requests(window, new)
        rate = found.error_ratio(window, old)
    else:
        bad, whole = found.slow(than, window, new), found.timed(window, new)
        rate = found.slow_ratio(than, window, old)
    expected = f"{seconds} * {tolerated:g} * ({rate}) * ({whole})"
    return f"({seconds} * ({bad}) - {expected}) / sqrt(clamp_min({expected}, 1))"


def _measured(service: Service) -> int:
    """Seconds of an interval that are judged: those after the warm-up."""
    return interval(service) - math.ceil(service.rollout.analysis.warm_up)


def _template(service: Service, name: str, query: str) -> Object:
    asked = {"type": "prometheus", "address": names.PROMETHEUS}
    spec = {"provider": asked, "query": query}
    return _object(service, "MetricTemplate", f"{service.service}-{name}", spec)


def _canary(service: Service) -> Object:
    spec = {
        "provider": provider(service),
        "targetRef": _reference("apps/v1", _kind(service), service),
        **_scaler(service),
        **_entrance(service),
        "progressDeadlineSeconds": names.seconds(service.rollout.no_progress),
        "service": _service(service),
        "analysis": _analysis(service),
    }
    return _object(service, "Canary", service.service, spec)


def _object(service: Service, kind: str, name: str, spec: Object) -> Object:
    place = names.namespace(service)
    return owned(service, f"flagger.app/v1beta1/{kind}", name, place, spec=spec)


def _kind(service: Service) -> str:
    return "DaemonSet" if service.kubernetes.workload == "daemon" else "Deployment"


def _reference(version: str, kind: str, service: Service) -> Object:
    return {"apiVersion": version, "kind": kind, "name": service.service}


def provider(service: Service) -> str:
    """Who moves the traffic, as Flagger calls it. A Gateway follows its HTTPRoute and no
    VirtualService; the same route serves the callers in the mesh."""
    if service.kubernetes.ingress == "gateway":
        return "gatewayapi:v1"
    return "istio" if service.kubernetes.mesh == "istio" else service.kubernetes.ingress


def _scaler(service: Service) -> Object:
    if service.kubernetes.workload == "daemon":
        return {}
    keda = service.autoscaling.metrics and service.autoscaling.by == "keda"
    version, kind = (
        ("keda.sh/v1alpha1", "ScaledObject")
        if keda
        else ("autoscaling/v2", "HorizontalPodAutoscaler")
    )
    return {"autoscalerRef": _reference(version, kind, service)}


def _entrance(service: Service) -> Object:
    if provider(service) != "nginx":
        return {}
    return {"ingressRef": _reference("networking.k8s.io/v1", "Ingress", service)}


def _service(service: Service) -> Object:
    found: Object = {
        "port": service.traffic.port,
        "targetPort": names.port_name(service),
        "portName": names.port_name(service),
        "appProtocol": "http" if service.traffic.protocol == "http1" else "kubernetes.io/h2c",
    }
    if service.kubernetes.ingress == "gateway":
        found |= {"gatewayRefs": _parents(service), "hosts": [names.host(service)]}
        return found | {"timeout": names.duration(service.traffic.timeout)}
    if service.kubernetes.mesh == "istio":
        return found | {"trafficPolicy": _known(service), **calls.limits(service)}
    return found


def _known(service: Service) -> Object:
    """The policy in the fields of a Canary, which has none for connections (TCP) and for which
    zone is next: Istio's own order of zones, which is on in every mesh, stays."""
    whole = calls.policy(service)
    balance = {k: v for k, v in whole["loadBalancer"].items() if k != "localityLbSetting"}
    pool = {"http": whole["connectionPool"]["http"]}
    return {**whole, "loadBalancer": balance, "connectionPool": pool}


def _parents(service: Service) -> list[Object]:
    """The door, by TLS only, and in the mesh the Service itself (Gateway API, GAMMA)."""
    own = {"name": service.service, "namespace": names.namespace(service)}
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **own}
    found: list[Object] = [gateway | {"sectionName": "https"}]
    if service.kubernetes.mesh == "istio":
        found.append({"group": "", "kind": "Service", **own, "port": service.traffic.port})
    return found


def _analysis(service: Service) -> Object:
    return {
        "interval": f"{interval(service)}s",
        "threshold": threshold(service),
        **_progress(service),
        "metrics": [_metric(service, name, most) for name, _query, most in metrics(service)],
        **_approvals(service),
    }


def _progress(service: Service) -> Object:
    """Steps of a canary; the one switch of blue-green after a look at the whole second fleet."""
    if service.rollout.strategy == "blue-green":
        return {"iterations": 1}
    return {"maxWeight": 100, "stepWeights": [step.weight for step in service.rollout.steps]}


def _metric(service: Service, name: str, most: float) -> Object:
    return {
        "name": name,
        "interval": f"{_measured(service)}s",
        "templateRef": {"name": f"{service.service}-{name}", "namespace": names.namespace(service)},
        "thresholdRange": {"max": most},
    }


def _approvals(service: Service) -> Object:
    """The gate of Flagger's load tester is closed until a person opens it."""
    rollout = service.rollout
    stepped = rollout.strategy == "canary" and any(step.approvals for step in rollout.steps)
    kinds = {"confirm-rollout": rollout.approvals, "confirm-traffic-increase": stepped}
    hooks = [{"name": kind, "type": kind, "url": _GATE} for kind, wanted in kinds.items() if wanted]
    return {"webhooks": hooks} if hooks else {}
