"""Declared misfortunes for drills: they strike through the target, never around it."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.targets.base import Fault, Refused
from holdfast.targets.local.envoy import Envoy
from holdfast.targets.local.replica import Replica, State
from holdfast.targets.local.supervisor import Supervisor

KINDS = ("kill-replica", "hang-replica", "kill-envoy")


@asynccontextmanager
async def suffer(fault: Fault, supervisor: Supervisor, envoy: Envoy) -> AsyncIterator[None]:
    """``subject`` is a release, ``release/index``, an index, or empty for any ready instance."""
    if fault.kind == "kill-envoy":
        envoy.kill()
        yield
    elif fault.kind == "kill-replica":
        _pid_signal(_victim(fault.subject, supervisor), signal.SIGKILL)
        yield
    elif fault.kind == "hang-replica":
        victim = _victim(fault.subject, supervisor)
        pid = _pid_signal(victim, signal.SIGSTOP)
        try:
            yield
        finally:
            if victim.process is not None and victim.process.pid == pid:
                victim.process.send(signal.SIGCONT)
    else:
        raise Refused("unknown-fault", f"{fault.kind!r}; this target knows {', '.join(KINDS)}")


def _victim(subject: str, supervisor: Supervisor) -> Replica:
    release, _, index = subject.rpartition("/")
    if not release and subject in supervisor.fleets:
        release, index = subject, ""
    candidates = [
        replica
        for name, fleet in sorted(supervisor.fleets.items())
        for _, replica in sorted(fleet.replicas.items())
        if replica.state is State.READY and (not release or name == release)
    ]
    for replica in candidates:
        if not index or replica.name == index:
            return replica
    raise Refused("no-victim", f"no ready instance matches {subject!r}")


def _pid_signal(replica: Replica, number: int) -> int:
    if replica.process is None:
        raise Refused("no-victim", f"instance {replica.name} is just being replaced")
    os.killpg(replica.process.pid, number)
    return replica.process.pid
