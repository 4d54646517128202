"""HTTP/2 and gRPC with real servers and real clients: no call lost, bad releases taken back."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from example_project import Program, Project, project_of

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

HTTP2 = Program("08-http2", "node")
GRPC = Program("09-grpc", "python3")
GRPC_CLIENT = (sys.executable, "client.py")


@pytest.fixture
def http2(tmp_path: Path) -> Iterator[Project]:
    with project_of(HTTP2, tmp_path) as project:
        yield project


@pytest.fixture
def grpc(tmp_path: Path) -> Iterator[Project]:
    pytest.importorskip("grpc")
    with project_of(GRPC, tmp_path) as project:
        yield project


def there_and_back(project: Project, *client: str) -> dict[str, int]:
    """v1 to v2 and back while the client works: what it got."""
    project.holdfast("up")
    with project.client(*client) as seen:
        time.sleep(1.0)
        project.holdfast("deploy", "--version", "v2", "--set", "run.env.APP_VERSION=v2")
        assert project.stable() == "v2"
        time.sleep(0.5)
        project.holdfast("rollback")
        assert project.stable() == "v1"
    return seen


def told(project: Project, *changes: str) -> str:
    """A deployment that ends badly: what was said about it."""
    options = [word for change in changes for word in ("--set", change)]
    return project.holdfast("deploy", "--version", "v2", *options, expect=1)


@pytest.mark.req("P3", "T44")
def test_http2_is_updated_and_rolled_back_over_one_connection_without_a_failure(http2: Project):
    seen = there_and_back(http2, "node", "client.js")
    assert set(seen) == {"connections", "v1", "v2"}, seen
    assert seen["connections"] == 1
    assert min(seen["v1"], seen["v2"]) > 20


@pytest.mark.req("P3", "T44")
def test_grpc_is_updated_and_rolled_back_without_a_failed_call(grpc: Project):
    seen = there_and_back(grpc, *GRPC_CLIENT)
    assert set(seen) == {"v1", "v2"}, seen
    assert min(seen["v1"], seen["v2"]) > 20


@pytest.mark.req("T45")
def test_a_canary_whose_calls_fail_inside_http_200_is_taken_back_by_verdict(grpc: Project):
    grpc.holdfast("up")
    with grpc.client(*GRPC_CLIENT) as seen:
        time.sleep(1.0)
        said = told(grpc, "run.env.FAILS=0.3", "rollout=canary", "run.env.APP_VERSION=v2")
        assert grpc.stable() == "v1", said
    assert seen["INTERNAL"] > 0  # it was judged on users' real calls
    assert set(seen) == {"v1", "v2", "INTERNAL"}, seen
    judged = re.search(r"\(verdict\): errors: the new release has (\d+) of (\d+) ", said)
    assert judged, said
    assert 0 < int(judged[1]) <= seen["INTERNAL"]
    assert int(judged[2]) <= seen["INTERNAL"] + seen["v2"]


@pytest.mark.req("P3")
def test_a_server_that_never_serves_is_refused_and_no_user_meets_it(grpc: Project):
    grpc.holdfast("up")
    with grpc.client(*GRPC_CLIENT) as seen:
        time.sleep(1.0)
        said = told(grpc, "run.env.HEALTH=NOT_SERVING", "probes.start_within=2s")
        assert grpc.stable() == "v1", said
    assert "never-ready" in said, said
    assert set(seen) == {"v1"}, seen
