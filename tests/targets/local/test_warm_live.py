"""Warm starts: replicas forked from a parent that has imported the program."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from holdfast.rollout.model import Scale
from holdfast.targets.base import Fault
from holdfast.targets.local import forkserver, strays
from holdfast.targets.local.process import Identity

pytestmark = [pytest.mark.live, pytest.mark.parametrize("stage", ["warm"], indirect=True)]

GUARDED = """
    import http.server, os, sys
    {above}
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = {answer}
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args):
            pass
    if __name__ == "__main__":
        {below}
        address = ("127.0.0.1", int(os.environ["PORT"]))
        http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


def guarded(stage, above="pass", below="pass", answer='b"ok"') -> str:
    return stage.program("app.py", GUARDED.format(above=above, below=below, answer=answer))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def fork_server(stage, replica: str = "v1/0") -> int | None:
    """The process that forked the replica; None when it was started in the ordinary way."""
    parent = parent_of(stage.processes()[replica])
    name = Path(f"/proc/{parent}/comm").read_text().strip()
    return parent if name == forkserver.OWN_NAME else None


def fork_server_log(stage) -> str:
    return (stage.root / "logs" / "v1" / "fork-server.log").read_text()


async def all_ready(target, wait_until, fleet_in, count: int) -> None:
    await wait_until(target, lambda look: fleet_in(look, "v1").ready == count)


def test_replicas_have_one_parent_and_what_is_above_the_main_guard_runs_once(stage):
    command = guarded(
        stage, "print('imported in', os.getpid(), flush=True)", "print('serves', flush=True)"
    )

    async def scenario():
        async with stage.serving(3, run=command):
            return {fork_server(stage, f"v1/{index}") for index in range(3)}

    (parent,) = asyncio.run(scenario())
    assert fork_server_log(stage) == f"imported in {parent}\n"
    for index in range(3):
        assert (stage.root / "logs" / "v1" / f"{index}.log").read_text() == "serves\n"
    stage.wait_for_end(parent)  # it does not outlive who started it


def test_a_module_and_its_arguments_are_what_an_ordinary_start_would_give(stage):
    package = stage.directory / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text("import sys\nSEEN = list(sys.argv)\n")
    answer = "repr((sys.argv, __name__, __package__, __spec__.name, words.SEEN)).encode()"
    text = GUARDED.format(above="from . import words", below="pass", answer=answer)
    (package / "__main__.py").write_text(textwrap.dedent(text))

    async def scenario(start):
        run = {"command": f"{sys.executable} -S -m shop --flag 'two words'", "start": start}
        async with stage.serving(1, run=run):
            return (await stage.get("/")).body, fork_server(stage)

    warm, parent = asyncio.run(scenario("warm"))
    assert parent is not None
    stage.clear()
    cold, _ = asyncio.run(scenario("cold"))
    assert warm == cold


def test_a_secret_is_given_to_each_fork_and_never_to_the_fork_server(stage, monkeypatch):
    monkeypatch.setenv("KEY_FOR_THE_APP", "s3cret-value")
    run = {"command": guarded(stage, answer='os.environ["KEY"].encode()')}

    async def scenario():
        async with stage.serving(1, run={**run, "secrets": {"KEY": "env:KEY_FOR_THE_APP"}}):
            server = fork_server(stage)
            return (await stage.get("/")).body, Path(f"/proc/{server}/environ").read_bytes()

    answer, environ = asyncio.run(scenario())
    assert answer == b"s3cret-value"
    assert b"HOLDFAST_VERSION=v1" in environ
    assert b"s3cret-value" not in environ and b"PORT=" not in environ


UNFIT = {
    "threads": "import threading, time; threading.Thread(target=time.sleep, args=(60,),"
    " daemon=True, name='pump').start()",
    "socket": "import socket; kept = socket.socket()",
    "pipe": "kept = os.pipe()",
    "process": "import subprocess; kept = subprocess.Popen(['sleep', '1'])",
    "$PORT": "kept = os.environ.get('PORT', '8080')",
    "$KEY": "kept = os.environ.get('KEY')",
    "whole environment": "kept = dict(os.environ)",
    "its arguments": "kept = '--debug' in sys.argv",
    "did not stay": "sys.exit('did not stay') if 'PORT' not in sorted(os.environ) else None",
}


