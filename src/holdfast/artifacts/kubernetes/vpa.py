"""The VerticalPodAutoscaler: what requests should be, as advice or applied.

Processor use is what the number of replicas follows, so where requests are applied only memory
is: two controllers that turn the same screw never come to rest.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes import workload
from holdfast.artifacts.kubernetes.objects import BASE, named, namespaced
from holdfast.spec.model import Service
from holdfast.spec.production.resources import Amount

_MODES = {"off": "Off", "initial": "Initial", "recreate": "Recreate"}


def render(service: Service) -> Iterable[Artifact]:
    keys = ("service", "kubernetes.namespace", "kubernetes.workload", "autoscaling.vertical",
            "resources.requests", "resources.limits")  # fmt: skip
    yield Artifact(
        f"{BASE}/vpa.yaml",
        _autoscaler(service),
        "What the instances should ask for, learned from what they use.",
        keys,
        ("T47",),
    )


def _autoscaler(service: Service) -> Object:
    kind = "autoscaling.k8s.io/v1/VerticalPodAutoscaler"
    found = namespaced(service, kind, named(service), "scaling")
    mode = _MODES[service.autoscaling.vertical]
    found["spec"] = {
        "targetRef": workload.reference(service),
        "updatePolicy": {"updateMode": mode},
        "resourcePolicy": {"containerPolicies": [_policy(service), _others()]},
    }
    return found


def _policy(service: Service) -> Object:
    applied = service.autoscaling.vertical != "off"
    return {
        "containerName": service.service,
        "controlledResources": ["memory"] if applied else ["cpu", "memory"],
        "controlledValues": "RequestsOnly",
        "minAllowed": _least(service.resources.requests),
        "maxAllowed": _amount(service.resources.limits),
    }


def _others() -> Object:
    return {"containerName": "*", "mode": "Off"}


def _least(requests: Amount) -> Object:
    """Half of what is asked for: one quiet night must not starve the morning."""
    return {"cpu": names.cpu(requests.cpu / 2), "memory": names.memory(requests.memory // 2)}


def _amount(amount: Amount) -> Object:
    return {"cpu": names.cpu(amount.cpu), "memory": names.memory(amount.memory)}
