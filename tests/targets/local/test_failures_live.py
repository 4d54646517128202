"""Each way a release can be broken is found within seconds, by its own name, with log lines."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time

import pytest

from holdfast.rollout.model import FAILURES, Scale
from holdfast.targets.base import Refused

pytestmark = pytest.mark.live

READY = {"ready": "/ready", "start_within": "4s"}
PATIENT = {"ready": "/ready", "start_within": "30s"}
PROGRAMS = {
    "exits-at-once": ('import sys; print("no configuration!"); sys.exit(3)', "no configuration!"),
    "never-listens": ('import time; print("thinking", flush=True); time.sleep(60)', "thinking"),
    "port-taken": ('raise OSError(98, "Address already in use")', "Address already in use"),
    "disk-full": (
        'open("/dev/full", "w", buffering=1).write("state\\n")',
        "No space left on device",
    ),
    "out-of-memory": ('x = bytearray(10**9); print("unlimited?", flush=True)', "MemoryError"),
}


def failing(stage, wait_until, fleet_in, bundle):
    """The hopeless failure of the release, how long it took to find, and the fleet."""

    async def scenario():
        async with stage.target() as target:
            await target.prepare(bundle)
            began = time.monotonic()
            await target.perform(Scale(bundle.release.id, 1, 1))

            def hopeless(look):
                failure = fleet_in(look, bundle.release.id).failure
                return failure is not None and failure.hopeless

            look, _ = await wait_until(target, hopeless)
            took = time.monotonic() - began
            await target.perform(Scale(bundle.release.id, 0, 1))
            await wait_until(target, lambda look: not look.fleets)
            return fleet_in(look, bundle.release.id), took

    return asyncio.run(scenario())


@pytest.mark.req("T75", "T76")
@pytest.mark.parametrize("code", PROGRAMS)
def test_a_broken_program_is_named_with_its_last_words(
    stage, wait_until, fleet_in, code, monkeypatch
):
    program, words = PROGRAMS[code]
    limits = {"memory": "100MB"} if code == "out-of-memory" else {}
    run = {"command": stage.program("bad.py", program), "limits": limits}
    fleet, took = failing(stage, wait_until, fleet_in, stage.bundle("v1", run=run, probes=READY))
    assert fleet.failure.code == code
    assert fleet.failure.detail.startswith(FAILURES[code])
    assert any(words in line for line in fleet.failure.log_tail), fleet.failure.log_tail
    assert fleet.ready == 0
    assert took < 20


BROKEN_ANSWERS = {
    "never-ready": ({"BROKEN": "/ready"}, READY, "GET /ready answered 500"),
    "smoke-failed": (
        {"BROKEN": "/smoke"},
        {**PATIENT, "smoke": ["/smoke"]},
        "GET /smoke answered 500, wanted 200",
    ),
    "wrong-version": (
        {"SAYS": "v0"},
        {**PATIENT, "version_header": "X-Version"},
        "X-Version says 'v0', deployed was 'v1'",
    ),
}


@pytest.mark.req("T75")
@pytest.mark.parametrize("code", BROKEN_ANSWERS)
def test_a_program_that_answers_wrongly_never_gets_traffic(stage, wait_until, fleet_in, code):
    env, probes, words = BROKEN_ANSWERS[code]
    run = {"command": f"{sys.executable} -S server.py", "env": env}
    fleet, took = failing(stage, wait_until, fleet_in, stage.bundle("v1", run=run, probes=probes))
    assert fleet.failure.code == code
    assert words in fleet.failure.detail
    assert fleet.failure.log_tail == ("listening soon",)
    assert took < 20


def test_a_smoke_answer_must_contain_what_was_promised(stage, wait_until, fleet_in):
    smoke = {"path": "/", "contains": "welcome"}
    bundle = stage.bundle("v1", probes={**PATIENT, "smoke": [smoke]})
    fleet, _ = failing(stage, wait_until, fleet_in, bundle)
    assert fleet.failure.code == "smoke-failed"
    assert "wanted it to contain 'welcome'" in fleet.failure.detail


@pytest.mark.req("T76")
def test_a_program_that_keeps_dying_in_service_is_a_crash_loop(stage, wait_until, fleet_in):
    dying = stage.program(
        "dying.py",
        (stage.directory / "server.py")
        .read_text()
        .replace(
            'print("listening soon", flush=True)',
            "import threading; threading.Timer(0.3, os._exit, [7]).start()",
        ),
    )
    fleet, took = failing(
        stage, wait_until, fleet_in, stage.bundle("v1", run=dying, probes=PATIENT)
    )
    assert fleet.failure.code == "crash-loop"
    assert "exit code 7" in fleet.failure.detail
    assert fleet.restarts >= 3
    assert took < 20


def test_memory_above_the_limit_ends_the_instance_even_if_the_kernel_lets_it_grow(
    stage, wait_until, fleet_in
):
    """Shared pages are not counted by the kernel's limit, but they are memory all the same."""
    growing = stage.program(
        "growing.py",
        """
        import mmap, os, socket, threading, time
        server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
        shared = mmap.mmap(-1, 200_000_000)
        print("growing", flush=True)
        def grow():
            time.sleep(0.3)
            for _ in range(200):
                shared.write(b"x" * 1_000_000)
        threading.Thread(target=grow, daemon=True).start()
        while True:
            server.accept()[0].close()
        """,
    )
    probes = {"live": {"every": "0.05s"}}
    bundle = stage.bundle(
        "v1", run={"command": growing, "limits": {"memory": "60MB"}}, probes=probes
    )
    fleet, _ = failing(stage, wait_until, fleet_in, bundle)
    assert fleet.failure.code == "out-of-memory"


