"""A conductor is a process: it starts once, dies safely, comes back, and continues what ran."""

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import pytest

from holdfast.conductor import daemon
from holdfast.conductor.client import ApiError, Client, NoConductor
from holdfast.conductor.daemon import (
    EXIT_REFUSED,
    EXIT_USAGE,
    DaemonTrouble,
    log_tail,
    read_pids,
    running_pid,
    start_daemon,
    stop_daemon,
)
from holdfast.conductor.lease import ConductorLock, Leases, lock_is_held
from holdfast.ledger import Draft, Ledger
from holdfast.runtime.home import Home

pytestmark = pytest.mark.live

SPEC = """\
service: shop
version: {version}
target: simulated
run: {{ command: app, env: {{ SIMULATED_START_S: "0.05" }} }}
replicas: 2
rollout:
  strategy: canary
  steps: [{{ weight: 20, approvals: 1, max: 60s }}, 100]
  analysis: {{ warm_up: 100ms, error_rate_max: 0.2 }}
"""


def deploy(client, version):
    return client.deploy("shop", SPEC.format(version=version))["rollout"]


def run_conductor(home, *words, env=None):
    return subprocess.run(
        [sys.executable, "-m", "holdfast.conductor.daemon", "--home", str(home.path), *words],
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, **(env or {})},
    )


