"""Unit tests of the rules for ``promtool test rules``, made for this service's objective.

They feed the raw counters of whoever counts (Istio, ingress, Envoy) and look at which alerts fire:
an outage of everything, steady errors of 0.05 %, silence, and no series at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.names import namespace, primary
from holdfast.artifacts.observability.objective import BURNS, Objective, objectives, plain
from holdfast.artifacts.signals import Place, Selector, quote, source
from holdfast.spec.model import Service

TESTS = "observability/prometheus/tests"
_STEP = 15  # seconds between two samples
_RATE = 100  # requests a second
_MATCHER = re.compile(r'(\w+)(=~?)"(.*)"')
_FINE = {"response_code": "200", "status": "200", "code": "200", "envoy_response_code_class": "2",
         "grpc_response_status": "0"}  # fmt: skip
_BAD = {"response_code": "503", "status": "503", "code": "503", "envoy_response_code_class": "5",
        "grpc_response_status": "14", "response_flags": "UF",
        "__name__": "envoy_cluster_grpc_14"}  # fmt: skip


def render(service: Service) -> Iterator[Artifact]:
    for place in ("kubernetes", "local"):
        yield Artifact(
            f"{TESTS}/{place}_test.yml",
            _file(service, place),
            "Unit tests of the rules: promtool test rules.",
            (
                "service", "traffic.protocol", "promises.availability", "regions",
                "kubernetes.namespace", "kubernetes.mesh", "kubernetes.ingress",
            ) if place == "kubernetes" else (
                "service", "traffic.protocol", "promises.availability", "regions",
            ),
            ("P8", "T106"),
        )  # fmt: skip


def _file(service: Service, place: Place) -> Object:
    story = Story(service, place, next(objectives(service)))
    return {
        "rule_files": [f"../rules/{place}.yml"],
        "evaluation_interval": "30s",
        "tests": [story.outage(), story.steady(), story.silence(), story.absence()],
    }


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to a service, sample by sample, and which alerts must fire."""

    service: Service
    place: Place
    objective: Objective

    def outage(self) -> Object:
        """A fine hour, then every request fails."""
        each, fine = _STEP * _RATE, 3600 // _STEP
        counted = f"0+{each}x{fine} {each * fine}+{0 if self._same else each}x20"
        failed = f"0x{fine} 0+{each}x20"
        fired = ("AvailabilityBurnsFast", "MostRequestsFail")
        return {
            "name": "an outage of everything pages within two evaluations",
            "interval": f"{_STEP}s",
            "input_series": self._series(counted, failed),
            "promql_expr_test": [
                self._fires("1h", "Availability.*|Most.*", ()),
                self._fires("1h1m", "Most.*", ("MostRequestsFail",)),
                self._fires("1h4m", "AvailabilityBurnsFast|Most.*", fired),
            ],
        }

    def steady(self) -> Object:
        """An hour with one failure in two thousand, or a bit fewer beside a threshold."""
        part, much, each = self._part(), 3600 // _STEP, Decimal(_STEP * _RATE)
        counted = each * (1 - part) if self._same else each
        values = f"0+{plain(counted)}x{much}", f"0+{plain(each * part)}x{much}"
        expected = self._heard(part)
        ratio = f"{self.objective.ratio('1h')}{self._chosen('slo', 'availability')}"
        sample = {"labels": self._labels("slo", "availability"), "value": int(part * 100_000)}
        return {
            "name": f"failures of {plain(part * 100)} % are {'heard' if expected else 'quiet'}",
            "interval": f"{_STEP}s",
            "input_series": self._series(*values),
            "promql_expr_test": [
                {
                    "expr": f"round({ratio} * 100000)",
                    "eval_time": "1h",
                    "exp_samples": [sample],
                },
                self._fires("1h", "Availability.*|Most.*", expected),
            ],
        }

    def _heard(self, part: Decimal) -> tuple[str, ...]:
        ends = {"page": "AvailabilityBurnsFast", "ticket": "AvailabilityBurnsSlowly"}
        loud = {burn.severity for burn in BURNS if part > self.objective.threshold(burn)}
        return tuple(name for severity, name in ends.items() if severity in loud)

    def silence(self) -> Object:
        """An hour of traffic, then none."""
        each, much = _STEP * _RATE, 3600 // _STEP
        return {
            "name": "no traffic where there was some pages",
            "interval": f"{_STEP}s",
            "input_series": self._series(f"0+{each}x{much} {each * much}x80", f"0x{much + 81}"),
            "promql_expr_test": [
                self._fires("1h", "NoTraffic|SignalsAbsent", ()),
                self._fires("1h15m", "NoTraffic|SignalsAbsent|Most.*", ("NoTraffic",)),
            ],
        }

    def absence(self) -> Object:
        """Nothing counts."""
        return {
            "name": "nothing that counts requests pages",
            "interval": f"{_STEP}s",
            "input_series": [{"series": "unrelated", "values": "1x80"}],
            "promql_expr_test": [
                self._fires("2m", "SignalsAbsent", ()),
                self._fires("10m", "NoTraffic|SignalsAbsent|Most.*", ("SignalsAbsent",)),
            ],
        }

    @property
    def _same(self) -> bool:
        """Failures are a part of the counted series, and not a counter beside it."""
        found = source(self.service, self.place)
        return found.failed.metric == found.counted.metric

    def _part(self) -> Decimal:
        part = Decimal("0.0005")
        near = (abs(part - self.objective.threshold(burn)) < part / 10 for burn in BURNS)
        return Decimal("0.0004") if any(near) else part

    def _series(self, counted: str, failed: str) -> list[Object]:
        found = source(self.service, self.place)
        fine = _FINE if self._same else {}
        return [
            {"series": self._concrete(found.counted, fine), "values": counted},
            {"series": self._concrete(found.failed, _BAD), "values": failed},
        ]

    def _concrete(self, selector: Selector, words: dict[str, str]) -> str:
        """One series that a selector chooses."""
        labels = {"region": primary(self.service).name}
        labels.update({name: words[name] for name in words if name in _SAID_BY[self._by]})
        for matcher in selector.matchers:
            name, operator, value = _MATCHER.fullmatch(matcher).groups()  # type: ignore[union-attr]
            labels[name] = words.get(name) or (self._example(name) if operator == "=~" else value)
        metric = labels.pop("__name__", selector.metric)
        return str(Selector(metric, tuple(f"{k}={quote(v)}" for k, v in labels.items())))

    @property
    def _by(self) -> str:
        return source(self.service, self.place).name

    def _example(self, name: str) -> str:
        own = self.service.service
        if self._by == "traefik" and name == "service":
            return f"{namespace(self.service)}-{own}-http@kubernetes"
        return own

    def _fires(self, when: str, among: str, names: tuple[str, ...]) -> Object:
        chosen = f'alertstate="firing",alertname=~"{among}"'
        return {
            "expr": f"group by (alertname) (ALERTS{{{chosen}}})",
            "eval_time": when,
            "exp_samples": [{"labels": f'{{alertname="{each}"}}', "value": 1} for each in names],
        }

    def _chosen(self, name: str, value: str) -> str:
        return f'{{service="{self.service.service}",{name}="{value}"}}'

    def _labels(self, name: str, value: str) -> str:
        region, own = primary(self.service).name, self.service.service
        return f'{{region="{region}", service="{own}", {name}="{value}"}}'


#: Labels that each source gives its counter, by which fine and bad are told apart.
_SAID_BY = {
    "istio": ("response_code",),
    "nginx": ("status",),
    "traefik": ("code",),
    "envoy": ("envoy_response_code_class",),
}
