"""Where Flagger owns the routes nothing of the base fights it, and nothing of the base is lost."""

from __future__ import annotations

import json

import pytest
import upstream
from delivered import artifact, spec, the
from delivered import rendered as delivery_of
from kustomizing import build

from holdfast.artifacts.catalog import render
from holdfast.artifacts.gitops import arranged
from holdfast.spec.problem import Invalid

CANARY = "rollout: {strategy: canary}\n"
DOORS = ["mesh: istio, ingress: gateway", "mesh: none, ingress: gateway",
         "mesh: istio, ingress: nginx", "mesh: none, ingress: traefik"]  # fmt: skip
#: What Flagger v1.44 makes under the name of the service (pkg/router).
ITS_OWN = ("Service", "VirtualService", "DestinationRule", "HTTPRoute", "GRPCRoute",
           "TraefikService")  # fmt: skip


def built(service, folder):
    """What kustomize makes of a directory of the whole set."""
    for file in render(service):
        to = folder / file.path
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(file.data)
    region = service.regions[0].name
    whole_set = ("--load-restrictor", "LoadRestrictionsRootOnly")
    return build(folder / "delivery/flagger/overlays" / region, *whole_set)


@pytest.mark.req("T72", "T73")
@pytest.mark.parametrize("door", DOORS)
def test_the_overlay_builds_without_what_flagger_makes_itself(door, tmp_path):
    service = spec(f"{CANARY}kubernetes: {{{door}}}")
    found = built(service, tmp_path)
    names = {(each["kind"], each["metadata"]["name"]) for each in found}
    assert not {(kind, "shop") for kind in ITS_OWN} & names
    for kind in ("Canary", "Deployment", "NetworkPolicy", "PodDisruptionBudget"):
        assert (kind, "shop") in names, f"{kind} is lost"
    if "gateway" in door:
        assert ("HTTPRoute", "shop-redirect") in names, "plain HTTP is no longer sent to HTTPS"


@pytest.mark.req("T72")
def test_both_fleets_are_chosen_by_budgets_policies_and_monitors(tmp_path):
    """Flagger gives the serving fleet another value of the label that it is told of."""
    service = spec(f"{CANARY}delivery: {{flagger: true}}")
    found = {(each["kind"], each["metadata"]["name"]): each for each in built(service, tmp_path)}
    deployment = found["Deployment", "shop"]["spec"]
    label = artifact(service, "helm/flagger.yaml").body["selectorLabels"]
    assert deployment["selector"]["matchLabels"][label] == "shop"
    labels = deployment["template"]["metadata"]["labels"]
    assert labels[label] == "shop"
    serving = {**labels, label: "shop-primary"}
    chosen = {
        "PodDisruptionBudget": found["PodDisruptionBudget", "shop"]["spec"]["selector"],
        "NetworkPolicy": found["NetworkPolicy", "shop"]["spec"]["podSelector"],
        "AuthorizationPolicy": found["AuthorizationPolicy", "shop"]["spec"]["selector"],
    }
    for kind, selector in chosen.items():
        assert selector["matchLabels"].items() <= serving.items(), kind


@pytest.mark.req("T43", "T72")
@pytest.mark.parametrize("door", DOORS)
def test_breakers_and_ejection_hold_for_both_fleets_in_the_mesh(door):
    service = spec(f"{CANARY}kubernetes: {{{door}}}\ntraffic: {{breaker: {{max_pending: 77}}}}")
    files = [file for file in delivery_of(service) if "/flagger/" in file.path]
    policies = [
        each["spec"]["trafficPolicy"]
        for file in files
        for each in file.artifact.objects()
        if each["kind"] == "DestinationRule"
    ]
    said = the(service, "Canary")["spec"]["service"].get("trafficPolicy")
    policies += [said, said] if said else []
    assert len(policies) == (2 if "istio" in door else 0)
    for each in policies:
        assert each["connectionPool"]["http"]["http1MaxPendingRequests"] == 77


@pytest.mark.req("T35", "T72")
def test_in_the_mesh_one_route_serves_the_door_and_the_callers_inside():
    service = spec(CANARY)
    upstream.assert_accepted(delivery_of(service), "delivery/flagger/")
    canary = the(service, "Canary")["spec"]
    assert canary["provider"] == "gatewayapi:v1"
    parents = {each["kind"]: each for each in canary["service"]["gatewayRefs"]}
    assert parents["Gateway"]["sectionName"] == "https"
    assert parents["Service"]["port"] == service.traffic.port


@pytest.mark.req("T62", "T72")
@pytest.mark.parametrize(("wanted", "folder"), [(True, "delivery/flagger/overlays"),
                                                (False, "kubernetes/overlays")])  # fmt: skip
def test_argo_cd_syncs_the_overlay_of_whoever_does_the_rollouts(wanted, folder):
    service = spec(f"{CANARY}delivery: {{flagger: {json.dumps(wanted)}}}")
    sets = the(service, "ApplicationSet", "shop")["spec"]["generators"][0]["list"]["elements"]
    assert {each["path"] for each in sets} == {
        f"out/{folder}/{region.name}" for region in service.regions
    }
    apps = [a for a in arranged((f.artifact for f in render(service)), service) if
            a.path.startswith("apps/")]  # fmt: skip
    assert {each.body["resources"][0].rpartition("/")[0] for each in apps} == {f"../../{folder}"}


@pytest.mark.req("T72")
@pytest.mark.parametrize(
    "wrong",
    ["rollout: rolling", f"{CANARY}kubernetes: {{workload: stateful}}",
     f"{CANARY}traffic: {{protocol: tcp}}"],
)  # fmt: skip
def test_a_service_that_flagger_cannot_roll_out_is_refused(wrong):
    with pytest.raises(Invalid) as refused:
        spec(f"{wrong}\ndelivery: {{flagger: true}}")
    assert "delivery.flagger" in str(refused.value)
