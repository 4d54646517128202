"""The last look before an instance gets traffic: ready, the right version, smoke requests."""

from __future__ import annotations

import asyncio

from holdfast.rollout.model import Failure
from holdfast.spec.model import Probes
from holdfast.targets.base import Bundle
from holdfast.targets.local.probe import Found, probe, smoke
from holdfast.targets.local.reasons import failure

_PAUSE_MIN = 0.005
_PATIENCE = 0.05  # of the time a start took so far: looking again costs it at most so much more
_SMOKE_TRIES = 2  # the second answer shows whether the first was bad luck


async def admit(bundle: Bundle, port: int) -> Failure | None:
    """Wait until the instance may get traffic, or say why it never will.

    The log tail is filled in by the caller, who knows the log.
    """
    probes = bundle.service.probes
    found = await _ready(bundle, port)
    if not found.ok:
        code = "never-ready" if found.listening else "never-listens"
        detail = f"{found.detail}, for {probes.start_within:g} s"
        return failure(code, detail)
    return version_of(found, probes, bundle.release.version) or await _smoke(bundle, port)


async def _ready(bundle: Bundle, port: int) -> Found:
    """The first good look (``successes`` of them), or the last bad one at the deadline."""
    loop = asyncio.get_running_loop()
    ready, deadline = bundle.service.probes.ready, loop.time() + bundle.service.probes.start_within
    await asyncio.sleep(ready.delay)
    began, good, listened = loop.time(), 0, False
    while True:
        found = await probe(port, ready, bundle.service.traffic)
        good = good + 1 if found.ok else 0
        listened = listened or found.listening
        if good >= ready.successes:
            return found
        pause = max(min((loop.time() - began) * _PATIENCE, ready.every), _PAUSE_MIN)
        if loop.time() + pause > deadline:
            return Found(False, listened, found.detail)
        await asyncio.sleep(pause)


def version_of(found: Found, probes: Probes, version: str) -> Failure | None:
    """Something else may listen there, or the build may not be what its label says."""
    if probes.version_header is None:
        return None
    said = found.headers.get(probes.version_header.lower())
    if said == version:
        return None
    return failure(
        "wrong-version", f"{probes.version_header} says {said!r}, deployed was {version!r}"
    )


async def _smoke(bundle: Bundle, port: int) -> Failure | None:
    if bundle.service.traffic.protocol != "http1":
        return None
    for wanted in bundle.service.probes.smoke:
        for _ in range(_SMOKE_TRIES):
            why = await smoke(port, wanted)
            if why is None:
                break
        if why is not None:
            return failure("smoke-failed", why)
    return None
