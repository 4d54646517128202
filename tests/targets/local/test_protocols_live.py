"""TCP, HTTP/2, stickiness, and the limits that keep a sick release from hurting the rest."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from holdfast.rollout.model import Route, Scale
from holdfast.targets.local.envoy import find_binary

pytestmark = pytest.mark.live

ECHO = """
    import os, socketserver
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            for line in self.rfile:
                self.wfile.write(os.environ["HOLDFAST_VERSION"].encode() + b" " + line)
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
TCP = {"traffic": {"protocol": "tcp"}, "probes": {}, "rollout": {"drain": "0.5s"}}


async def say(port: int, word: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(word + b"\n")
        return await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()


@pytest.mark.req("P3")
def test_a_tcp_service_is_shifted_connection_by_connection(stage, wait_until, fleet_in):
    spec = {**TCP, "run": stage.program("echo.py", ECHO)}

    async def scenario():
        async with stage.serving(1, **spec) as target:
            assert await say(stage.port, b"hello") == b"v1 hello\n"
            reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
            await stage.deploy(target, stage.bundle("v2", **spec), 1)
            await target.perform(Route((("v1", 50), ("v2", 50)), 1))
            mixed = Counter([(await say(stage.port, b"x"))[:2] for _ in range(60)])
            await target.perform(Route((("v1", 0), ("v2", 100)), 1))
            last = {(await say(stage.port, b"x"))[:2] for _ in range(20)}
            writer.write(b"still here\n")  # an old connection is not cut by a shift
            old = await asyncio.wait_for(reader.readline(), 5)
            counts = await target.counters()
            await target.perform(Scale("v1", 0, 1))
            await wait_until(target, lambda look: not fleet_in(look, "v1").size)
            writer.close()
            return mixed, last, old, counts

    mixed, last, old, counts = asyncio.run(scenario())
    assert mixed[b"v1"] >= 10 and mixed[b"v2"] >= 10
    assert last == {b"v2"}
    assert old == b"v1 still here\n"
    assert counts["v1"].requests >= 12 and counts["v2"].requests >= 30
    assert counts["v1"].errors == 0


@pytest.mark.req("T44")
def test_ring_hash_keeps_a_user_on_one_replica_and_spreads_the_users(stage):
    traffic = {"balance": "ring-hash", "hash_header": "x-user"}

    async def scenario():
        async with stage.serving(3, traffic=traffic):
            homes: dict[str, set[bytes]] = {}
            for user in [f"user-{n}" for n in range(12)] * 4:
                answer = await stage.get("/where", x_user=user)
                homes.setdefault(user, set()).add(answer.body)
            return homes

    homes = asyncio.run(scenario())
    assert all(len(replicas) == 1 for replicas in homes.values()), homes
    assert len(set.union(*homes.values())) >= 2


@pytest.mark.req("T44")
@pytest.mark.parametrize("balance", ["round-robin", "least-request"])
def test_other_balances_use_every_replica(stage, balance):
    async def scenario():
        async with stage.serving(2, traffic={"balance": balance}):
            return Counter([(await stage.get("/where")).body for _ in range(40)])

    used = asyncio.run(scenario())
    assert min(used[b"0"], used[b"1"]) >= 5


@pytest.mark.req("T43")
@pytest.mark.parametrize(("idempotent", "attempts"), [(False, 1), (True, 3)])
def test_a_request_that_was_worked_on_is_repeated_only_when_the_spec_allows(
    stage, idempotent, attempts
):
    async def scenario():
        spec = {"traffic": {"idempotent": idempotent, "retries": 2}}
        async with stage.serving(2, **spec) as target:
            status = (await stage.get("/hang-up")).status
            return status, (await target.counters())["v1"]

    status, counts = asyncio.run(scenario())
    assert status == 503
    assert (counts.requests, counts.errors) == (attempts, attempts)


@pytest.mark.req("T43")
def test_a_failing_replica_is_ejected_and_the_others_carry_on(stage):
    sick = stage.program(
        "sick.py",
        (stage.directory / "server.py")
        .read_text()
        .replace(
            'if path == "/slow"',
            'if path == "/work" and os.environ["HOLDFAST_REPLICA"] == "0":\n'
            '            return 500, b""\n        if path == "/slow"',
        ),
    )
    outlier = {"consecutive_5xx": 3, "max_ejected": 60, "eject": "20s"}

    async def scenario():
        traffic = {"outlier": outlier, "balance": "round-robin"}
        async with stage.serving(2, run=sick, traffic=traffic) as target:
            first = [(await stage.get("/work")).status for _ in range(12)]
            await asyncio.sleep(0.3)  # several health checks pass meanwhile
            then = [(await stage.get("/work")).status for _ in range(12)]
            return first, then, await target.observe()

    first, then, look = asyncio.run(scenario())
    assert 500 in first
    assert set(then) == {200}
    assert look.fleets[0].ready == 2  # ejection is Envoy's short-lived business, not a death


@pytest.mark.req("T43")
def test_the_circuit_breaker_answers_at_once_instead_of_queueing(stage):
    async def scenario():
        breaker = {"max_connections": 1, "max_pending": 1, "max_requests": 1}
        async with stage.serving(1, traffic={"breaker": breaker, "retries": 0}):
            answers = await asyncio.gather(*(stage.get("/slow") for _ in range(5)))
            return Counter(answer.status for answer in answers)

    statuses = asyncio.run(scenario())
    assert statuses[200] >= 1
    assert statuses[503] >= 3


@pytest.mark.req("T43")
def test_an_answer_that_takes_too_long_is_cut_at_the_timeout(stage):
    async def scenario():
        async with stage.serving(1, traffic={"timeout": "0.1s", "retries": 0}) as target:
            status = (await stage.get("/slow")).status
            return status, (await target.counters())["v1"].errors

    assert asyncio.run(scenario()) == (504, 1)


def launcher(stage, answer: dict) -> str:
    """The HTTP/2 server is a second Envoy that answers by itself: it speaks nothing else."""
    template = json.dumps(http2_server(answer))
    return stage.program(
        "h2.py",
        f"""
        import os
        path = "h2-" + os.environ["HOLDFAST_REPLICA"] + ".json"
        with open(path, "w") as file:
            file.write({template!r}.replace('"PORT"', os.environ["PORT"]))
        os.execv({find_binary()!r}, ["envoy", "-c", path, "--disable-hot-restart",
                 "--concurrency", "1", "--log-level", "error"])
        """,
    )


def test_an_http2_server_is_probed_served_and_counted(stage):
    answer = {"direct_response": {"status": 200, "body": {"inline_string": "second wind"}}}
    spec = {"run": launcher(stage, answer), "traffic": {"protocol": "http2"}}

    async def scenario():
        async with stage.serving(1, **spec) as target:
            return await stage.get("/"), await target.counters()

    answer, counts = asyncio.run(scenario())
    assert (answer.status, answer.body) == (200, b"second wind")
    assert (counts["v1"].requests, counts["v1"].errors) == (1, 0)


@pytest.mark.parametrize(("status", "errors"), [(0, 0), (3, 0), (14, 2)])
def test_a_grpc_failure_counts_although_it_is_answered_with_200(stage, status, errors):
    """INVALID_ARGUMENT (3) is the caller's fault, UNAVAILABLE (14) is the server's."""
    headers = {"grpc-status": str(status), "content-type": "application/grpc"}
    answer = {
        "direct_response": {"status": 200},
        "response_headers_to_add": [
            {"header": {"key": key, "value": value}} for key, value in headers.items()
        ],
    }
    spec = {"run": launcher(stage, answer), "traffic": {"protocol": "grpc"}, "probes": {}}

    async def scenario():
        async with stage.serving(1, **spec) as target:
            for _ in range(2):
                call = {"content_type": "application/grpc", "te": "trailers"}
                got = await stage.get("/shop.Shop/Buy", **call)
            return got, await target.counters()

    got, counts = asyncio.run(scenario())
    assert (got.status, got.headers["grpc-status"]) == (200, str(status))
    assert (counts["v1"].requests, counts["v1"].errors) == (2, errors)


def http2_server(answer):
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network."
        "http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "h2",
        "codec_type": "HTTP2",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {"match": {"prefix": "/"}, **answer},
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": "PORT"}}
    chain = {"filters": [{"name": "hcm", "typed_config": manager}]}
    return {"static_resources": {"listeners": [{"address": address, "filter_chains": [chain]}]}}
