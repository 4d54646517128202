"""Rules about the cluster: what Kubernetes would refuse, said before anything is rendered."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from holdfast.spec.model import Service
from holdfast.spec.problem import one_line
from holdfast.spec.rules.finding import Finding, Path
from holdfast.spec.written import size

_HOST = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_FIELD = r"(\*|[A-Za-z0-9]+(-[A-Za-z0-9]+)?)(/[0-9]+)?"
_CARD = re.compile(r"[A-Za-z0-9._-]{1,15}")  # IFNAMSIZ, linux/if.h
_CRON = re.compile(rf"{_FIELD}(,{_FIELD})*([ ]{_FIELD}(,{_FIELD})*){{4}}")
_PAGE = 2 * 2**20
#: Kubernetes' names end at 63; objects beside the service add a dash and up to 16 letters.
_NAME_MAX = 46
_CRON_NAME_MAX = 52  # a CronJob's Jobs add eleven


def check(service: Service) -> Iterator[Finding]:
    yield from _name(service)
    yield from _resources(service)
    yield from _cores(service)
    yield from _scaling(service)
    yield from _entrance(service)
    yield from _directories(service)
    yield from _jobs(service)
    yield from _flows(service)


def _name(service: Service) -> Iterator[Finding]:
    if len(service.service) > _NAME_MAX:
        found, wanted = f"{len(service.service)} characters", f"at most {_NAME_MAX} on Kubernetes"
        hint = "names of objects beside it would be longer than 63"
        yield Finding(("service",), found, wanted, hint, breaks=False)


def _resources(service: Service) -> Iterator[Finding]:
    asked, most = service.resources.requests, service.resources.limits
    if asked.cpu > most.cpu:
        yield _above(("resources", "requests", "cpu"), f"{asked.cpu:g}", f"{most.cpu:g}")
    if asked.memory > most.memory:
        path = ("resources", "requests", "memory")
        yield _above(path, size(asked.memory), size(most.memory))
    if service.resources.hugepages % _PAGE:
        found = size(service.resources.hugepages)
        yield Finding(("resources", "hugepages"), found, "a multiple of 2MiB, the size of a page")


def _cores(service: Service) -> Iterator[Finding]:
    """The static CPU manager gives cores of their own only to guaranteed pods with whole cores."""
    asked, most = service.resources.requests, service.resources.limits
    if service.run.affinity == "none" or "resources" not in service.model_fields_set:
        return
    if asked.cpu % 1 or (asked.cpu, asked.memory) != (most.cpu, most.memory):
        found = "requests that are not whole cores and equal to the limits"
        wanted = "whole cores, the same in requests and limits, as run.affinity asks for cores"
        hint = "on Kubernetes an instance gets no cores of its own"
        yield Finding(("resources", "requests"), found, wanted, hint, breaks=False)


def _above(path: Path, found: str, limit: str) -> Finding:
    also = (("resources", "limits", str(path[-1])),)
    return Finding(path, found, f"no more than the limit, {limit}", also=also)


def _scaling(service: Service) -> Iterator[Finding]:
    least, most = service.autoscaling.min, service.autoscaling.max
    if least is not None and most is not None and least > most:
        also = (("autoscaling", "max"),)
        yield Finding(("autoscaling", "min"), str(least), f"no more than max, {most}", also=also)
    seen: set[str] = set()
    for index, metric in enumerate(service.autoscaling.metrics):
        path: Path = ("autoscaling", "metrics", index, "name")
        yield from _once(path, metric.name, seen)


def _entrance(service: Service) -> Iterator[Finding]:
    given, path = service.kubernetes, ("kubernetes", "ingress")
    if given.host is not None and not (_HOST.fullmatch(given.host) and len(given.host) <= 253):
        wanted = "a name such as shop.example.com, in lower case"
        yield Finding(("kubernetes", "host"), repr(one_line(given.host)), wanted)
    if given.ingress == "nginx" and service.traffic.protocol == "tcp":
        wanted = "gateway or traefik over tcp"
        also = (("traffic", "protocol"),)
        yield Finding(path, "nginx", wanted, "an Ingress knows only HTTP", also)
    if given.ingress == "traefik" and given.mesh == "none" and service.traffic.protocol == "tcp":
        wanted = "gateway, or the mesh istio, over tcp"
        hint = "Traefik counts no connections, so nobody would see the service fail"
        yield Finding(path, "traefik", wanted, hint, (("kubernetes", "mesh"),))


def _directories(service: Service) -> Iterator[Finding]:
    wanted = "an absolute path without a colon and other than /"
    for path in service.image.tmpfs:
        if not _absolute(path):
            yield Finding(("image", "tmpfs", path), repr(one_line(path)), wanted)
    storage = service.kubernetes.storage.path
    if not _absolute(storage):
        yield Finding(("kubernetes", "storage", "path"), repr(one_line(storage)), wanted)
    elif storage in service.image.tmpfs:
        found = f"{one_line(storage)}, which is in memory"
        also = (("image", "tmpfs", storage),)
        yield Finding(("kubernetes", "storage", "path"), found, "a directory of its own", also=also)


def _absolute(path: str) -> bool:
    return path.startswith("/") and path != "/" and ":" not in path and path.isprintable()


def _jobs(service: Service) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, job in enumerate(service.kubernetes.jobs):
        path: Path = ("kubernetes", "jobs", index)
        yield from _once((*path, "name"), job.name, seen)
        if len(service.service) + len(job.name) + 1 > _CRON_NAME_MAX:
            wanted = f"at most {_CRON_NAME_MAX - 1} characters with the service's name"
            yield Finding((*path, "name"), repr(job.name), wanted)
        if not job.command or not job.command[0].strip():
            yield Finding((*path, "command"), "no program", "a program and its arguments")
        if job.schedule is not None and not _CRON.fullmatch(job.schedule):
            wanted = "minute, hour, day, month, weekday"
            found = repr(one_line(job.schedule))
            yield Finding((*path, "schedule"), found, wanted, '"30 22 * * 1-5"')


def _flows(service: Service) -> Iterator[Finding]:
    given, path = service.kubernetes, ("kubernetes",)
    for index, call in enumerate(given.calls):
        yield from _network((*path, "calls", index, "to"), call.to)
    yield from _network((*path, "sriov", "addresses"), given.sriov.addresses)
    if not _CARD.fullmatch(given.sriov.card):
        wanted = "the name of a network card, such as eth1"
        yield Finding((*path, "sriov", "card"), repr(one_line(given.sriov.card)), wanted)


def _network(path: Path, given: str) -> Iterator[Finding]:
    try:
        ipaddress.ip_network(given)
    except ValueError:
        wanted = "a network such as 203.0.113.0/24"
        yield Finding(path, repr(one_line(given)), wanted)


def _once(path: Path, name: str, seen: set[str]) -> Iterator[Finding]:
    if name in seen:
        yield Finding(path, f"{name} twice", "each name once")
    seen.add(name)
