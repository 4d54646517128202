"""Commands to a conductor over TCP, with a token instead of a Unix socket."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from holdfast.conductor.daemon import stop_daemon
from holdfast.runtime.home import Home

SPEC = "service: demo\nversion: v1\ntarget: simulated\nrun: engine\n"


@pytest.fixture
def address(shell):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (shell.directory / "holdfast.yaml").write_text(SPEC)
    assert shell("up", "--listen", f"127.0.0.1:{port}").code == 0
    yield f"127.0.0.1:{port}"
    stop_daemon(Home(shell.home))


@pytest.mark.live
def test_a_token_lets_its_bearer_do_what_its_role_allows_and_no_more(shell, address):
    token = shell("token", "create", "ann", "--role", "viewer").out.strip()
    far = replace(
        shell, home=shell.directory / "elsewhere",
        environment={"HOLDFAST_CONDUCTOR": address, "HOLDFAST_TOKEN": token},
    )  # fmt: skip
    assert "v1 is live" in far("status").out
    refused = far("scale", "3")
    assert refused.code == 4 and "ann is viewer" in refused.err
    assert far("up", "--detach").code == 4
    assert not far.home.exists(), "a remote conductor is never started here"
    far.environment["HOLDFAST_TOKEN"] = "hf_wrong"
    assert far("status").code == 4
    assert shell("token", "revoke", "ann").code == 0
    far.environment["HOLDFAST_TOKEN"] = token
    assert far("status").code == 4
    assert "token" in far("status").err


@pytest.mark.live
def test_a_running_conductor_is_not_quietly_left_without_the_wanted_address(shell, address):
    ran = shell("up", "--listen", "127.0.0.1:1")
    assert ran.code == 4 and "cannot be told to listen elsewhere" in ran.err
