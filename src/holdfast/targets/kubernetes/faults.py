"""Declared misfortunes for drills: a pod is killed through the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.targets.base import Fault, Refused
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import POD
from holdfast.targets.kubernetes.marks import release_of
from holdfast.targets.kubernetes.seen import is_ready, leaves
from holdfast.targets.kubernetes.sight import Sight

KINDS = ("kill-replica",)


@asynccontextmanager
async def suffer(fault: Fault, client: Client, namespace: str, sight: Sight) -> AsyncIterator[None]:
    """``subject``: a release or a pod's name; empty: any ready instance."""
    if fault.kind not in KINDS:
        raise Refused("unknown-fault", f"{fault.kind!r}; this target knows {', '.join(KINDS)}")
    pods = (await sight.look()).pods
    ready = [name for name, pod in sorted(pods.items()) if is_ready(pod) and not leaves(pod)]
    wanted = [n for n in ready if fault.subject in ("", n, release_of(pods[n]))]
    if not wanted:
        raise Refused("no-victim", f"no ready instance matches {fault.subject!r}")
    await client.delete(POD, namespace, wanted[0])
    yield
