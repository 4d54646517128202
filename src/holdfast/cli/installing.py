"""Bringing the objects of an installation into a cluster, and taking them out again."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import importlib.util
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.cli.complaint import FAILED, REFUSED, Complaint

if TYPE_CHECKING:
    from holdfast.targets.kubernetes.client import Client

Object = dict[str, Any]
T = TypeVar("T")
#: Written by the server, and no difference that anybody made.
_SERVERS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became, or would become, of one object."""

    kind: str
    name: str
    namespace: str
    change: str  # new, changed, unchanged, removed, kept
    diff: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"


def need_client() -> None:
    """Raises a complaint where the client of the Kubernetes API is not installed."""
    if importlib.util.find_spec("httpx2") is None:
        hint = "pip install 'holdfast[kubernetes]'"
        raise Complaint("the client of the Kubernetes API is not installed", hint, code="no-client")


def in_cluster(context: str | None, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    """What ``work`` made of the cluster of ``context``; its refusals as complaints."""
    need_client()
    from holdfast.targets.base import Refused, TargetError

    try:
        return asyncio.run(_connected(context, work))
    except Refused as refused:
        code = REFUSED if refused.code != "no-access" else FAILED
        hint = "--force takes these fields over" if refused.code == "conflict" else ""
        raise Complaint(refused.detail, hint, code=refused.code, exit_code=code) from refused
    except TargetError as error:
        raise Complaint(str(error), code="unreachable", exit_code=FAILED) from error


async def _connected(context: str | None, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    async with _client(context) as client:
        return await work(client)


@contextlib.asynccontextmanager
async def _client(context: str | None) -> AsyncIterator[Client]:
    from holdfast.runtime.clock import LoopClock
    from holdfast.targets.kubernetes.client import Client
    from holdfast.targets.kubernetes.kubeconfig import locate

    client = Client(locate(context), LoopClock())
    try:
        yield client
    finally:
        await client.aclose()


async def bring(client: Client, wanted: Sequence[Object], dry: bool, force: bool) -> list[Outcome]:
    """Apply all in their order; ``dry``: only ask the server what would become of them."""
    return [await _brought(client, each, dry, force) for each in wanted]


async def _brought(client: Client, wanted: Object, dry: bool, force: bool) -> Outcome:
    from holdfast.targets.kubernetes.answers import Missing
    from holdfast.targets.kubernetes.kinds import kind_of

    metadata = wanted["metadata"]
    space = metadata.get("namespace", "")
    before = await client.get(kind_of(wanted), space, metadata["name"])
    try:
        after = await client.apply(wanted, force=force, dry=dry)
    except Missing:
        if not dry:
            raise
        after = wanted  # its namespace would be made first
    diff = tuple(_diff(before, after))
    change = "new" if before is None else "changed" if diff else "unchanged"
    return Outcome(wanted["kind"], metadata["name"], space, change, diff)


async def take(client: Client, installed: Sequence[Object], kept: Sequence[str]) -> list[Outcome]:
    """Delete in the opposite order, all but the kinds that are kept."""
    from holdfast.targets.kubernetes.kinds import kind_of

    outcomes = []
    for each in reversed(installed):
        metadata = each["metadata"]
        space = metadata.get("namespace", "")
        stays = each["kind"] in kept
        if not stays:
            await client.delete(kind_of(each), space, metadata["name"])
        change = "kept" if stays else "removed"
        outcomes.append(Outcome(each["kind"], metadata["name"], space, change))
    return outcomes


def _diff(before: Object | None, after: Object) -> list[str]:
    from holdfast.artifacts.format import yaml_text

    old, new = (
        [] if found is None else yaml_text((_plain(found),)).splitlines()
        for found in (before, after)
    )
    return list(difflib.unified_diff(old, new, "now", "wanted", lineterm="", n=2))


def _plain(found: Object) -> Object:
    """Without what only the server writes."""
    left = {key: value for key, value in found.items() if key != "status"}
    metadata = found["metadata"]
    left["metadata"] = {key: metadata[key] for key in sorted(metadata) if key not in _SERVERS}
    return dict(sorted(left.items()))
