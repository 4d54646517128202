"""gRPC with a real server and a real client: health by name, and no failure that nobody counts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter

import pytest

from holdfast.rollout.model import Scale
from holdfast.targets.local import probe

grpc = pytest.importorskip("grpc")
pytestmark = pytest.mark.live

SERVER = """
    import os, time, grpc
    from concurrent import futures
    HEALTH = {b"": b"\\x08\\x01", b"\\x0a\\x03a.A": b"\\x08\\x01", b"\\x0a\\x03b.B": b"\\x08\\x02"}
    def say(request, context):
        if request == b"hang":
            time.sleep(1.0)
        if request.isdigit():
            context.abort([c for c in grpc.StatusCode if c.value[0] == int(request)][0], "asked to")
        return os.environ["HOLDFAST_REPLICA"].encode()
    def check(request, context):
        if request not in HEALTH or os.path.exists("sick-" + os.environ["HOLDFAST_REPLICA"]):
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return HEALTH[request]
    def handler(name, **methods):
        methods = {k: grpc.unary_unary_rpc_method_handler(do) for k, do in methods.items()}
        return grpc.method_handlers_generic_handler(name, methods)
    server = grpc.server(futures.ThreadPoolExecutor(8))
    health = handler("grpc.health.v1.Health", Check=check)
    server.add_generic_rpc_handlers((handler("a.A", Say=say), health))
    server.add_insecure_port("127.0.0.1:" + os.environ["PORT"])
    server.start()
    server.wait_for_termination()
"""


@pytest.fixture
def spec(stage):
    stage.program("g.py", SERVER)
    return {
        "run": f"{sys.executable} g.py",
        "traffic": {"protocol": "grpc", "balance": "round-robin"},
        "probes": {"ready": "/", "start_within": "30s"},
    }


async def calls(port: int, said: bytes, times: int, deadline: float = 5.0) -> Counter[str]:
    return await asyncio.to_thread(_calls, port, said, times, deadline)


def _calls(port: int, said: bytes, times: int, deadline: float) -> Counter[str]:
    seen: Counter[str] = Counter()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        say = channel.unary_unary("/a.A/Say")
        for _ in range(times):
            try:
                seen[say(said, timeout=deadline).decode()] += 1
            except grpc.RpcError as error:
                seen[error.code().name] += 1
    return seen


@pytest.mark.req("T43")
def test_a_hung_call_is_counted_although_its_client_gives_up(stage, spec):
    async def scenario():
        async with stage.serving(1, **spec) as target:
            well = await calls(stage.port, b"", 3)
            hung = await calls(stage.port, b"hang", 4, 0.2)
            return well, hung, (await target.counters())["v1"]

    well, hung, counts = asyncio.run(scenario())
    assert (well, hung) == ({"0": 3}, {"DEADLINE_EXCEEDED": 4})
    assert (counts.requests, counts.errors) == (7, 4)


def test_faults_of_the_server_are_errors_and_answers_to_the_caller_are_not(stage, spec):
    faults = {2, 4, 12, 13, 14, 15}

    async def scenario():
        async with stage.serving(1, **spec) as target:
            errors, before = set(), 0
            for status in range(1, 17):
                await calls(stage.port, str(status).encode(), 1)
                counts = (await target.counters())["v1"]
                if counts.errors > before:
                    errors.add(status)
                before = counts.errors
            return errors, counts

    errors, counts = asyncio.run(scenario())
    assert errors == faults
    assert (counts.requests, counts.errors) == (16, len(faults))


@pytest.mark.parametrize("path", ["/", "/a.A", ""])
def test_a_replica_is_let_in_when_the_named_service_serves(stage, spec, path):
    async def scenario():
        async with stage.serving(1, **{**spec, "probes": {"ready": {"path": path}}}):
            return await calls(stage.port, b"", 2)

    assert asyncio.run(scenario()) == {"0": 2}


@pytest.mark.parametrize("path", ["/b.B", "/no.Such"])
def test_a_service_that_does_not_serve_is_never_ready(stage, spec, path, wait_until, fleet_in):
    spec = {**spec, "probes": {"ready": path, "start_within": "5s"}}

    async def scenario():
        async with stage.target() as target:
            await target.prepare(stage.bundle("v1", **spec))
            await target.perform(Scale("v1", 1, 1))
            look, _ = await wait_until(target, lambda look: fleet_in(look, "v1").failure)
            return fleet_in(look, "v1")

    fleet = asyncio.run(scenario())
    assert fleet.failure.code == "never-ready"
    assert fleet.ready == 0


@pytest.mark.req("T43")
def test_a_replica_that_stops_serving_gets_no_calls(stage, spec):
    async def scenario():
        async with stage.serving(2, **spec):
            before = await calls(stage.port, b"", 10)
            (stage.directory / "sick-0").touch()
            await asyncio.sleep(1.0)
            return before, await calls(stage.port, b"", 10)

    before, after = asyncio.run(scenario())
    assert set(before) == {"0", "1"}
    assert after == {"1": 10}


@pytest.mark.req("T43")
def test_a_hung_replica_is_replaced_although_it_still_accepts_connections(
    stage, spec, wait_until, fleet_in
):
    live = {"every": "50ms", "timeout": "100ms"}
    spec = {**spec, "probes": {**spec["probes"], "live": {"path": "/", **live}}}

    async def scenario():
        async with stage.serving(1, **spec) as target:
            hung = stage.processes()["v1/0"]
            os.killpg(hung, signal.SIGSTOP)
            await wait_until(target, lambda look: fleet_in(look, "v1").restarts)
            await wait_until(target, lambda look: fleet_in(look, "v1").ready)
            return hung, stage.processes()["v1/0"], await calls(stage.port, b"", 2)

    before, after, seen = asyncio.run(scenario())
    assert after != before
    assert seen == {"0": 2}


def test_a_program_that_does_not_speak_http2_is_told_so(stage):
    """Admission ends there, with words, instead of waiting for Envoy's health check."""

    async def scenario():
        async with stage.serving(1):
            record = next((stage.root / "run").glob("*/0.json"))
            port = json.loads(record.read_text())["port"]
            bundle = stage.bundle("v2", traffic={"protocol": "grpc"})
            return await probe.probe(port, bundle.service.probes.ready, bundle.service.traffic)

    found = asyncio.run(scenario())
    assert not found.ok and found.listening
    assert "HTTP/2" in found.detail
