"""``/metrics``: the conductor and its services for Prometheus. The names are stable.

holdfast_build_info{version}                          1
holdfast_services                                     services known
holdfast_ledger_entries                               size of the ledger
holdfast_event_streams                                listeners of /v1/events
holdfast_api_requests_total{operation,status}         answers given
holdfast_api_request_seconds{operation}               histogram; of an event stream: until it begins
holdfast_facts_total{service,kind}                    ledger events recorded since the start
holdfast_rollouts_finished_total{service,ending}      endings recorded since the start
holdfast_replicas_wanted{service}
holdfast_instances{service,release,state}             starting, ready, draining, failed
holdfast_in_flight{service,release}
holdfast_restarts{service,release}                    unexpected deaths of present instances
holdfast_traffic_weight_percent{service,release}      as the data plane acknowledged it
holdfast_rollout_running{service}                     0 or 1
holdfast_rollout_step{service}                        counts from 1; 0 when none runs
holdfast_hold{service,code}                           1 for each reason to wait
holdfast_lease_generation{service}
holdfast_service_trouble{service}                     1 while turns fail
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from holdfast import __version__
from holdfast.conductor.station import Station
from holdfast.conductor.wiring import Conductor
from holdfast.rollout.model import Event, Finished, Observation

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
disable_created_metrics()  # type: ignore[no-untyped-call]
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """One registry per conductor, so that tests can have several in a process."""

    def __init__(self, conductor: Conductor) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "holdfast_api_requests", "Answers given", ["operation", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "holdfast_api_request_seconds", "Time to answer", ["operation"],
            registry=self.registry, buckets=_BUCKETS,
        )  # fmt: skip
        self._facts = Counter(
            "holdfast_facts", "Ledger events recorded", ["service", "kind"], registry=self.registry
        )
        self._finished = Counter(
            "holdfast_rollouts_finished", "Endings recorded", ["service", "ending"],
            registry=self.registry,
        )  # fmt: skip
        self.registry.register(_Services(conductor))

    def answered(self, operation: str, status: int, seconds: float) -> None:
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def recorded(self, service: str, events: Sequence[Event]) -> None:
        for event in events:
            self._facts.labels(service, type(event).__name__).inc()
            if isinstance(event, Finished):
                self._finished.labels(service, event.ending.value).inc()

    def exposition(self) -> bytes:
        return generate_latest(self.registry)


class _Services(Collector):
    """Reads the stations when it is scraped, so nothing can be forgotten or stale."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def collect(self) -> Iterator[GaugeMetricFamily]:
        works, stations = self._conductor.works, self._conductor.stations
        yield _gauge("build_info", "Version", ["version"], [([__version__], 1)])
        yield _gauge("services", "Services known", [], [([], len(stations))])
        yield _gauge("ledger_entries", "Size of the ledger", [], [([], works.ledger.size)])
        yield _gauge("event_streams", "Listeners", [], [([], works.news.listeners)])
        seats = list(stations.values())
        yield from _of_services(seats)
        yield from _of_fleets(seats)


Rows = Iterable[tuple[list[str], float]]


def _gauge(name: str, about: str, labels: list[str], rows: Rows) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"holdfast_{name}", about, labels=labels)
    for values, number in rows:
        family.add_metric(values, number)
    return family


def _of_services(seats: list[Station]) -> Iterator[GaugeMetricFamily]:
    def each(name: str, about: str, rows: Rows) -> GaugeMetricFamily:
        return _gauge(name, about, ["service"], rows)

    running = [(s, s.state.running) for s in seats]
    yield each(
        "replicas_wanted", "Replicas asked for", [([s.name], s.state.replicas) for s in seats]
    )
    yield each("rollout_running", "0 or 1", [([s.name], run is not None) for s, run in running])
    steps = [([s.name], 0 if run is None else run.step + 1) for s, run in running]
    yield each("rollout_step", "Counts from 1", steps)
    yield each("lease_generation", "Fencing token", [([s.name], s.post.generation) for s in seats])
    yield each(
        "service_trouble", "1: turns fail", [([s.name], s.trouble is not None) for s in seats]
    )
    holds = {(s.name, hold.code.value) for s in seats for hold in s.post.holds}
    rows = [([name, code], 1.0) for name, code in sorted(holds)]
    yield _gauge("hold", "Why nothing moves", ["service", "code"], rows)


def _of_fleets(seats: list[Station]) -> Iterator[GaugeMetricFamily]:
    looks = [(s.name, s.post.seen) for s in seats]
    seen = [(name, look) for name, look in looks if look is not None]
    yield _gauge("instances", "Instances", ["service", "release", "state"], _instances(seen))
    fleets = [(name, fleet) for name, look in seen for fleet in look.fleets]
    pair = ["service", "release"]
    flights = [([name, f.release], f.in_flight) for name, f in fleets]
    yield _gauge("in_flight", "Work in progress", pair, flights)
    deaths = [([name, f.release], f.restarts) for name, f in fleets]
    yield _gauge("restarts", "Unexpected deaths", pair, deaths)
    weights = [([name, r], w) for name, look in seen for r, w in look.weights]
    yield _gauge("traffic_weight_percent", "Acknowledged weight", pair, weights)


def _instances(seen: list[tuple[str, Observation]]) -> Iterator[tuple[list[str], float]]:
    for name, look in seen:
        for fleet in look.fleets:
            yield [name, fleet.release, "starting"], fleet.starting
            yield [name, fleet.release, "ready"], fleet.ready
            yield [name, fleet.release, "draining"], fleet.draining
            yield [name, fleet.release, "failed"], fleet.failed
