"""What Envoy's admin interface says, as values. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from holdfast.rollout.model import ReleaseId
from holdfast.targets.base import RawCounts
from holdfast.targets.local.envoy_config import refuge_name

# gRPC statuses that mean a fault of the server, as OpenTelemetry counts them for server spans:
# UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. UNIMPLEMENTED is
# among them because a release that lost a method is a bad release; the others (NOT_FOUND,
# INVALID_ARGUMENT, RESOURCE_EXHAUSTED, CANCELLED...) are answers to what the caller did.
_GRPC_FAULTS = tuple(f"grpc.{status}" for status in (2, 4, 12, 13, 14, 15))
_COUNTERS = (
    "upstream_rq_completed",
    "upstream_rq_5xx",
    "upstream_rq_retry",
    "upstream_cx_total",
    "upstream_cx_connect_fail",
    "grpc.total",
    *_GRPC_FAULTS,
)
COUNTERS_QUERY = (
    "/stats?format=json&histogram_buckets=detailed&filter="
    + r"^cluster\..*\.(" + "|".join(_COUNTERS) + r"|upstream_rq_time)$"
)  # fmt: skip
_COUNTER = re.compile(r"cluster\.(.+?)\.(" + "|".join(_COUNTERS) + r")$")
_TIMES = re.compile(r"cluster\.(.+)\.upstream_rq_time$")
_HOST = re.compile(r"^(.+)::127\.0\.0\.1:(\d+)::(rq_active|cx_active|health_flags)::(.*)$")


@dataclass(frozen=True, slots=True)
class Host:
    """One replica as Envoy sees it."""

    release: ReleaseId
    port: int
    requests: int  # in flight
    connections: int
    flags: str

    @property
    def passes(self) -> bool:
        """Its health check passes. An ejection is Envoy's own short-lived business."""
        flags = {flag for flag in self.flags.split("/") if flag}
        return not flags - {"healthy", "failed_outlier_check"}


def hosts(text: str) -> tuple[Host, ...]:
    """All hosts of ``/clusters``."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for line in text.splitlines():
        if match := _HOST.match(line):
            release, port, name, value = match.groups()
            found.setdefault((release, int(port)), {})[name] = value
    return tuple(
        Host(release, port, _number(seen, "rq_active"), _number(seen, "cx_active"),
             seen.get("health_flags", "unknown"))
        for (release, port), seen in found.items()
    )  # fmt: skip


def _number(seen: Mapping[str, str], name: str) -> int:
    return int(seen.get(name, "0"))


@dataclass(frozen=True, slots=True)
class Subscription:
    """How Envoy took the last file of one kind."""

    version: str = ""
    rejected: int = 0


def subscriptions(text: str, prefixes: Iterable[str]) -> dict[str, Subscription]:
    """By stat prefix, e.g. ``http.service.rds.service``."""
    seen = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return {prefix: _subscription(seen, prefix) for prefix in prefixes}


def _subscription(seen: Mapping[str, str], prefix: str) -> Subscription:
    refused = (seen.get(f"{prefix}.{name}", "0") for name in ("update_rejected", "update_failure"))
    version = seen.get(f"{prefix}.version_text", "").strip('"')
    return Subscription(version, sum(map(int, refused)))


def counts(
    body: bytes, slow_over: Mapping[ReleaseId, float], tcp: bool
) -> dict[ReleaseId, RawCounts]:
    """Cumulative counters of the releases named in ``slow_over`` (promised seconds each).

    A request that succeeded at the second attempt failed once: retries hide failures from users
    but not from judgement, so every attempt counts. Envoy keeps those apart from final answers.
    """
    stats = json.loads(body)["stats"]
    whose = {name: name for name in slow_over}
    whose |= {refuge_name(a, b): a for a, b in permutations(slow_over, 2)}
    seen: dict[ReleaseId, Counter[str]] = {release: Counter() for release in slow_over}
    times: dict[ReleaseId, Counter[float]] = {release: Counter() for release in slow_over}
    for stat in stats:
        if "histograms" in stat:
            _add_times(times, stat["histograms"].get("details", ()), whose)
        elif (match := _COUNTER.match(stat["name"])) and match[1] in whose:
            seen[whose[match[1]]][match[2]] += int(stat["value"])
    slow = {name: _slow(times[name], bound) for name, bound in slow_over.items()}
    return {
        name: replace(_raw(each, slow[name], tcp), times=tuple(sorted(times[name].items())))
        for name, each in seen.items()
        if each
    }


def _raw(seen: Mapping[str, int], slow: int, tcp: bool) -> RawCounts:
    if tcp:
        failed = seen.get("upstream_cx_connect_fail", 0)
        return RawCounts(seen.get("upstream_cx_total", 0), failed, 0)
    retried = seen.get("upstream_rq_retry", 0)
    # A gRPC call that Envoy ended at its deadline was not completed, but it was made.
    made = max(seen.get("upstream_rq_completed", 0), seen.get("grpc.total", 0))
    # A lost gRPC call is both a 5xx and an "unavailable": counted once.
    failed = max(seen.get("upstream_rq_5xx", 0), sum(seen.get(name, 0) for name in _GRPC_FAULTS))
    return RawCounts(made + retried, failed + retried, slow)


def _add_times(
    times: Mapping[ReleaseId, Counter[float]],
    details: Iterable[Any],
    whose: Mapping[str, ReleaseId],
) -> None:
    """Envoy measures whole milliseconds, in buckets of two digits."""
    for histogram in details:
        match = _TIMES.match(histogram["name"])
        if match and match[1] in whose:
            for bucket in histogram.get("totals", ()):
                times[whose[match[1]]][float(bucket["lower_bound"])] += int(bucket["count"])


def _slow(times: Mapping[float, int], promised_s: float) -> int:
    bound = max(promised_s * 1000, 1.0)
    return sum(count for lower, count in times.items() if lower >= bound)


def listener_error(dump: bytes) -> str:
    """Why the listener was refused, from ``/config_dump?resource=dynamic_listeners``."""
    for listener in json.loads(dump).get("configs", ()):
        if details := listener.get("error_state", {}).get("details"):
            return str(details)
    return ""


def rejection(log: str) -> str:
    """Envoy's last words on a file it refused. It prints the whole resource before the reason."""
    _, found, said = log.rpartition("Filesystem config update ")
    words = said.partition(": ")[2].split("\n[2", 1)[0].rpartition("\n: ")[2]
    return " ".join(words.split())[:500] if found else ""
