"""Rules about the repository: names that git and GitHub accept.

Sources: git-check-ref-format(1); GitHub, About code owners.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.spec.model import Service
from holdfast.spec.problem import one_line
from holdfast.spec.rules.finding import Finding

_NO_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|/\.|[/.]$|\.lock(/|$)|^@$|^$")
_APPROVER = re.compile(r"[A-Za-z0-9-]+(/[A-Za-z0-9._-]+)?|[\w.+-]+@[\w-]+(\.[\w-]+)+", re.ASCII)


def check(service: Service) -> Iterator[Finding]:
    delivery = service.delivery
    if _NO_BRANCH.search(delivery.branch):
        wanted = "the name of a branch, such as main"
        yield Finding(("delivery", "branch"), repr(one_line(delivery.branch)), wanted)
    if not _inside(delivery.path):
        wanted = "a directory of the repository, such as out"
        yield Finding(("delivery", "path"), repr(one_line(delivery.path)), wanted)
    yield from _flagger(service)
    for index, approver in enumerate(delivery.approvers):
        if not _APPROVER.fullmatch(approver):
            wanted = "a person, a team as organisation/team, or an e-mail address"
            path = ("delivery", "approvers", index)
            yield Finding(path, repr(one_line(approver)), wanted)


def _flagger(service: Service) -> Iterator[Finding]:
    """Flagger v1.44: Deployments and DaemonSets, canary and blue-green, requests."""
    also: tuple[tuple[str | int, ...], ...] = ()
    if service.rollout.strategy == "rolling":
        also = (("rollout", "strategy"),)
    elif service.kubernetes.workload == "stateful":
        also = (("kubernetes", "workload"),)
    elif service.traffic.protocol == "tcp":
        also = (("traffic", "protocol"),)
    if service.delivery.flagger and also:
        wanted = "false: Flagger rolls out no StatefulSets, no rolling updates and no TCP"
        yield Finding(("delivery", "flagger"), "true", wanted, also=also)


def _inside(path: str) -> bool:
    return path.isprintable() and not path.startswith("/") and ".." not in path.split("/")
