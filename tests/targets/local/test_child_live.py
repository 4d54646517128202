"""What an instance finds when it wakes up: port, environment, limits, processors, socket."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from pathlib import Path

import pytest

from holdfast.rollout.model import Route, Scale
from holdfast.targets.local import launch

pytestmark = [
    pytest.mark.live,
    pytest.mark.parametrize("stage", ["cold", "warm"], indirect=True),
]

TELL = """
    import http.server, json, os, resource, socket, sys, threading, time
    class Handler(http.server.BaseHTTPRequestHandler):
        wbufsize = 65536
        def do_GET(self):
            body = json.dumps({
                "env": dict(os.environ), "argv": sys.argv, "cwd": os.getcwd(), "pid": os.getpid(),
                "cpus": sorted(os.sched_getaffinity(0)),
                "files": resource.getrlimit(resource.RLIMIT_NOFILE),
                "data": resource.getrlimit(resource.RLIMIT_DATA),
                "nice": [os.getpriority(os.PRIO_PROCESS, int(task))
                         for task in os.listdir("/proc/self/task")],
                "nice_at_start": NICE,
                "session": os.getsid(0), "group": os.getpgid(0),
            }).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args):
            pass
    if __name__ == "__main__":
        time.sleep(0.05)
        NICE = os.getpriority(os.PRIO_PROCESS, 0)
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        if "inherited" in sys.argv:
            class Server(http.server.ThreadingHTTPServer):
                def __init__(self, fd):
                    super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
                    self.socket.close()
                    self.socket = socket.socket(fileno=fd)
            assert os.environ["LISTEN_PID"] == str(os.getpid())
            Server(int(os.environ["HOLDFAST_LISTEN_FD"])).serve_forever()
        address = ("127.0.0.1", int(os.environ["PORT"]))
        http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


def told(stage, replicas: int = 1, **run):
    """What each replica says of itself, by index."""
    command = stage.program("tell.py", TELL) + run.pop("arguments", "")

    async def scenario():
        async with stage.serving(replicas, run={"command": command, **run}):
            said = {}
            for _ in range(60):
                one = json.loads((await stage.get("/")).body)
                said[one["env"]["HOLDFAST_REPLICA"]] = one
                if len(said) == replicas:
                    return said
        raise AssertionError(f"only {sorted(said)} answered")

    return asyncio.run(scenario())


@pytest.mark.req("T11", "T12")
def test_processors_limits_and_environment_are_as_declared(stage, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_CONDUCTOR", "hush")
    monkeypatch.setenv("KEY_FOR_THE_APP", "s3cret-value")
    (stage.directory / "token.txt").write_text("t0ken-value\n")
    said = told(
        stage,
        replicas=2,
        env={"COLOUR": "blue"},
        secrets={"API_KEY": "env:KEY_FOR_THE_APP", "TOKEN": "file:token.txt"},
        affinity="spread",
        limits={"open_files": 777, "memory": "400MB"},
    )
    assert sorted(said) == ["0", "1"]
    one = said["1"]
    assert one["env"]["COLOUR"] == "blue"
    assert (one["env"]["API_KEY"], one["env"]["TOKEN"]) == ("s3cret-value", "t0ken-value")
    names = ("HOLDFAST_SERVICE", "HOLDFAST_RELEASE", "HOLDFAST_VERSION")
    assert [one["env"][name] for name in names] == ["svc", "v1", "v1"]
    assert "SECRET_OF_THE_CONDUCTOR" not in one["env"]
    assert one["cwd"] == str(stage.directory)
    assert (one["files"], one["data"]) == ([777, 777], [400_000_000] * 2)
    mine = sorted(os.sched_getaffinity(0))
    assert [said[name]["cpus"] for name in "01"] == [[mine[n % len(mine)]] for n in (0, 1)]
    written = "".join(
        path.read_text() for path in stage.home.rglob("*") if path.is_file() and path.suffix
    )
    assert "s3cret-value" not in written and "t0ken-value" not in written
    assert "s3cret-value" not in " ".join(one["argv"])


def test_an_instance_leads_its_own_group_in_the_supervisors_session(stage):
    one = told(stage)["0"]
    assert one["group"] == one["pid"]
    assert one["session"] == os.getsid(0)


@pytest.mark.skipif(not launch.may_renice(), reason="lowering a nice value needs a privilege")
def test_a_starting_instance_yields_and_is_equal_once_ready_in_all_its_threads(stage):
    one = told(stage)["0"]
    assert one["nice_at_start"] == launch.NICE
    assert len(one["nice"]) >= 2 and set(one["nice"]) == {os.getpriority(os.PRIO_PROCESS, 0)}


def test_an_inherited_socket_is_descriptor_three_as_systemd_has_it(stage):
    one = told(stage, listen="inherited", arguments=" inherited")["0"]
    assert one["env"]["LISTEN_FDS"] == "1"
    assert one["env"]["LISTEN_PID"] == str(one["pid"])
    assert one["env"]["HOLDFAST_LISTEN_FD"] == "3"


def test_an_explicit_list_of_processors_is_kept(stage):
    cpu = sorted(os.sched_getaffinity(0))[-1]
    assert told(stage, affinity=[cpu])["0"]["cpus"] == [cpu]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] != 777  # only the child is limited


