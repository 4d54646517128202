"""Every shape of configuration is checked by Envoy itself, and says what was measured to matter."""

from __future__ import annotations

import itertools
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.spec.model import Service
from holdfast.targets.local import envoy_config as config
from holdfast.targets.local.envoy import find_binary
from holdfast.targets.local.envoy_config import Endpoint, Places

PLACES = Places("/run/e", "/run/e/admin.sock", "/run/e/access.log")
WEIGHTS = [("v1", 90), ("v2", 10)]


def service(**traffic) -> Service:
    probes = traffic.pop("probes", {"ready": "/ready"})
    spec = {"service": "svc", "run": "x", "probes": probes, "traffic": {"port": 8080, **traffic}}
    return Service.model_validate(spec)


SHAPES = [
    {"protocol": protocol, "balance": balance, "idempotent": idempotent, "probes": probes}
    for (protocol, balance), idempotent, probes in itertools.product(
        [
            ("http1", "least-request"),
            ("http1", "ring-hash"),
            ("http2", "round-robin"),
            ("grpc", "least-request"),
            ("tcp", "ring-hash"),
        ],
        [False, True],
        [{"ready": "/ready"}, {}],
    )
]


@pytest.mark.live
@pytest.mark.req("T43", "T44")
def test_envoy_itself_accepts_every_shape_of_listener_route_and_cluster(tmp_path):
    listeners, clusters = [], []
    places = Places(str(tmp_path), str(tmp_path / "admin.sock"), str(tmp_path / "access.log"))
    for number, shape in enumerate(SHAPES):
        spec = service(**shape, try_timeout="50ms", port=10_000 + number)
        names = [(f"{number}-a", 90), (f"{number}-b", 10)]
        clusters += [as_static(config.cluster(name, spec, places)) for name, _ in names]
        behind = {**config.refuge(f"{number}-b", f"{number}-a", spec)}
        clusters.append(without_type(behind))
        listener = config.listener(names, spec.traffic, places)
        listener["name"] = f"l{number}"
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        if manager.pop("rds", None):
            manager["route_config"] = without_type(config.routes(names, spec.traffic))
        listeners.append(without_type(listener))
    whole = {
        **config.bootstrap("svc", places),
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }
    del whole["dynamic_resources"]
    (tmp_path / "all.json").write_text(json.dumps(whole))
    command = [find_binary(), "--mode", "validate", "-c", str(tmp_path / "all.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "OK" in done.stdout


def as_static(cluster):
    """Endpoints in place: in validation mode Envoy reads no endpoint files."""
    name = cluster["name"]
    del cluster["eds_cluster_config"]
    assignment = without_type(config.assignment(name, [Endpoint(19_000), Endpoint(19_001, True)]))
    return {**without_type(cluster), "type": "STATIC", "load_assignment": assignment}


def without_type(value):
    return {key: each for key, each in value.items() if key != "@type"}


def test_only_repeatable_requests_are_repeated_after_they_were_worked_on():
    safe = retry(service(idempotent=False, try_timeout="1s"))
    free = retry(service(idempotent=True, try_timeout="1s"))
    assert safe["retry_on"] == "connect-failure,refused-stream,reset-before-request"
    assert "per_try_timeout" not in safe  # the first try may still be at work
    assert free["retry_on"].endswith(",reset,5xx")
    assert free["per_try_timeout"] == "1s"


@pytest.mark.parametrize(("path", "name"), [("/", ""), ("/shop.Shop", "shop.Shop")])
def test_a_grpc_service_is_asked_for_its_health_by_name(path, name):
    spec = service(protocol="grpc", probes={"ready": path})
    check = config.cluster("v1", spec, PLACES)["health_checks"][0]
    assert check["grpc_health_check"] == {"service_name": name}
    assert "tcp_health_check" not in check


def test_without_a_path_a_grpc_service_is_connected_to():
    check = config.cluster("v1", service(protocol="grpc", probes={}), PLACES)["health_checks"][0]
    assert check["tcp_health_check"] == {}
    assert "grpc_health_check" not in check


def test_no_retries_means_no_retry_policy():
    assert retry(service(retries=0)) is None


def retry(spec: Service):
    route = config.routes(WEIGHTS, spec.traffic)["virtual_hosts"][0]["routes"][0]["route"]
    return route.get("retry_policy")


def test_the_settings_that_lost_requests_when_they_were_missing_are_there():
    cluster = config.cluster("v1", service(), PLACES)
    assert cluster["common_lb_config"]["update_merge_window"] == "0s"
    assert cluster["ignore_health_on_host_removal"] is True
    assert cluster["health_checks"][0]["no_traffic_interval"] == "0.1s"
    assert config.routes(WEIGHTS, service().traffic)["validate_clusters"] is True
    assert config.listener(WEIGHTS, service().traffic, PLACES)["enable_reuse_port"] is False


def test_every_resource_has_a_directory_of_its_own():
    paths = [PLACES.file(kind) for kind in ("cds", "lds", "rds")]
    paths += [PLACES.endpoints(release) for release in ("v1", "v2", "../v1", "a/b", "..")]
    directories = [path.rsplit("/", 1)[0] for path in paths]
    assert len(set(directories)) == len(paths)
    assert all(
        directory.startswith("/run/e/") and ".." not in directory for directory in directories
    )


def test_the_smaller_share_may_fall_back_on_the_largest_and_never_the_other_way():
    def clusters(*weights: tuple[str, int]) -> list[str]:
        virtual = config.routes(weights, service().traffic)["virtual_hosts"][0]
        shares = virtual["routes"][0]["route"]["weighted_clusters"]["clusters"]
        return [each["name"] for each in shares]

    behind = config.refuge_name("v2", "v1")
    assert clusters(("v1", 95), ("v2", 5)) == ["v1", behind]
    assert clusters(("v2", 5), ("v1", 95)) == [behind, "v1"]
    assert clusters(("v1", 50), ("v2", 50)) == ["v1", "v2"]
    assert clusters(("v2", 100)) == ["v2"]
    assert config.release_of(behind) == "v2" and config.release_of("v2") == "v2"


def test_an_answer_names_its_release():
    route = config.routes(WEIGHTS, service().traffic)["virtual_hosts"][0]["routes"][0]["route"]
    first = route["weighted_clusters"]["clusters"][0]
    header = first["response_headers_to_add"][0]["header"]
    assert header == {"key": "x-holdfast-release", "value": "v1"}


@given(st.floats(0.001, 1e6))
def test_durations_are_written_as_envoy_reads_them(value):
    text = config.seconds(value)
    assert text.endswith("s") and "e" not in text
    assert float(text[:-1]) == pytest.approx(value, abs=1e-6)
