"""What is broken on purpose: one list, from which both formats are written.

An experiment says in advance what must stay true, breaks something small for a short while, and
stops as soon as users notice. None reaches beyond the service's own namespace, and none takes more
than one instance or the instances of one zone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Object
from holdfast.artifacts.resilience.data import cache, postgres, queue
from holdfast.artifacts.resilience.objects import ZONE
from holdfast.spec.model import Service

_LONGEST: Final = 60  # seconds that a fault lasts at most


def _always(service: Service) -> bool:
    return True


def _postgres(service: Service) -> bool:
    return service.resilience.database == "postgres"


def _redis(service: Service) -> bool:
    return service.resilience.cache == "redis"


def _kafka(service: Service) -> bool:
    return service.resilience.queue == "kafka"


def _zoned(service: Service) -> bool:
    """A zone's share can be lost only where two more zones are left to carry it."""
    return names.primary(service).zones >= len("abc")


@dataclass(frozen=True, slots=True)
class Experiment:
    """``kind`` and ``fault``: the Chaos Mesh object, but whom it hits and for how long.

    ``selects``: labels of those it may hit, of whom one is hit; ``zone``: all of one zone instead.
    ``slows``: latency may suffer while it lasts, only failures are judged. ``needs``: the keys that
    decide whether it applies and whom it hits, besides the name and the namespace.
    """

    name: str
    title: str
    kind: str
    fault: Object
    selects: Callable[[Service], Object] = lambda service: own(service)
    applies: Callable[[Service], bool] = _always
    zone: bool = False
    slows: bool = False
    needs: tuple[str, ...] = ()

    @property
    def at_once(self) -> bool:
        """Over as soon as it is done."""
        return self.fault.get("action") == "pod-kill"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that shape the fault."""
        lasting = () if self.at_once else ("resilience.backup.rto",)
        return ("service", "kubernetes.namespace", *lasting, *self.needs)


def own(service: Service) -> Object:
    """The service's instances, of whichever release."""
    values = [service.service, f"{service.service}-primary"]
    chosen = {"key": "app.kubernetes.io/name", "operator": "In", "values": values}
    return {"expressionSelectors": [chosen]}


def _database(service: Service) -> Object:
    labels = {"cnpg.io/cluster": postgres.name(service), "cnpg.io/instanceRole": "primary"}
    return {"labelSelectors": labels}


def _cache(service: Service) -> Object:
    return {"labelSelectors": {"app": cache.name(service), "redis-role": "master"}}


def _broker(service: Service) -> Object:
    labels = {"strimzi.io/cluster": queue.name(service), "strimzi.io/broker-role": "true"}
    return {"labelSelectors": labels}


_STOLEN = {"cpu": {"workers": 1, "load": 80}}
_HELD = {"memory": {"workers": 1, "size": "20%"}}
_NETWORK = {"direction": "to"}

EXPERIMENTS: Final = (
    Experiment("kill-instance", "An instance dies", "PodChaos",
               {"action": "pod-kill", "gracePeriod": 0}),
    Experiment("freeze-instance", "An instance hangs", "PodChaos", {"action": "pod-failure"}),
    Experiment("cut-instance", "An instance reaches nobody", "NetworkChaos",
               {"action": "partition", **_NETWORK}, slows=True),
    Experiment("slow-network", "An instance's network is slow", "NetworkChaos",
               {"action": "delay", "delay": {"latency": "100ms", "jitter": "20ms"}, **_NETWORK},
               slows=True),
    Experiment("lose-packets", "An instance's network loses packets", "NetworkChaos",
               {"action": "loss", "loss": {"loss": "20", "correlation": "25"}, **_NETWORK},
               slows=True),
    Experiment("busy-processor", "A neighbour takes an instance's processor", "StressChaos",
               {"stressors": _STOLEN}, slows=True),
    Experiment("short-memory", "An instance's memory is nearly full", "StressChaos",
               {"stressors": _HELD}),
    Experiment("wrong-clock", "An instance's clock is ten minutes behind", "TimeChaos",
               {"timeOffset": "-10m"}),
    Experiment("no-names", "An instance cannot resolve names", "DNSChaos", {"action": "error"},
               slows=True),
    Experiment("lose-zone", "A zone is gone", "PodChaos", {"action": "pod-failure"},
               applies=_zoned, zone=True, slows=True, needs=("regions",)),
    Experiment("kill-database", "The database's primary dies", "PodChaos",
               {"action": "pod-kill", "gracePeriod": 0}, _database, _postgres, slows=True,
               needs=("resilience.database",)),
    Experiment("kill-cache", "The cache's primary dies", "PodChaos",
               {"action": "pod-kill", "gracePeriod": 0}, _cache, _redis, slows=True,
               needs=("resilience.cache",)),
    Experiment("kill-broker", "A broker of the queue dies", "PodChaos",
               {"action": "pod-kill", "gracePeriod": 0}, _broker, _kafka,
               needs=("resilience.queue",)),
)  # fmt: skip


def experiments(service: Service) -> list[Experiment]:
    return [each for each in EXPERIMENTS if each.applies(service)]


def lasts(service: Service) -> int:
    """Seconds of a fault: never longer than half of what a recovery may take."""
    return max(1, min(_LONGEST, int(service.resilience.backup.rto / 2)))


def fault(experiment: Experiment, service: Service) -> Object:
    """The ``spec`` of its Chaos Mesh object."""
    said: Object = {
        "mode": "all" if experiment.zone else "one",
        "selector": _selector(experiment, service),
        **experiment.fault,
    }
    return said if experiment.at_once else {**said, "duration": f"{lasts(service)}s"}


def _selector(experiment: Experiment, service: Service) -> Object:
    chosen = {"namespaces": [names.namespace(service)], **experiment.selects(service)}
    if experiment.zone:
        zone = names.zones(names.primary(service))[-1]
        chosen["nodeSelectors"] = {ZONE: zone}
    return chosen
