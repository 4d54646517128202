"""Real controllers and a real scheduler beside the API server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubernetes_rig import api_server
from kubernetes_rig.api_server import Program, Server

_LOOK = 0.05
_NAMES = ("deployment", "replicaset", "disruption", "endpointslice", "garbage-collector",
          "namespace", "serviceaccount", "resourcequota")  # fmt: skip


@contextmanager
def controllers(folder: Path, server: Server, scheduler: bool = True) -> Iterator[None]:
    """The controllers of workloads, budgets, endpoints and namespaces; skips without programs.

    Without the scheduler a ``NodeAgent`` with ``places`` binds pods.
    """
    names = ("kube-controller-manager", *(("kube-scheduler",) if scheduler else ()))
    programs = [api_server.assets() / name for name in names]
    if not all(program.is_file() for program in programs):
        pytest.skip(f"no {' and '.join(names)} in $KUBEBUILDER_ASSETS")
    access = server.kubeconfig(folder)
    flags = [f"--kubeconfig={access}", "--leader-elect=false", "--secure-port=0"]
    chosen = ",".join(f"{name}-controller" for name in _NAMES)
    more = {"kube-controller-manager": [f"--controllers={chosen}"]}
    started: list[Program] = []
    try:
        for program in programs:
            started.append(Program(folder, [str(program), *flags, *more.get(program.name, [])]))
        yield
    finally:
        for each in started:
            each.kill()


def until(true: Callable[[], bool], what: str, within: float = 120.0) -> None:
    """Waits for something that must come true. Fails with ``what`` when it does not."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, what
        time.sleep(_LOOK)