REFUSED_AT_ONCE = {
    "missing-binary": {"run": "no-such-program --port 1"},
    "config-missing": {"run": {"command": "true", "config": ["settings.toml"]}},
}


@pytest.mark.parametrize("code", REFUSED_AT_ONCE)
def test_what_cannot_start_is_refused_before_anything_moves(stage, code):
    async def scenario():
        async with stage.target() as target:
            await target.prepare(stage.bundle("v1", **REFUSED_AT_ONCE[code]))

    with pytest.raises(Refused) as refused:
        asyncio.run(scenario())
    assert refused.value.code == code
    assert stage.processes() == {}


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"command": "true", "cwd": "nowhere"}, "nowhere does not exist"),
        ({"command": "true", "secrets": {"KEY": "env:NO_SUCH_VARIABLE"}}, "$NO_SUCH_VARIABLE"),
        ({"command": "true", "secrets": {"KEY": "file:no-such-file"}}, "no-such-file"),
        ({"command": "true", "secrets": {"KEY": "vault:x"}}, "unknown reference vault:"),
    ],
)
def test_what_a_release_refers_to_must_exist(stage, run, words):
    async def scenario():
        async with stage.target() as target:
            await target.prepare(stage.bundle("v1", run=run))

    with pytest.raises(Refused) as refused:
        asyncio.run(scenario())
    assert refused.value.code == "config-missing"
    assert words in refused.value.detail


def test_a_service_port_taken_by_a_stranger_is_refused_and_the_stranger_named(stage):
    async def scenario():
        async with stage.target() as target:
            await target.prepare(stage.bundle("v1"))

    with socket.create_server(("127.0.0.1", stage.port)), pytest.raises(Refused) as refused:
        asyncio.run(scenario())
    assert refused.value.code == "port-taken"
    assert f"(pid {os.getpid()})" in refused.value.detail


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_refused_before_anything_moves(stage):
    stage.home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(stage.home)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")

    async def scenario():
        async with stage.target() as target:
            await target.prepare(stage.bundle("v1"))

    try:
        with pytest.raises(Refused) as refused:
            asyncio.run(scenario())
    finally:
        subprocess.run(["umount", str(stage.home)], check=True)
    assert refused.value.code == "disk-full"


def test_a_release_whose_data_plane_settings_envoy_refuses_is_told_so(stage, wait_until, fleet_in):
    async def scenario():
        async with stage.serving(1) as target:
            odd = stage.bundle("v2", traffic={"outlier": {"eject": "0s"}})
            await target.prepare(odd)
            await target.perform(Scale("v2", 1, 1))
            look, _ = await wait_until(target, lambda look: fleet_in(look, "v2").failure)
            await stage.deploy(target, stage.bundle("v3"), 1)  # the others are not held up
            await target.perform(Scale("v2", 0, 1))
            await wait_until(target, lambda look: not fleet_in(look, "v2").size)
            return fleet_in(look, "v2").failure, (await stage.get("/")).status

    failure, status = asyncio.run(scenario())
    assert (failure.code, failure.hopeless) == ("admission-denied", True)
    assert "BaseEjectionTime" in failure.detail
    assert status == 200


def test_a_bad_release_beside_a_good_one_is_not_noticed_by_users(stage, load, wait_until, fleet_in):
    run = {"command": f"{sys.executable} -S server.py", "env": {"BROKEN": "/ready"}}

    async def scenario():
        async with stage.serving(2) as target, load(stage.port) as traffic:
            bad = stage.bundle("v2", run=run, probes=READY)
            await target.prepare(bad)
            await target.perform(Scale("v2", 2, 1))
            await wait_until(target, lambda look: fleet_in(look, "v2").failure is not None)
            await target.perform(Scale("v2", 0, 1))
            await wait_until(target, lambda look: not fleet_in(look, "v2").size)
        return traffic

    traffic = asyncio.run(scenario())
    assert traffic.seen["200"] > 100
    assert traffic.failed == 0, traffic.seen
    assert set(traffic.releases) == {"v1"}
