"""Whatever ends leaves nobody behind; whoever works for a living instance is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from holdfast.rollout.model import Route, Scale
from holdfast.targets.local.process import Identity

pytestmark = pytest.mark.live

#: Serves in a child: the leader of the group only waits.
PREFORK = """
    import os, runpy, time
    if os.fork():
        time.sleep(3600)
    runpy.run_path("server.py", run_name="__main__")
"""
#: Serves itself; a helper in a session of its own works for it.
WITH_HELPER = """
    import os, runpy, subprocess, sys, time
    helper = subprocess.Popen(["sleep", "3600"], start_new_session=True)
    open("helper.pid", "w").write(str(helper.pid))
    runpy.run_path("server.py", run_name="__main__")
"""
#: Goes into the background, as daemons of old do: the process that was started ends at once.
DAEMON = """
    import os, time
    if os.fork() == 0:
        os.setsid()
        open(f"daemon-{os.getpid()}", "w")
        time.sleep(3600)
    while not any(name.startswith("daemon-") for name in os.listdir(".")):
        time.sleep(0.01)
"""


def lives(pid: int) -> bool:
    return Identity.of(pid) is not None


async def eventually(claim, within: float = 30.0) -> None:
    until = time.monotonic() + within
    while not claim():
        assert time.monotonic() < until, "not in time"
        await asyncio.sleep(0.02)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


async def answered(stage) -> int:
    """The status of the first answer: the entrance may be about to open."""
    until = time.monotonic() + 30
    while True:
        try:
            return (await stage.get("/")).status
        except OSError:
            assert time.monotonic() < until, "nobody answers"
            await asyncio.sleep(0.02)


def test_a_service_brought_back_while_its_envoy_is_ending_is_served_again(stage, wait_until):
    async def scenario():
        async with stage.serving(1) as target:
            await target.perform(Scale("v1", 0, 1))
            await wait_until(target, lambda look: not look.fleets)
            # Envoy is told to end at this very moment; ending takes it some milliseconds.
            await target.perform(Scale("v1", 1, 1))
            await wait_until(target, lambda look: look.fleets and look.fleets[0].ready == 1, 30)
            await target.perform(Route((("v1", 100),), 1))
            return await answered(stage)

    assert asyncio.run(scenario()) == 200


def test_letting_go_right_after_the_last_instance_went_leaves_no_envoy(stage, wait_until):
    async def scenario():
        async with stage.serving(1) as target:
            envoy = stage.envoy()
            await target.perform(Scale("v1", 0, 1))
            fleet = target.supervisor.fleets["v1"]
            await eventually(lambda: not fleet.replicas)
        return envoy

    assert not lives(asyncio.run(scenario()))
    assert not (stage.root / "envoy" / "process.json").exists()


def test_an_envoy_found_with_nothing_to_serve_is_ended(stage):
    async def scenario():
        async with stage.serving(1):
            envoy, replica = stage.envoy(), stage.processes()["v1/0"]
        (stage.root / "standing.json").unlink()
        os.killpg(replica, signal.SIGKILL)
        reap(replica)
        async with stage.target() as successor:
            await successor.observe()
        return envoy

    assert not lives(asyncio.run(scenario()))


@pytest.mark.req("P3")
def test_an_envoy_that_no_record_tells_of_does_not_keep_the_port(stage, wait_until, fleet_in):
    """Its supervisor died between starting it and recording that."""

    async def scenario():
        async with stage.serving(1):
            lost = stage.envoy()
        (stage.root / "envoy" / "process.json").unlink()
        async with stage.target() as successor:
            await wait_until(successor, lambda look: fleet_in(look, "v1").ready == 1, 30)
            await eventually(lambda: not lives(lost))
            return lost, stage.envoy(), await answered(stage)

    lost, envoy, status = asyncio.run(scenario())
    assert (lost != envoy, status) == (True, 200)


@pytest.mark.req("P3")
def test_workers_that_outlived_their_leader_are_ended_by_the_next_supervisor(stage, fleet_in):
    run = stage.program("prefork.py", PREFORK)

    async def scenario():
        async with stage.serving(1, run=run):
            leader = stage.processes()["v1/0"]
        (worker,) = (
            int(path.name)
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and int(path.name) != leader and group(path.name) == leader
        )
        os.kill(leader, signal.SIGKILL)  # and nobody is there to notice
        reap(leader)
        assert lives(worker)
        async with stage.target() as successor:
            await successor.observe()
            await eventually(lambda: not lives(worker))

    asyncio.run(scenario())


def group(pid: str) -> int:
    try:
        return os.getpgid(int(pid))
    except ProcessLookupError:
        return -1


def test_a_helper_in_a_session_of_its_own_is_left_to_its_instance(stage, wait_until):
    run = stage.program("helped.py", WITH_HELPER)

    async def scenario():
        async with stage.serving(1, run=run):
            helper = int((stage.directory / "helper.pid").read_text())
            before = stage.processes()
        async with stage.target() as successor:
            await successor.observe()
            await asyncio.sleep(0.3)
            assert (lives(helper), stage.processes()) == (True, before)
            await successor.perform(Scale("v1", 0, 1))
            await wait_until(successor, lambda look: not look.fleets)
        return helper

    assert not lives(asyncio.run(scenario())), "the helper goes when its release goes"


def test_what_a_program_put_into_the_background_does_not_outlive_its_failure(
    stage, wait_until, fleet_in
):
    async def scenario():
        bundle = stage.bundle("v1", run=stage.program("daemon.py", DAEMON))
        async with stage.target() as target:
            await target.prepare(bundle)
            await target.perform(Scale("v1", 1, 1))
            look, _ = await wait_until(target, lambda look: fleet_in(look, "v1").failure, 30)
            await target.perform(Scale("v1", 0, 1))
            await wait_until(target, lambda look: not look.fleets, 30)
        return fleet_in(look, "v1").failure

    failure = asyncio.run(scenario())
    daemons = [int(path.name.partition("-")[2]) for path in stage.directory.glob("daemon-*")]
    try:
        assert failure.code == "exits-at-once"
        assert daemons and not any(map(lives, daemons))
    finally:
        for pid in daemons:
            kill(pid)


def test_an_envoy_whose_port_was_taken_while_it_was_dead_listens_when_it_is_free(stage, wait_until):
    async def scenario():
        async with stage.serving(1) as target:
            with taken(stage) as stranger:
                look, _ = await wait_until(target, lambda look: look.drift, 30)
                assert "not listened on" in look.drift
                stranger.close()
            status = await answered(stage)
            await wait_until(target, lambda look: look.drift is None, 30)
            return status

    assert asyncio.run(scenario()) == 200


@contextlib.contextmanager
def taken(stage):
    """Kill Envoy and be faster than its successor."""
    while True:
        os.kill(stage.envoy(), signal.SIGKILL)
        stranger = socket.socket()
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                stranger.bind(("127.0.0.1", stage.port))
                stranger.listen()
                with stranger:
                    yield stranger
                return
        stranger.close()


def test_an_instance_that_was_leaving_gets_nothing_new_from_a_successor(
    stage, wait_until, fleet_in
):
    """It was told to end already: its listener may be closed, and it may stop at any moment."""
    stubborn = """
        import runpy, signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        runpy.run_path("server.py", run_name="__main__")
    """
    run = {"command": stage.program("stubborn.py", stubborn), "stop": {"grace": "60s"}}

    async def scenario():
        async with stage.serving(2, run=run) as target:
            await target.perform(Scale("v1", 1, 1))
            await wait_until(target, lambda look: fleet_in(look, "v1").draining == 1)
            await eventually(lambda: len(endpoints(stage)) == 1)
            (leaving,) = [name for name, record in records(stage).items() if record["leaving"]]
        async with stage.target() as successor:
            look = await successor.observe()
            await asyncio.sleep(0.3)
            healthy = [each for each in endpoints(stage) if each["health_status"] != "DRAINING"]
            ports = [
                each["endpoint"]["address"]["socket_address"]["port_value"] for each in healthy
            ]
            return look, ports, records(stage), leaving

    look, ports, found, leaving = asyncio.run(scenario())
    (staying,) = set(found) - {leaving}
    assert (fleet_in(look, "v1").ready, fleet_in(look, "v1").draining) == (1, 1)
    assert ports == [found[staying]["port"]]


def endpoints(stage) -> list[dict]:
    document = json.loads((stage.root / "envoy" / "eds" / "v1" / "eds.json").read_text())
    return document["resources"][0]["endpoints"][0]["lb_endpoints"]


def records(stage) -> dict[str, dict]:
    paths = (stage.root / "run" / "v1").glob("*.json")
    return {path.stem: json.loads(path.read_text()) for path in paths}


def test_a_release_that_is_gone_leaves_only_its_latest_logs(stage, wait_until):
    logs = stage.root / "logs"

    async def scenario():
        for number in range(20):
            (logs / f"old-{number}").mkdir(parents=True)
            os.utime(logs / f"old-{number}", (number, number))
        async with stage.serving(1) as target:
            await target.perform(Scale("v1", 0, 1))
            await wait_until(target, lambda look: not look.fleets)

    asyncio.run(scenario())
    left = {path.name for path in logs.iterdir() if path.is_dir()}
    assert "v1" in left and "old-19" in left and "old-0" not in left
    assert len(left) == 12
    assert not (stage.root / "run" / "v1").exists()
    assert not (stage.root / "envoy" / "eds" / "v1").exists()


@pytest.mark.req("T43")
def test_a_client_that_speaks_http_1_0_is_answered(stage):
    async def scenario():
        async with stage.serving(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            try:
                return await asyncio.wait_for(reader.read(), 30)
            finally:
                writer.close()

    head, _, body = asyncio.run(scenario()).partition(b"\r\n\r\n")
    assert head.split()[1] == b"200" and body == b"v1"
