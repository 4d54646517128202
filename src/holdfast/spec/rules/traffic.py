"""Rules about the data plane and the probes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from holdfast.spec.model import Probe, Service
from holdfast.spec.problem import one_line
from holdfast.spec.rules.finding import Finding, Path
from holdfast.spec.written import duration

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_URL_PATH = re.compile(r"/[!-~]*")
_TCP = ("traffic", "protocol")


def check(service: Service) -> Iterator[Finding]:
    yield from _address(service)
    yield from _balance(service)
    yield from _timeouts(service)
    yield from _without_http(service)
    yield from _multiplexed(service)
    for name in ("ready", "live"):
        yield from _probe(service, name)
    yield from _smoke(service)
    yield from _version_header(service)


def _address(service: Service) -> Iterator[Finding]:
    traffic = service.traffic
    if traffic.port < 1024:
        wanted, hint = "1024 or above", "lower ports need a privilege"
        yield Finding(("traffic", "port"), str(traffic.port), wanted, hint, breaks=False)
    try:
        address = ipaddress.ip_address(traffic.address)
    except ValueError:
        found = repr(one_line(traffic.address))
        yield Finding(("traffic", "address"), found, "an IP address", "127.0.0.1 is this machine")
        return
    if not address.is_loopback:
        hint = "make sure that this is meant"
        wanted = "127.0.0.1: other machines can connect to anything else"
        yield Finding(("traffic", "address"), traffic.address, wanted, hint, breaks=False)


def _balance(service: Service) -> Iterator[Finding]:
    traffic, path = service.traffic, ("traffic", "balance")
    hashed = traffic.balance == "ring-hash"
    if hashed and traffic.protocol == "tcp":
        wanted = "least-request or round-robin"
        yield Finding(path, "ring-hash over tcp", wanted, "TCP has no header", (_TCP,))
    if not _HEADER.fullmatch(traffic.hash_header):
        yield _no_header(("traffic", "hash_header"), traffic.hash_header)
    if "hash_header" in traffic.model_fields_set and not hashed:
        wanted, hint = "traffic.balance: ring-hash", "it has no effect now"
        path = ("traffic", "hash_header")
        yield Finding(path, f"balance: {traffic.balance}", wanted, hint, breaks=False)


def _no_header(path: Path, name: str) -> Finding:
    return Finding(path, repr(one_line(name)), "the name of an HTTP header")


def _timeouts(service: Service) -> Iterator[Finding]:
    traffic = service.traffic
    yield from _above_zero(("traffic", "timeout"), traffic.timeout)
    yield from _above_zero(("traffic", "outlier", "eject"), traffic.outlier.eject)
    if traffic.try_timeout is None:
        return
    path = ("traffic", "try_timeout")
    yield from _above_zero(path, traffic.try_timeout)
    if traffic.try_timeout > traffic.timeout:
        wanted = f"no more than traffic.timeout, {duration(traffic.timeout)}"
        also = (("traffic", "timeout"),)
        yield Finding(path, duration(traffic.try_timeout), wanted, "", also)
    if not traffic.idempotent:
        wanted = "traffic.idempotent: true"
        hint = "a try that may have been worked on is not repeated"
        yield Finding(path, "requests that may not be repeated", wanted, hint, breaks=False)


def _above_zero(path: Path, seconds: float) -> Iterator[Finding]:
    if seconds == 0:
        yield Finding(path, "0", "a time above 0")


def _without_http(service: Service) -> Iterator[Finding]:
    """TCP has connections and bytes: nothing that reads a request or an answer can work."""
    if service.traffic.protocol != "tcp":
        return
    probes, hint = service.probes, "TCP has no requests"
    path: Path
    for name, probe in (("ready", probes.ready), ("live", probes.live)):
        if probe.path:
            wanted = "no path: a TCP connect is the probe"
            yield Finding(("probes", name, "path"), one_line(probe.path), wanted, hint, (_TCP,))
    if probes.smoke:
        yield Finding(("probes", "smoke"), "smoke requests", "none over tcp", hint, (_TCP,))
    if probes.version_header is not None:
        path = ("probes", "version_header")
        yield Finding(path, probes.version_header, "none over tcp", hint, (_TCP,))
    if "slow" in service.rollout.analysis.metrics:
        path = ("rollout", "analysis", "metrics")
        yield Finding(path, "slow over tcp", "errors only", hint, (_TCP,))
    if service.traffic.idempotent:
        path = ("traffic", "idempotent")
        yield Finding(path, "true over tcp", "false", hint, (_TCP,), breaks=False)


def _multiplexed(service: Service) -> Iterator[Finding]:
    """HTTP/2 and gRPC are probed by Envoy, which says well or not well and nothing more."""
    protocol, probes = service.traffic.protocol, service.probes
    if protocol not in ("http2", "grpc"):
        return
    path: Path = ("probes", "smoke")
    wanted, hint = f"none over {protocol}", "answers can be looked into with http1 only"
    if probes.smoke:
        yield Finding(path, "smoke requests", wanted, hint, (_TCP,))
    if probes.version_header is not None:
        path = ("probes", "version_header")
        yield Finding(path, one_line(probes.version_header), wanted, hint, (_TCP,))
    if probes.live.path:
        path = ("probes", "live", "path")
        found, wanted = one_line(probes.live.path), f"no path over {protocol}"
        hint = "only HTTP/2's handshake is looked at"
        yield Finding(path, found, wanted, hint, (_TCP,), breaks=False)


def _probe(service: Service, name: str) -> Iterator[Finding]:
    probe: Probe = getattr(service.probes, name)
    path = ("probes", name)
    asked = probe.path and service.traffic.protocol != "tcp"
    if asked and not _URL_PATH.fullmatch(probe.path):
        yield _no_path((*path, "path"), probe.path)
    yield from _above_zero((*path, "every"), probe.every)
    yield from _above_zero((*path, "timeout"), probe.timeout)
    start = service.probes.start_within
    if name == "ready" and probe.delay >= start > 0:
        wanted = f"less than probes.start_within, {duration(start)}"
        found, also = duration(probe.delay), (("probes", "start_within"),)
        yield Finding((*path, "delay"), found, wanted, "it would never be ready", also)


def _no_path(path: Path, text: str) -> Finding:
    hint = f"/{text}" if _URL_PATH.fullmatch(f"/{text}") and "://" not in text else "/ready"
    return Finding(path, repr(one_line(text)), "a path that starts with /", f"such as {hint}")


def _smoke(service: Service) -> Iterator[Finding]:
    yield from _above_zero(("probes", "start_within"), service.probes.start_within)
    for index, smoke in enumerate(service.probes.smoke):
        path = ("probes", "smoke", index)
        if not _URL_PATH.fullmatch(smoke.path):
            yield _no_path((*path, "path"), smoke.path)
        yield from _above_zero((*path, "timeout"), smoke.timeout)
        for name, value in smoke.headers.items():
            if not _HEADER.fullmatch(name):
                yield _no_header((*path, "headers", name), name)
            if "\n" in value or "\r" in value:
                yield Finding((*path, "headers", name), "a line break", "text on one line")
        if smoke.method == "HEAD" and smoke.contains:
            found, wanted = "text wanted in the answer to HEAD", "GET or POST"
            yield Finding((*path, "contains"), found, wanted, "HEAD has no body")


def _version_header(service: Service) -> Iterator[Finding]:
    name, path = service.probes.version_header, ("probes", "version_header")
    if name is None:
        return
    if not _HEADER.fullmatch(name):
        yield _no_header(path, name)
    if not service.probes.ready.path and service.traffic.protocol != "tcp":
        wanted = "probes.ready with a path: its answer carries the header"
        yield Finding(path, "a TCP connect as ready probe", wanted, "", (("probes", "ready"),))
