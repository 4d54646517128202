"""The edge: Envoy accepts it, limits hold, the nearest healthy region comes first."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import upstream
from family import file, objects, rendered, spec, text, the

from holdfast.artifacts import names
from holdfast.artifacts.resilience.edge import limits


@pytest.mark.req("T112", "T118", "T119", "T120", "T136", "T137")
def test_every_object_of_the_edge_is_accepted_by_its_own_schema(service):
    upstream.assert_accepted(rendered(service), "resilience/edge", "resilience/base")


@pytest.mark.req("T116", "T117", "T120", "T135", "T137", "T141", "T143")
@pytest.mark.parametrize("more", ["", "resilience: {cdn: false}", "traffic: {idempotent: true}"])
def test_envoy_accepts_its_configuration(tmp_path, more):
    envoy = shutil.which("envoy") or shutil.which("envoy", path=str(Path(sys.executable).parent))
    if envoy is None:
        pytest.skip("envoy is not installed")
    config = tmp_path / "edge.yaml"
    secret = tmp_path / "certificate.yaml"
    secret.write_text("resources: []\n")
    said = text(spec(more), "edge/envoy/us-east.yaml")
    config.write_text(said.replace("/etc/envoy/sds/certificate.yaml", str(secret)))
    ran = subprocess.run([envoy, "--mode", "validate", "-c", str(config), "-l", "error"],
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.req("T116", "T117", "T119")
def test_the_own_region_is_asked_first_and_every_other_only_when_it_is_gone(service):
    for region in service.regions:
        body = file(service, f"edge/envoy/{region.name}.yaml").body
        (cluster,) = body["static_resources"]["clusters"]
        found = cluster["load_assignment"]["endpoints"]
        assert [each["priority"] for each in found] == list(range(len(service.regions)))
        assert found[0]["locality"]["region"] == region.cloud
        assert {e["locality"]["region"] for e in found} == {r.cloud for r in service.regions}
        assert cluster["health_checks"] and cluster["outlier_detection"]
        assert cluster["common_lb_config"]["healthy_panic_threshold"]["value"] == 0


@pytest.mark.req("T120", "T137")
def test_one_client_can_never_use_what_is_there_for_all():
    for rate in ("0/s", "500/s", "1000000/s"):
        given = spec(f"promises: {{throughput: {rate}}}")
        assert limits.client(given) * 2 <= limits.together(given)
        assert limits.together(given) >= 2 * given.promises.throughput
        filters = limits.envoy(given)
        (one,) = filters["descriptors"]
        assert one["token_bucket"]["tokens_per_fill"] == limits.client(given)
        assert filters["filter_enforced"]["default_value"]["numerator"] == 100


@pytest.mark.req("T136")
def test_the_firewall_is_the_core_rule_set_and_fails_closed():
    found = the(spec(), "WasmPlugin")["spec"]
    assert found["failStrategy"] == "FAIL_CLOSE"
    lines = found["pluginConfig"]["directives_map"]["default"]
    assert "SecRuleEngine On" in lines and lines[-1] == "Include @owasp_crs/*.conf"
    assert found["targetRefs"][0]["name"] == the(spec(), "EnvoyFilter")["spec"][
        "workloadSelector"]["labels"]["gateway.networking.k8s.io/gateway-name"]  # fmt: skip
    assert not objects(spec("resilience: {waf: false}"), "WasmPlugin")


@pytest.mark.req("T135", "T141", "T143")
def test_nothing_is_kept_by_anybody_unless_the_program_says_so():
    said = text(spec(), "edge/envoy/us-east.yaml")
    assert "cache-control" in said and "no-store" in said and "ADD_IF_ABSENT" in said
    assert "SimpleHttpCacheConfig" in said
    assert "SimpleHttpCacheConfig" not in text(
        spec("resilience: {cdn: false}"), "edge/envoy/us-east.yaml"
    )


@pytest.mark.req("T112", "T118")
def test_programs_inside_know_every_region_by_its_place(reference):
    entry = the(reference, "ServiceEntry")["spec"]
    assert {e["locality"]: e["address"] for e in entry["endpoints"]} == {
        region.cloud: names.regional_host(reference, region) for region in reference.regions
    }
    rule = the(reference, "DestinationRule", "trading-engine-regions")["spec"]
    assert rule["host"] in entry["hosts"] and "outlierDetection" in rule["trafficPolicy"]
