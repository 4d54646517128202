"""Real processes behind a real Envoy: conductors come and go, users notice nothing."""

import http.client
import os
import signal
import socket
import sys
import threading
import time

import pytest

from holdfast.conductor.client import Client, NoConductor
from holdfast.conductor.daemon import running_pid, start_daemon, stop_daemon

pytestmark = pytest.mark.live

APP = """\
import http.server, os, sys
class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{sys.argv[1]} {os.getpid()}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"""
STANDING = (
    "{ strategy: canary, steps: [{ weight: 50, approvals: 1, max: 60s }, 100],"
    " analysis: { warm_up: 100ms, error_rate_max: 0.2 } }"
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Shop:
    """One service of two Python processes, deployed, asked and taken down."""

    def __init__(self, home):
        self.home, self.client, self.port = home, Client(home), free_port()
        self.directory = home.path.parent
        (self.directory / "app.py").write_text(APP)

    def deploy(self, version, port=None, rollout="blue-green", more=""):
        text = (
            f"service: shop\nversion: {version}\nreplicas: 2\ntraffic: {port or self.port}\n"
            f"run: {{ command: {sys.executable} app.py {version}{more} }}\n"
            f"probes: {{ ready: / }}\nrollout: {rollout}\n"
        )
        path = str(self.directory / "holdfast.yaml")
        return self.client.deploy("shop", text, spec_path=path)

    def ended(self, rollout):
        def look():
            last = self.client.status("shop")["state"]["last"]
            return last if last and last["rollout"] == rollout else None

        return self.until(look)["ending"]

    def until(self, look, seconds=60.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if found := look():
                    return found
            except (NoConductor, OSError):
                pass
            time.sleep(0.01)
        raise AssertionError("not in time")

    def ask(self, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            version, _space, pid = answer.read().decode().partition(" ")
        finally:
            connection.close()
        assert answer.status == 200, (answer.status, version)
        return version, int(pid)

    def pids(self):
        return {self.ask()[1] for _ in range(20)}


@pytest.fixture
def shop(home):
    start_daemon(home)
    shop = Shop(home)
    yield shop
    start_daemon(home)
    if shop.client.services():
        shop.client.down("shop")
        shop.until(lambda: not shop.client.status("shop")["fleets"])


class Users:
    """Ask all the time; remember every answer and every failure."""

    def __init__(self, shop):
        self.shop, self.versions, self.failed = shop, [], []
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._leave.is_set():
            try:
                self.versions.append(self.shop.ask()[0])
            except (OSError, AssertionError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            time.sleep(0.005)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._leave.set()
        self._thread.join()


@pytest.mark.req("P3")
def test_a_conductor_killed_in_the_middle_of_a_rollout_costs_no_request(shop):
    shop.ended(shop.deploy("v1")["rollout"])
    with Users(shop) as users:
        rollout = shop.deploy("v2", rollout=STANDING)["rollout"]
        shop.until(lambda: shop.client.status("shop")["state"]["rollout"]["weights"])
        shop.until(lambda: "v2" in users.versions)
        killed = running_pid(shop.home)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        shop.until(lambda: running_pid(shop.home) not in (None, killed))
        holds = lambda: {h["code"] for h in shop.client.status("shop")["holds"]}  # noqa: E731
        shop.until(lambda: "needs-approval" in holds())
        shop.client.approve("shop", by="ann")
        assert shop.ended(rollout) == "promoted"
    assert users.failed == [] and len(users.versions) > 50
    assert users.versions[0] == "v1" and shop.ask()[0] == "v2"


def test_replicas_serve_on_without_a_conductor_and_the_next_one_adopts_them(shop):
    shop.ended(shop.deploy("v1")["rollout"])
    before = shop.pids()
    with Users(shop) as users:
        stop_daemon(shop.home)
        assert shop.pids() == before
        start_daemon(shop.home)
        assert [fleet["ready"] for fleet in shop.client.status("shop")["fleets"]] == [2]
        assert shop.pids() == before
    assert users.failed == []
    assert shop.client.status("shop")["fleets"][0]["restarts"] == 0


def test_a_changed_traffic_policy_reaches_the_data_plane_and_restarts_nobody(shop):
    shop.ended(shop.deploy("v1")["rollout"])
    before, other = shop.pids(), free_port()
    assert shop.deploy("v1", port=other)["outcome"] == "policy-changed"
    assert shop.until(lambda: shop.ask(other))[1] in before
    assert shop.client.status("shop")["endpoint"] == f"http://127.0.0.1:{other}"


def test_a_restart_runs_the_same_program_although_the_file_was_edited_meanwhile(shop):
    shop.ended(shop.deploy("v1")["rollout"])
    before = shop.pids()
    (shop.directory / "app.py").write_text(APP.replace("sys.argv[1]", "'never judged'"))
    assert shop.ended(shop.client.restart("shop")["rollout"]) == "promoted"
    version, pid = shop.ask()
    assert version == "v1" and pid not in before


def test_a_program_that_ends_at_once_is_taken_back_with_its_last_words(shop):
    shop.ended(shop.deploy("v1")["rollout"])
    (shop.directory / "app.py").write_text("raise SystemExit('no config found')\n")
    rollout = shop.deploy("v2")["rollout"]
    assert shop.ended(rollout) == "reverted"
    last = shop.client.status("shop")["state"]["last"]
    assert last is not None and "no config found" in last["reason"]
    assert shop.ask()[0] == "v1"


@pytest.mark.req("T77")
def test_a_warm_release_that_could_not_be_started_any_more_is_still_the_way_back(shop):
    own = shop.directory / "one"
    own.mkdir()
    (own / "app.py").write_text(APP)
    shop.ended(shop.deploy("v1", more=", cwd: one")["rollout"])
    shop.ended(shop.deploy("v2")["rollout"])
    (own / "app.py").unlink()
    own.rmdir()
    assert shop.ended(shop.client.rollback("shop")["rollout"]) == "promoted"
    assert shop.ask()[0] == "v1"
