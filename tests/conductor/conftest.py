"""A real conductor: its own process, a real Unix socket, services on the simulated target."""

import itertools
import time

import pytest

from holdfast.conductor.client import Client
from holdfast.conductor.daemon import start_daemon, stop_daemon
from holdfast.runtime.home import Home

_COUNT = itertools.count(1)
SPEC_PATH = "/nowhere/holdfast.yaml"


@pytest.fixture(scope="session")
def running_home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("conductor") / ".holdfast")
    start_daemon(home, listen="127.0.0.1:0")
    yield home
    stop_daemon(home)


@pytest.fixture
def client(running_home) -> Client:
    return Client(running_home)


@pytest.fixture
def home(tmp_path):
    """A home whose conductor, if a test starts one, is stopped after it."""
    home = Home(tmp_path / ".holdfast").ensure()
    yield home
    stop_daemon(home)


@pytest.fixture
def service(client) -> "Simulated":
    return Simulated(client, f"svc-{next(_COUNT)}")


class Simulated:
    """One simulated service and what a person does with it."""

    #: A canary that stands on its first rung until somebody approves it.
    STANDING = (
        "{ strategy: canary, steps: [{ weight: 20, approvals: 1, max: 60s }, 100], keep_warm: 60s,"
        " analysis: { warm_up: 100ms, error_rate_max: 0.2 } }"
    )

    def __init__(self, client: Client, name: str) -> None:
        self.client, self.name = client, name

    def spec(self, version="v1", replicas=2, rollout="blue-green", traffic=8080, **behaviour):
        env = {"start_s": 0.05, **behaviour}
        words = ", ".join(f'SIMULATED_{key.upper()}: "{value}"' for key, value in env.items())
        return (
            f"service: {self.name}\nversion: {version}\ntarget: simulated\n"
            f"run:\n  command: app\n  env: {{ {words} }}\n"
            f"replicas: {replicas}\ntraffic: {traffic}\nrollout: {rollout}\n"
        )

    def ask(self, version="v1", options=None, **spec):
        text = self.spec(version, **spec)
        return self.client.deploy(self.name, text, spec_path=SPEC_PATH, **(options or {}))

    def deploy(self, version="v1", options=None, **spec):
        """Deploy and wait for the end; returns how it ended."""
        answer = self.ask(version, options, **spec)
        assert answer["outcome"] == "started", answer
        return self.ended(answer["rollout"])

    def ended(self, rollout, seconds=60.0):
        def last():
            found = self.state()["last"]
            return found if found is not None and found["rollout"] == rollout else None

        return eventually(last, seconds)

    def standing(self, version="v2", **spec):
        """Start a rollout that waits for an approval; returns its id."""
        answer = self.ask(version, rollout=self.STANDING, **spec)
        self.eventually(lambda: "needs-approval" in self.hold_codes())
        return answer["rollout"]

    def hold_codes(self):
        return {hold["code"] for hold in self.status()["holds"]}

    def status(self):
        return self.client.status(self.name)

    def state(self):
        return self.status()["state"]

    @staticmethod
    def eventually(look, seconds=60.0):
        return eventually(look, seconds)

    def kinds(self):
        return [entry["kind"] for entry in self.client.history(self.name)]


def eventually(look, seconds=60.0):
    """The first true thing that ``look`` returns."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {look}")
