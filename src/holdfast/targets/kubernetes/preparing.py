"""May this release start in this cluster? Asked of the API server before anything moves."""

from __future__ import annotations

from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Refused
from holdfast.targets.kubernetes import routes, wanted
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import Object, kind_of, name_of


async def settle(client: Client, spec: Service) -> None:
    """What must be there before anything else of the service, the namespace first."""
    for each in wanted.surroundings(spec):
        await _ensure(client, each)


async def prepare(client: Client, bundle: Bundle) -> None:
    """The door is made where it is missing; the release itself is tried dry.

    Raises ``Refused``, with a code of ``FAILURES`` where the release can never start.
    """
    spec = bundle.service
    for each in wanted.door(spec):
        await _ensure(client, each)
    way = routes.way_of(spec)
    await client.get(way.kind, wanted.namespace(spec), spec.service)  # refused if not served
    await client.apply(wanted.deployment(bundle, 0, 0), force=True, dry=True)


async def _ensure(client: Client, made: Object) -> None:
    """An object that people or GitOps made is theirs. One that we may not look at is there."""
    try:
        namespace = str(made["metadata"].get("namespace", ""))
        found = await client.get(kind_of(made), namespace, name_of(made))
    except Refused as refused:
        if refused.code != "forbidden":
            raise
        return
    if found is None:
        await client.apply(made)