def until(look, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except NoConductor:
            pass
        time.sleep(0.01)
    raise AssertionError("not in time")


def ended(client, rollout):
    last = until(lambda: client.status("shop")["state"]["last"])
    return last["ending"] if last["rollout"] == rollout else None


def test_starting_twice_gives_the_conductor_that_runs(home):
    first = start_daemon(home)
    assert start_daemon(home) == first == running_pid(home)
    assert stop_daemon(home) and not stop_daemon(home)
    assert running_pid(home) is None and not lock_is_held(home)


def test_two_starts_at_the_same_time_give_one_conductor(home):
    found = []
    threads = [threading.Thread(target=lambda: found.append(start_daemon(home))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and len(set(found)) == 1


def test_a_second_conductor_is_refused_and_told_whose_turn_it_is(home):
    pid = start_daemon(home)
    assert run_conductor(home).returncode == EXIT_REFUSED
    told = "\n".join(log_tail(home))
    assert f"pid {pid}" in told and "replicas keep running" in told
    assert running_pid(home) == pid


@pytest.mark.req("T126")
def test_a_conductor_killed_in_the_middle_of_a_rollout_comes_back_and_ends_it(home):
    killed = start_daemon(home)
    client = Client(home)
    first = deploy(client, "v1")
    until(lambda: ended(client, first))
    rollout = deploy(client, "v2")
    until(lambda: client.status("shop")["state"]["rollout"])
    os.kill(killed, signal.SIGKILL)
    began = time.monotonic()
    successor = until(lambda: running_pid(home))
    back_s = time.monotonic() - began
    assert successor != killed and back_s < 60
    status = client.status("shop")
    assert status["state"]["rollout"]["id"] == rollout and status["generation"] == 2
    until(lambda: any(h["code"] == "needs-approval" for h in client.status("shop")["holds"]))
    client.approve("shop", by="ann")
    assert until(lambda: ended(client, rollout)) == "promoted"
    kinds = [entry["kind"] for entry in client.history("shop")]
    assert kinds.count("Started") == 2 and kinds.count("Finished") == 2
    assert kinds.count("ConductorStarted") == 2


def test_stopping_right_after_a_kill_leaves_nobody_behind(home):
    os.kill(start_daemon(home), signal.SIGKILL)
    assert stop_daemon(home)
    time.sleep(0.5)
    assert running_pid(home) is None and not lock_is_held(home)


def test_a_keeper_that_is_killed_is_replaced_so_that_the_next_kill_heals_too(home):
    pid = start_daemon(home)
    first = read_pids(home).keeper
    os.kill(first, signal.SIGKILL)
    second = until(lambda: (read_pids(home).keeper != first and read_pids(home).keeper) or None)
    assert running_pid(home) == pid, "the conductor goes on"
    os.kill(pid, signal.SIGKILL)
    until(lambda: running_pid(home) not in (None, pid))
    assert read_pids(home).keeper == second
    assert stop_daemon(home)
    assert not lock_is_held(home)


def test_a_command_given_while_the_conductor_is_restarted_is_not_lost(home):
    pid = start_daemon(home)
    client = Client(home)
    rollout = deploy(client, "v1")
    until(lambda: ended(client, rollout))
    os.kill(pid, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{pid}/fd/0"))
    assert client.scale("shop", 3)["outcome"]
    assert client.status("shop")["replicas"] == 3


def test_killed_again_and_again_it_still_comes_back(home):
    seen = {start_daemon(home)}
    for _ in range(2):
        os.kill(until(lambda: running_pid(home)), signal.SIGKILL)
        until(lambda: running_pid(home) not in {None, *seen})
        seen.add(running_pid(home))
    assert len(seen) == 3


def test_a_listener_misses_nothing_while_its_conductor_is_replaced(home):
    pid = start_daemon(home)
    client = Client(home)
    heard, done = [], threading.Event()

    def listen():
        for event in client.events("shop", 0, patience_s=20):
            if event["index"] is not None:
                heard.append(event["index"])
            if event["kind"] == "Retired":
                return done.set()

    thread = threading.Thread(target=listen)
    deploy(client, "v1")
    thread.start()
    os.kill(pid, signal.SIGKILL)
    until(lambda: running_pid(home) not in (None, pid))
    until(lambda: client.status("shop")["state"]["stable"])
    client.down("shop")
    assert done.wait(60)
    thread.join()
    assert heard == [entry["index"] for entry in client.history("shop")]


def test_a_stopped_conductor_ends_its_event_streams_and_leaves_at_once(home):
    start_daemon(home)
    stream = Client(home).events()
    began = time.monotonic()
    gone = []

    def listen():
        try:
            next(stream)
        except NoConductor as error:
            gone.append(error)

    listening = threading.Thread(target=listen)
    listening.start()
    time.sleep(0.3)
    stop_daemon(home)
    listening.join(60)
    assert gone and time.monotonic() - began < 30


def test_stopping_records_that_nothing_was_decided(home):
    start_daemon(home)
    client = Client(home)
    rollout = deploy(client, "v1")
    until(lambda: ended(client, rollout))
    before = client.history_end()
    stop_daemon(home)
    start_daemon(home)
    until(lambda: client.history_end() > before)
    later = client.history("shop", since=before)
    assert [entry["kind"] for entry in later] == ["ConductorStarted"]
    assert client.status("shop")["state"]["stable"]["version"] == "v1"


def test_an_optimised_python_is_refused_because_assertions_carry_safety(home):
    ran = run_conductor(home, env={"PYTHONOPTIMIZE": "1"})
    assert ran.returncode == EXIT_USAGE and "-O" in ran.stderr


def test_only_loopback_is_listened_on(home):
    with pytest.raises(DaemonTrouble, match=r"127\.0\.0\.1"):
        start_daemon(home, listen="0.0.0.0:8080")


def test_what_keeps_a_conductor_from_starting_is_in_the_error(home):
    home.ledger.write_bytes(b"this is not a ledger, whatever its name says" * 100)
    with pytest.raises(DaemonTrouble) as told:
        start_daemon(home)
    assert any("cannot start" in line for line in told.value.tail)
    with pytest.raises(DaemonTrouble) as again:  # only what this start said, not the one before
        start_daemon(home, listen="198.51.100.1:9000")
    assert not any("ledger" in line for line in again.value.tail), again.value.tail


def test_a_service_whose_past_cannot_be_read_does_not_stop_the_others(home):
    ledger = Ledger.open(home.ledger, "holdfast/test")
    for name in ("shop", "odd"):
        added = json.dumps({"service": name, "target": "simulated"}).encode()
        ledger.append_now([Draft("conductor", "ServiceAdded", added, 1.0)])
    ledger.append_now([Draft("odd", "Started", b'{"is":"Started"}', 1.0)])
    ledger.close()
    start_daemon(home)
    client = Client(home)
    rollout = deploy(client, "v1")
    assert until(lambda: ended(client, rollout)) == "promoted"
    assert list(client.healthz()["unreadable"]) == ["odd"]
    with pytest.raises(ApiError, match=r"audit verify") as told:
        client.status("odd")
    assert told.value.status == 503
    with pytest.raises(ApiError, match=r"audit verify"):
        client.deploy("odd", SPEC.format(version="v1").replace("shop", "odd"))


def test_every_file_of_a_home_is_private_and_the_log_is_json(home):
    pid = start_daemon(home)
    pids = read_pids(home)
    assert pids is not None and pids.conductor == pid != pids.keeper
    deploy(Client(home), "v1")
    paths = [path for path in home.path.rglob("*") if not path.is_symlink()]
    assert {path.name for path in paths} >= {"conductor.sock", "ledger.db", "state.db"}
    open_to_others = [p.name for p in paths if stat.S_IMODE(p.stat().st_mode) & 0o077]
    assert open_to_others == ["log.vkey"]  # the public key, for whoever verifies
    lines = [json.loads(line) for line in log_tail(home)]
    assert any(f"pid {pid}" in line["message"] for line in lines)


def test_the_socket_works_below_a_very_long_directory(tmp_path):
    home = Home(tmp_path / ("d" * 100) / ("e" * 100) / ".holdfast")
    pid = start_daemon(home)
    try:
        assert Client(home).healthz()["pid"] == pid
    finally:
        stop_daemon(home)


@pytest.mark.req("T140", "I4")
def test_a_past_that_was_changed_while_nobody_looked_is_told(home):
    start_daemon(home)
    client = Client(home)
    first = deploy(client, "v1")
    assert until(lambda: ended(client, first)) == "promoted"
    assert client.status("shop")["trouble"] is None
    stop_daemon(home)
    with closing(sqlite3.connect(home.ledger)) as ledger, ledger:
        lie = "CAST(replace(CAST(body AS TEXT), 'promoted', 'reverted') AS BLOB)"
        change = f"UPDATE entries SET body = {lie} WHERE kind = 'Finished'"
        assert ledger.execute(change).rowcount == 1
    start_daemon(home)
    said = until(lambda: Client(home).status("shop")["trouble"])
    assert "the ledger was changed" in said
    assert "holdfast audit verify" in said


def test_a_start_that_was_refused_waits_for_the_conductor_that_refused_it(home, monkeypatch):
    ended, told = os.pipe()
    os.write(told, str(EXIT_REFUSED).encode())
    os.close(told)
    os.set_blocking(ended, False)
    answers = iter([None, None, None, None, 4711])
    monkeypatch.setattr(daemon, "_launch", lambda *_: ended)
    monkeypatch.setattr(daemon, "running_pid", lambda _home: next(answers))
    with taken(home):
        assert daemon.start_daemon(home) == 4711


@contextmanager
def taken(home):
    """The home as a conductor that does not answer holds it."""
    leases, lock = Leases(home.state), ConductorLock(home)
    lock.take(leases, time.time())
    try:
        yield
    finally:
        lock.close()
        leases.close()


def test_a_start_while_another_conductor_is_ending_waits_and_starts_one(home):
    with taken(home):
        found = []
        starting = threading.Thread(target=lambda: found.append(start_daemon(home)))
        starting.start()
        until(lambda: any("refused" in line for line in log_tail(home)))
    starting.join()
    assert found == [running_pid(home)]


def test_a_number_that_became_another_home_s_conductor_is_not_stopped(home, tmp_path):
    """A pid file that outlived its conductor, and the pid that went to somebody else."""
    other = Home(tmp_path / "other" / ".holdfast")
    pid = start_daemon(other)
    try:
        home.pid_file.write_text(other.pid_file.read_text())
        assert not stop_daemon(home)
        assert running_pid(other) == pid
    finally:
        stop_daemon(other)


def test_generations_go_on_although_the_table_of_leases_was_lost(home):
    start_daemon(home)
    client = Client(home)
    deploy(client, "v1")
    for expected in (2, 3):
        stop_daemon(home)
        for path in home.path.glob("state.db*"):
            path.unlink()
        start_daemon(home)
        until(lambda: client.status("shop")["state"]["stable"])
        assert client.status("shop")["generation"] == expected


def test_a_damaged_table_of_leases_is_said_at_once_with_what_to_do(home):
    home.state.write_bytes(b"this is no table of leases, whatever its name says" * 100)
    with pytest.raises(DaemonTrouble, match=r"ended with 2[^0-9]") as told:
        start_daemon(home)
    assert any("move it away" in line for line in told.value.tail)
    assert not any("Traceback" in line for line in told.value.tail)


def test_an_address_that_is_taken_is_said_at_once(home):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        address = f"127.0.0.1:{stranger.getsockname()[1]}"
        with pytest.raises(DaemonTrouble, match=r"ended with 2[^0-9]") as told:
            start_daemon(home, listen=address)
    assert any(f"{address} cannot be listened on" in line for line in told.value.tail)
