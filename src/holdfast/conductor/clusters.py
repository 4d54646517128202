"""Services on Kubernetes: the target, or a clear word where its client is not installed."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from holdfast.artifacts import names
from holdfast.rollout.commands import Rejected
from holdfast.runtime.clock import Clock
from holdfast.spec.model import Service
from holdfast.targets.base import Target

if TYPE_CHECKING:
    from holdfast.targets.kubernetes.clients import Clients


class Clusters:
    """The clusters of one conductor: services of one cluster share its client and its pace."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._clients: Clients | None = None

    def target(self, holder: str) -> Target:
        """``holder``: who this conductor is to others in the cluster, also after a restart."""
        if importlib.util.find_spec("httpx2") is None:
            detail = "target kubernetes needs the client of its API, which is not installed"
            raise Rejected("no-client", detail, "pip install 'holdfast[kubernetes]'")
        from holdfast.conductor.counted import Counted
        from holdfast.targets.kubernetes.clients import Clients
        from holdfast.targets.kubernetes.target import Access, KubernetesTarget

        self._clients = self._clients or Clients(self._clock)
        counted = Counted(self._clock)
        access = Access(holder, self._clients, counted.counters, counted.aclose)
        return KubernetesTarget(access, self._clock)


def logs_command(spec: Service) -> str:
    """How people read what instances print in a cluster."""
    context = f"--context {spec.kubernetes.context} " if spec.kubernetes.context else ""
    selector = f"app.kubernetes.io/name={spec.service}"
    return f"kubectl {context}logs --namespace {names.namespace(spec)} --prefix -l {selector}"
