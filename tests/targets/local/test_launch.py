"""Ports, programs and words of a command."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from holdfast.spec.model import Run
from holdfast.targets.local import launch
from holdfast.targets.local.envoy import Envoy
from holdfast.targets.local.prepare import places_of
from holdfast.targets.local.supervisor import Supervisor


def test_ports_are_free_distinct_and_never_the_one_of_the_service():
    ports = launch.Ports("seed")
    first = ports.take()
    with socket.create_server(("127.0.0.1", first + 1)):
        taken = [ports.take(avoid=first + 2) for _ in range(20)]
    assert len({first, *taken}) == 21
    assert not {first + 1, first + 2} & set(taken)
    assert all(20_000 <= port < 32_000 for port in taken)


def test_a_port_somebody_listens_on_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert launch.bindable("127.0.0.1", port) is not None
    assert launch.bindable("127.0.0.1", port) is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python 'my app.py' --x=\"a b\"", ["python", "my app.py", "--x=a b"]),
        (("a b", "$(c)"), ["a b", "$(c)"]),
    ],
)
def test_a_command_is_split_like_a_shell_would(command, words):
    assert launch.argv_of(Run(command=command)) == words


def test_only_what_holdfast_tells_is_put_into_a_command():
    env = {"PORT": "8080", "HOLDFAST_RELEASE": "v1", "API_KEY": "hush"}
    told = [launch.told(word, env) for word in ("-p$PORT", "${HOLDFAST_RELEASE}", "$API_KEY")]
    assert told == ["-p8080", "v1", "$API_KEY"]


def test_a_program_is_found_in_the_path_or_beside_the_service(tmp_path: Path):
    script = tmp_path / "serve"
    script.write_text("#!/bin/true\n")
    assert launch.program("./serve", tmp_path, None) is None  # not executable
    script.chmod(0o755)
    assert launch.program("./serve", tmp_path, None) == str(tmp_path / "serve")
    assert launch.program("serve", tmp_path, str(tmp_path)) == str(script)
    assert launch.program("no-such-program", tmp_path, None) is None


@pytest.mark.req("T11")
def test_processors_are_dealt_out_in_turn():
    run = Run(command="x", affinity="spread")
    dealt = [launch.cpus_for(run, index) for index in range(4)]
    assert all(cpus is not None and len(cpus) == 1 for cpus in dealt)
    assert launch.cpus_for(Run(command="x"), 0) is None
    assert launch.cpus_for(Run(command="x", affinity=(1, 0)), 7) == {0, 1}


def test_services_that_start_at_the_same_time_are_never_given_the_same_port(tmp_path):
    """A port that was given to a program which does not listen yet looks free."""
    first, second = (
        Supervisor(
            tmp_path / name,
            tmp_path,
            Envoy(name, places_of(tmp_path / name), tmp_path),
            lambda: None,
        )
        for name in ("one", "two")
    )
    assert first.ports is second.ports


def test_an_ordinary_user_gets_as_much_as_the_hard_limit_allows(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert launch.allowed_of(65_536, 4096) == 4096
    assert launch.allowed_of(100, 4096) == launch.allowed_of(100, resource.RLIM_INFINITY) == 100
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert launch.allowed_of(65_536, 4096) == 65_536