@pytest.mark.parametrize("word", UNFIT)
def test_what_forks_cannot_share_starts_cold_and_says_why(stage, monkeypatch, word):
    monkeypatch.setenv("KEY_FOR_THE_APP", "x")
    command = guarded(stage, UNFIT[word]) + " --replica $HOLDFAST_REPLICA"

    async def scenario():
        run = {"command": command, "secrets": {"KEY": "env:KEY_FOR_THE_APP"}}
        async with stage.serving(2, run=run) as target:
            why = target.supervisor.fleets["v1"].warm.why_cold
            return fork_server(stage), why, (await stage.get("/")).status

    server, why, status = asyncio.run(scenario())
    assert (server, status) == (None, 200)
    expected = "the whole environment" if word == "did not stay" else word
    assert expected in why
    assert why in fork_server_log(stage)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("sh -c 'exec {python} -S server.py'", "only `python script.py`"),
        ("{python} -S plain.py", "no `if __name__"),
    ],
)
def test_a_program_without_a_place_to_cut_starts_cold_and_says_why(stage, command, word):
    plain = (stage.directory / "server.py").read_text().replace('__name__ == "__main__"', "True")
    (stage.directory / "plain.py").write_text(plain)

    async def scenario():
        async with stage.serving(1, run=command.format(python=sys.executable)) as target:
            return target.supervisor.fleets["v1"].warm.why_cold, (await stage.get("/")).status

    why, status = asyncio.run(scenario())
    assert word in why and status == 200


def test_a_broken_fork_is_told_with_its_exit_code_and_its_own_traceback(
    stage, wait_until, fleet_in
):
    bundle = stage.bundle("v1", run=guarded(stage, below="raise ValueError('no model')"))

    async def scenario():
        async with stage.target() as target:
            await target.prepare(bundle)
            await target.perform(Scale("v1", 1, 1))
            look, _ = await wait_until(target, lambda look: fleet_in(look, "v1").failure)
            return fleet_in(look, "v1").failure

    failure = asyncio.run(scenario())
    assert failure.code == "exits-at-once" and "exit code 1" in failure.detail
    assert failure.log_tail[-1] == "ValueError: no model"
    assert "forkserver" not in " ".join(failure.log_tail)


def test_kill_dash_nine_of_the_fork_server_stops_nobody_and_the_next_start_is_warm_again(
    stage, load, wait_until, fleet_in
):
    async def scenario():
        async with stage.serving(2) as target, load(stage.port) as traffic:
            before, first = stage.processes(), fork_server(stage)
            os.kill(first, signal.SIGKILL)
            await asyncio.sleep(0.2)
            after, failed = stage.processes(), traffic.failed
            async with target.suffer(Fault("kill-replica", "v1/0")):
                pass
            await wait_until(target, lambda look: fleet_in(look, "v1").restarts == 1)
            await all_ready(target, wait_until, fleet_in, 2)
            return before, after, failed, first, fork_server(stage)

    before, after, failed, first, second = asyncio.run(scenario())
    assert before == after and failed == 0
    assert second is not None and second != first


def test_a_fork_server_that_does_not_answer_costs_a_pause_and_the_start_is_cold(
    stage, wait_until, fleet_in, monkeypatch
):
    monkeypatch.setattr("holdfast.targets.local.fork_client.ANSWER_S", 0.3)

    async def scenario():
        async with stage.serving(1) as target:
            first = fork_server(stage)
            os.kill(first, signal.SIGSTOP)
            await target.perform(Scale("v1", 2, 1))
            await all_ready(target, wait_until, fleet_in, 2)
            second = fork_server(stage, "v1/1")
            await target.perform(Scale("v1", 3, 1))
            await all_ready(target, wait_until, fleet_in, 3)
            return first, second, fork_server(stage, "v1/2")

    first, second, third = asyncio.run(scenario())
    assert second is None
    assert third not in (None, first)


