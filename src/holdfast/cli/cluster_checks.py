"""What ``holdfast doctor`` asks a cluster: is it there, and may we do what a rollout does?"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator

from holdfast.cli.finding import Finding
from holdfast.spec.model import Service


def cluster(spec: Service) -> Iterator[Finding]:
    """Changes nothing: rights are asked for by SelfSubjectAccessReview."""
    if importlib.util.find_spec("httpx2") is None:
        costs = "no service can be deployed to a cluster"
        yield Finding(
            "cluster", "fail", "its client is missing", costs, "pip install 'holdfast[kubernetes]'"
        )
        return
    from holdfast.targets.base import TargetError

    try:
        yield from asyncio.run(_asked(spec))
    except TargetError as error:
        costs = "nothing can be deployed there, what serves goes on serving"
        fix = "kubectl cluster-info, then kubectl config get-contexts"
        yield Finding("cluster", "fail", str(error), costs, fix)


async def _asked(spec: Service) -> list[Finding]:
    from holdfast.runtime.clock import LoopClock
    from holdfast.targets.kubernetes import rights
    from holdfast.targets.kubernetes.client import Client
    from holdfast.targets.kubernetes.kubeconfig import locate
    from holdfast.targets.kubernetes.pace import Limits
    from holdfast.targets.kubernetes.routes import way_of
    from holdfast.targets.kubernetes.wanted import namespace

    there = locate(spec.kubernetes.context)
    client = Client(there, LoopClock(), Limits(tries=2))
    space, way = namespace(spec), way_of(spec)
    try:
        wanted = rights.rights(spec)
        needed = await rights.missing(client, spec, [r for r in wanted if not r.optional])
        extra = await rights.missing(client, spec, [r for r in wanted if r.optional])
        await client.get(way.kind, space, spec.service)
    finally:
        await client.aclose()
    return [_there(there.context, there.server, space), _may(space, needed), *_lesser(extra)]


def _there(context: str, server: str, space: str) -> Finding:
    return Finding("cluster", "ok", f"{server}, context {context}, namespace {space}")


def _may(space: str, lacking: list[str]) -> Finding:
    if not lacking:
        return Finding("rights", "ok", "everything that a rollout does is allowed")
    costs = "orders will be refused"
    fix = f"grant them by a Role in namespace {space}"
    return Finding("rights", "fail", f"missing: {', '.join(lacking)}", costs, fix)


def _lesser(lacking: list[str]) -> list[Finding]:
    if not lacking:
        return []
    costs = "what instances need is not made where it is missing"
    fix = "apply the rendered set once by somebody who may: holdfast render"
    says = f"not allowed here: {', '.join(lacking)}"
    return [Finding("surroundings", "warn", says, costs, fix)]