def test_shell_characters_reach_the_program_and_no_shell(stage, tmp_path):
    mark = tmp_path / "mark"
    one = told(stage, arguments=f" '$(touch {mark})' ; echo *")["0"]
    assert one["argv"][1:] == [f"$(touch {mark})", ";", "echo", "*"]
    assert not mark.exists()


def test_output_is_rotated_while_the_instance_writes_and_the_newest_is_kept(
    stage, wait_until, fleet_in
):
    talker = stage.program(
        "talker.py",
        (stage.directory / "server.py")
        .read_text()
        .replace(
            'print("listening soon", flush=True)',
            "import threading\n"
            "    def talk():\n"
            "        for n in range(10**9):\n"
            '            print(f"line {n} " + "x" * 990, flush=True)\n'
            "            time.sleep(0.0005)\n"
            "    threading.Thread(target=talk, daemon=True).start()",
        ),
    )
    run = {"command": talker, "logs": {"max_size": "100KB", "keep": 2}}
    logs = stage.root / "logs" / "v1"

    async def scenario():
        async with stage.serving(1, run=run) as target:
            for _ in range(800):
                if (logs / "0.log.2").exists():
                    break
                await asyncio.sleep(0.01)
            sizes = {path.name: path.stat().st_size for path in logs.iterdir()}
            await target.perform(Scale("v1", 0, 1))
            await wait_until(target, lambda look: not look.fleets)
            return sizes

    sizes = asyncio.run(scenario())
    assert set(sizes) - {"fork-server.log"} == {"0.log", "0.log.1", "0.log.2"}
    assert sizes["0.log.1"] > 100_000
    numbers = [
        int(line.split()[1])
        for line in (logs / "0.log").read_text().splitlines()
        if line.startswith("line ")
    ]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[0] > 0  # the earlier ones are in the older files


def test_the_access_log_names_the_release_of_every_request(stage):
    async def scenario():
        async with stage.serving(1) as target:
            for _ in range(5):
                await stage.get("/a")
            await target.perform(Route((("v1", 100),), 1))
            path = Path(stage.root / "logs" / "access.log")
            for _ in range(300):
                if path.exists() and len(path.read_text().splitlines()) == 5:
                    break
                await asyncio.sleep(0.01)
            return [json.loads(line) for line in path.read_text().splitlines()]

    lines = asyncio.run(scenario())
    assert [(line["release"], line["path"], line["status"]) for line in lines] == [
        ("v1", "/a", 200)
    ] * 5
