"""Services on Kubernetes: the target, or a clear word where its client is not installed."""

from __future__ import annotations

import importlib.util

from holdfast.artifacts import names
from holdfast.rollout.commands import Rejected
from holdfast.runtime.clock import Clock
from holdfast.spec.model import Service
from holdfast.targets.base import Target


def cluster_target(holder: str, clock: Clock) -> Target:
    """``holder``: who this conductor is to others in the cluster, also after a restart."""
    if importlib.util.find_spec("httpx2") is None:
        detail = "target kubernetes needs the client of its API, which is not installed"
        raise Rejected("no-client", detail, "pip install 'holdfast[kubernetes]'")
    from holdfast.conductor.counted import Counted
    from holdfast.targets.kubernetes.target import Access, KubernetesTarget

    counted = Counted(clock)
    access = Access(holder, counters=counted.counters, uncount=counted.aclose)
    return KubernetesTarget(access, clock)


def logs_command(spec: Service) -> str:
    """How people read what instances print in a cluster."""
    context = f"--context {spec.kubernetes.context} " if spec.kubernetes.context else ""
    selector = f"app.kubernetes.io/name={spec.service}"
    return f"kubectl {context}logs --namespace {names.namespace(spec)} --prefix -l {selector}"