def test_a_program_that_kills_its_fork_server_while_it_is_imported_starts_cold(stage):
    once = "os.kill(os.getpid(), 9) if '" + forkserver.OWN_NAME + "' in "
    command = guarded(stage, once + "open('/proc/self/comm').read() else None")

    async def scenario():
        async with stage.serving(4, run=command) as target:
            await target.perform(Scale("v1", 8, 1))
            await asyncio.sleep(1.0)
            return fork_server(stage), target.supervisor.fleets["v1"].warm.why_cold

    server, why = asyncio.run(scenario())
    assert server is None
    assert why is None or "failed 3 times" in why  # each death is counted once


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from holdfast.rollout.model import Route, Scale
from holdfast.runtime.clock import LoopClock
from holdfast.targets.local import LocalTarget
async def main():
    target = LocalTarget("svc", Path(sys.argv[1]), LoopClock())
    await target.perform(Scale("v1", 2, 5))
    while True:
        look = await target.observe()
        if look.fleets and look.fleets[0].ready == 2:
            break
        await asyncio.sleep(0.01)
    await target.perform(Route((("v1", 100),), 5))
    print("up", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_kill_dash_nine_of_the_supervisor_ends_the_fork_server_and_keeps_the_replicas(
    stage, wait_until, fleet_in
):
    async def prepare():
        async with stage.target() as target:
            await target.prepare(stage.bundle("v1"))

    async def successor():
        async with stage.target() as target:
            adopted = fleet_in(await target.observe(), "v1").ready
            kept = stage.processes()
            os.kill(kept["v1/0"], signal.SIGKILL)
            await wait_until(target, lambda look: fleet_in(look, "v1").restarts == 1)
            await all_ready(target, wait_until, fleet_in, 2)
            return adopted, kept, fork_server(stage)

    asyncio.run(prepare())
    command = [sys.executable, "-c", SUPERVISOR, str(stage.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None and supervisor.stdout.readline() == b"up\n"
        before, first = stage.processes(), fork_server(stage)
        supervisor.kill()
    stage.wait_for_end(first)
    adopted, kept, second = asyncio.run(successor())
    assert (adopted, kept) == (2, before)
    assert second not in (None, first)


def test_each_fork_is_known_by_a_mark_of_its_own(stage):
    """Whoever takes over ends what has no mark of a record."""

    async def scenario():
        async with stage.serving(2) as target:
            replicas = target.supervisor.fleets["v1"].replicas
            ports = {index: replica.port for index, replica in replicas.items()}
            marks = dict(strays.marked(stage.root))
            return ports, {name: marks[pid] for name, pid in stage.processes().items()}

    ports, marks = asyncio.run(scenario())
    for index, port in ports.items():
        record = stage.root / "run" / "v1" / f"{index}.json"
        assert marks[f"v1/{index}"] == strays.mark(record, port)


def test_the_fork_server_ends_with_its_release(stage, wait_until):
    async def scenario():
        async with stage.serving(1) as target:
            server = fork_server(stage)
            await target.perform(Scale("v1", 0, 1))
            await wait_until(target, lambda look: not look.fleets)
            return server

    stage.wait_for_end(asyncio.run(scenario()))


def test_a_fork_whose_supervisor_dies_before_the_go_ahead_never_runs(stage):
    """Between the fork and the record of it nobody would know the instance."""
    command = guarded(stage, below="open('it-ran', 'w').close()")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fork = [*command.split()[:2], forkserver.__file__, str(theirs.fileno()), "app.py"]
    with ours, subprocess.Popen(fork, cwd=stage.directory, pass_fds=[theirs.fileno()]) as server:
        theirs.close()
        task = {"argv": [], "argv_differs": False, "private": []}
        ours.send(json.dumps(task).encode())
        assert json.loads(ours.recv(1 << 16)) == {"fit": True}
        waits, goes = os.pipe()
        log = os.open(stage.directory / "log", os.O_WRONLY | os.O_CREAT)
        instance = {"argv": [], "env": {"PORT": "0"}, "cpus": None}
        socket.send_fds(ours, [json.dumps(instance).encode()], [log, waits])
        data, pidfds, _, _ = socket.recv_fds(ours, 1 << 16, 1)
        pid = json.loads(data)["forked"]
        assert Identity.of(pid) is not None
        for fd in (waits, goes, log, *pidfds):
            os.close(fd)
        assert json.loads(ours.recv(1 << 16)) == {"ended": pid, "code": 0}
        ours.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(5)
        assert server.returncode == 0
    assert not (stage.directory / "it-ran").exists()
