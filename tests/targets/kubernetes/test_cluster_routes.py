"""How traffic is shared between releases: what is written, what is read, and when it counts."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rollout.model import Release
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle
from holdfast.targets.kubernetes import drift, marks, routes, wanted
from holdfast.targets.kubernetes.routes import Stamp, way_of

STEERS = ("gateway", "istio", "service")


def spec(steer="gateway", protocol="http1"):
    return Service.model_validate({
        "service": "shop", "run": "serve", "image": "registry.test/shop",
        "kubernetes": {"steer": steer}, "traffic": {"protocol": protocol},
    })  # fmt: skip


def routed(steer, *weights, before=()):
    return routes.route(spec(steer), weights, Stamp(7, before))


def accepted(found, generation, status="True", reason="Accepted"):
    said = [
        {"type": kind, "status": status, "reason": reason, "observedGeneration": generation}
        for kind in ("Accepted", "ResolvedRefs")
    ]
    return {**found, "status": {"parents": [{"conditions": said}]}}


def stored(found, generation=3):
    found = copy.deepcopy(found)
    found["metadata"]["generation"] = generation
    return found


@pytest.mark.parametrize("steer", ["gateway", "istio"])
@given(share=st.integers(1, 99))
def test_weights_are_read_as_they_were_written(steer, share):
    found = routed(steer, ("v1", 100 - share), ("v2", share))
    expected = {marks.hashed("v1"): 100 - share, marks.hashed("v2"): share}
    assert routes.shares(way_of(spec(steer)), found) == expected
    assert drift.of_route(found, expected) is None


@pytest.mark.parametrize("steer", STEERS)
def test_one_release_alone_has_all_and_a_release_without_weight_is_not_named(steer):
    found = routed(steer, ("v1", 0), ("v2", 100))
    assert routes.shares(way_of(spec(steer)), found) == {marks.hashed("v2"): 100}
    assert marks.read(found, marks.WEIGHTS) == (("v2", 100),)


def test_weights_of_other_totals_are_read_as_percent():
    found = routed("gateway", ("v1", 50), ("v2", 50))
    for backend in found["spec"]["rules"][0]["backendRefs"]:
        backend["weight"] = 1
    assert set(routes.shares(way_of(spec()), found).values()) == {50}


def test_a_weight_counts_only_when_its_own_generation_is_accepted():
    way, found = way_of(spec()), stored(routed("gateway", ("v1", 100)))
    assert not routes.programmed(way, found, (), frozenset())
    assert not routes.programmed(way, accepted(found, 2), (), frozenset())
    assert not routes.programmed(way, accepted(found, 3, "False"), (), frozenset())
    assert routes.programmed(way, accepted(found, 3), (), frozenset())


def test_a_weight_counts_only_when_every_parent_accepted_it():
    found = stored(routed("gateway", ("v1", 100)))
    found["spec"]["parentRefs"] = [{"name": "a"}, {"name": "b"}]
    assert not routes.programmed(way_of(spec()), accepted(found, 3), (), frozenset())


def test_a_gateway_that_says_no_is_quoted():
    found = accepted(stored(routed("gateway", ("v1", 100))), 3, "False", "NoMatchingParent")
    assert "NoMatchingParent" in routes.refusal(way_of(spec()), found)
    assert routes.refusal(way_of(spec()), accepted(found, 2, "False")) is None


def test_istio_counts_what_is_stored_unless_it_says_that_it_is_not_reconciled():
    way, found = way_of(spec("istio")), stored(routed("istio", ("v1", 100)))
    assert routes.programmed(way, found, (), frozenset())
    late = {"observedGeneration": 2, "conditions": [{"type": "Reconciled", "status": "True"}]}
    assert not routes.programmed(way, {**found, "status": late}, (), frozenset())


def test_a_selector_counts_once_nobody_else_is_behind_the_service():
    way = way_of(spec("service"))
    found = stored(routed("service", ("v2", 100)))
    old = f"{marks.object_name('shop', 'v1')}-rs-1"
    new = f"{marks.object_name('shop', 'v2')}-rs-2"

    def behind(*pods):
        listed = [{"targetRef": {"kind": "Pod", "name": name}} for name in pods]
        place = {"labels": {"kubernetes.io/service-name": "shop"}}
        return [{"metadata": place, "endpoints": listed}]

    assert not routes.programmed(way, found, behind(old, new), frozenset())
    assert not routes.programmed(way, found, behind(), frozenset())
    assert routes.programmed(way, found, behind(old, new), frozenset({old}))
    assert routes.programmed(way, found, behind(new), frozenset())


def test_weights_that_people_edited_are_drift_with_both_shares():
    found = routed("gateway", ("v1", 90), ("v2", 10))
    found["spec"]["rules"][0]["backendRefs"][1]["weight"] = 90
    found["spec"]["rules"][0]["backendRefs"][0]["weight"] = 10
    found["metadata"]["managedFields"] = [
        {"manager": "kubectl-edit", "operation": "Update", "time": "2026-11-25T12:00:00Z",
         "fieldsV1": {"f:spec": {"f:rules": {}}}}
    ]  # fmt: skip
    said = drift.of_route(found, routes.shares(way_of(spec()), found))
    assert "kubectl-edit" in said and "HTTPRoute shop" in said and "90 %" in said


def test_a_route_that_was_rendered_and_never_written_to_is_ours_to_take():
    found = wanted.gateway_route(spec())
    assert drift.of_route(found, routes.shares(way_of(spec()), found)) is None


def test_grpc_goes_by_a_grpc_route():
    assert way_of(spec(protocol="grpc")).kind.name == "GRPCRoute"
    found = routes.route(spec(protocol="grpc"), (("v1", 100),), Stamp(1, ()))
    assert found["kind"] == "GRPCRoute"


# ---- objects of a release


def bundle(version="v2"):
    return Bundle(Release(f"{version}-1234", "0" * 64, version), spec())


def test_a_release_has_a_deployment_of_its_own_that_chooses_only_its_own_pods():
    made = wanted.deployment(bundle(), 3, 7)
    other = wanted.deployment(bundle("v3"), 3, 7)
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert made["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert not other["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert made["metadata"]["name"] != other["metadata"]["name"]
    assert (made["spec"]["replicas"], marks.size_of(made), marks.generation_of(made)) == (3, 3, 7)
    assert marks.release_of(made) == "v2-1234"


def test_the_service_of_a_release_chooses_its_pods_and_no_others():
    address, pods = wanted.address(bundle()), wanted.deployment(bundle(), 1, 1)["spec"]["template"]
    others = wanted.deployment(bundle("v3"), 1, 1)["spec"]["template"]
    chosen = address["spec"]["selector"].items()
    assert chosen <= pods["metadata"]["labels"].items()
    assert not chosen <= others["metadata"]["labels"].items()


def test_in_istios_hands_users_stay_with_their_instance_of_a_release_as_the_spec_says():
    given = {"service": "shop", "run": "serve", "kubernetes": {"steer": "istio"},
             "traffic": {"balance": "ring-hash", "hash_header": "x-user"}}  # fmt: skip
    made = Bundle(Release("v2", "0" * 64, "v2"), Service.model_validate(given))
    address, calls = wanted.address_parts(made)
    assert calls["spec"]["host"].startswith(address["metadata"]["name"] + ".")
    balance = calls["spec"]["trafficPolicy"]["loadBalancer"]
    assert balance["consistentHash"]["httpHeaderName"] == "x-user"
    assert len(wanted.address_parts(bundle())) == 1


def test_instances_are_told_the_version_they_were_deployed_under():
    made = wanted.deployment(bundle(), 1, 1)
    told = made["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "HOLDFAST_VERSION", "value": "v2"} in told


@given(st.text(min_size=1, max_size=200))
def test_a_release_of_any_name_has_valid_names_in_the_cluster(release):
    assert marks.object_name("shop", release).removeprefix("shop-").isalnum()
    assert len(marks.object_name("s" * 46, release)) <= 63
