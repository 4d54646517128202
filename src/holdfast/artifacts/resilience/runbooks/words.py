"""The service's own names, as its runbooks say them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from holdfast.artifacts import names
from holdfast.artifacts.resilience.data import advice, postgres
from holdfast.artifacts.resilience.objects import VELERO
from holdfast.spec.model import Service

_KINDS: Final = {"deployment": "deployment", "stateful": "statefulset", "daemon": "daemonset"}


@dataclass(frozen=True, slots=True)
class Words:
    """Everything a command names. ``k`` is kubectl in the service's namespace."""

    service: Service

    @property
    def name(self) -> str:
        return self.service.service

    @property
    def space(self) -> str:
        return names.namespace(self.service)

    @property
    def k(self) -> str:
        """``$REGION`` is the context; every page begins by setting it."""
        return f'kubectl --context "$REGION" -n {self.space}'

    def elsewhere(self, namespace: str) -> str:
        return f'kubectl --context "$REGION" -n {namespace}'

    @property
    def cluster(self) -> str:
        return 'kubectl --context "$REGION"'

    @property
    def velero(self) -> str:
        return f'velero --kubecontext "$REGION" -n {VELERO}'

    @property
    def cnpg(self) -> str:
        """A plugin of kubectl takes its flags behind its name."""
        return f'kubectl cnpg --context "$REGION" -n {self.space}'

    @property
    def canaried(self) -> bool:
        """Flagger runs the rollout: users are served by a copy of the workload."""
        stateful = self.service.kubernetes.workload == "stateful"
        return not stateful and self.service.rollout.strategy != "rolling"

    @property
    def serving(self) -> str:
        """The name of what serves users."""
        return f"{self.name}-primary" if self.canaried else self.name

    @property
    def workload(self) -> str:
        """``deployment/shop-primary``."""
        return f"{_KINDS[self.service.kubernetes.workload]}/{self.serving}"

    @property
    def selector(self) -> str:
        """The pods of the service, of whichever release, and none of its helpers."""
        if not self.canaried:
            return f"app.kubernetes.io/name={self.name}"
        return f"'app.kubernetes.io/name in ({self.name},{self.serving})'"

    @property
    def region(self) -> str:
        """How a page begins: the region that the alert names."""
        known = ", ".join(region.name for region in self.service.regions)
        return f"$ REGION={names.primary(self.service).name}  # the alert's region: {known}"

    @property
    def primary(self) -> str:
        return names.primary(self.service).name

    @property
    def application(self) -> str:
        """The Argo CD Application of the service in the region."""
        return f"{self.name}-$REGION"

    @property
    def url(self) -> str:
        """What users would ask first, fit for a shell and for a line of Markdown."""
        path = quote(self.service.probes.ready.path or "/", safe="/?&=%:@,;+~")
        return shlex.quote(f"https://{names.host(self.service)}{path}")

    @property
    def db(self) -> str:
        return postgres.name(self.service)

    @property
    def sql(self) -> str:
        """psql on the database's primary, inside its pod, without a password."""
        chosen = f"cnpg.io/cluster={self.db},cnpg.io/instanceRole=primary"
        return f'{self.k} exec "$({self.k} get pod -l {chosen} -o name)" -c postgres -- psql'

    @property
    def advice(self) -> str:
        """What the database advises about its statements and indexes."""
        chosen = f"cnpg.io/cluster={self.db},cnpg.io/instanceRole=primary"
        psql = f"psql -d {postgres.database(self.service)} -f -"
        pod = f'"$({self.k} get pod -l {chosen} -o name)"'
        return f"{self.k} exec -i {pod} -c postgres -- {psql} < {advice.PATH}"

    def prom(self, query: str) -> str:
        """A question to Prometheus of the region."""
        ask = 'promtool query instant "http://localhost:9090"'
        pod = (
            f"{self.elsewhere('monitoring')} exec statefulset/prometheus-holdfast -c prometheus --"
        )
        return f"{pod} {ask} {shlex.quote(query)}"
