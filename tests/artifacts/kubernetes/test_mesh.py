"""Istio: mutual TLS always, named callers only, and traffic by the quantities of the spec."""

from __future__ import annotations

import pytest
import upstream
from kube_objects import objects, rendered, spec, the

from holdfast.artifacts import names

MESHED = ("PeerAuthentication", "AuthorizationPolicy", "DestinationRule", "VirtualService",
          "Sidecar", "Telemetry")  # fmt: skip
RING = {"minimumRingSize": 1024}
FAMOUS = {"connect-failure", "refused-stream", "reset-before-request"}


def own(service, kind):
    return the(service, kind, service.service)["spec"]


def http(text):
    (route,) = own(spec(text), "VirtualService")["http"]
    return route


@pytest.mark.req("T41", "T42", "T43", "T44")
def test_the_mesh_is_what_istio_accepts_and_is_there_exactly_when_it_is_wanted(service):
    bundle = rendered(service)
    upstream.assert_accepted(bundle, "kubernetes/")
    meshed = service.kubernetes.mesh == "istio"
    for kind in MESHED:
        assert bool(objects(bundle, kind)) is meshed, kind


@pytest.mark.req("T41")
def test_every_region_has_an_installation_that_survives_the_loss_of_one_control_plane(reference):
    found = objects(reference, "IstioOperator")
    clusters = [o["spec"]["values"]["global"]["multiCluster"]["clusterName"] for o in found]
    assert set(clusters) == {names.cluster(reference, region) for region in reference.regions}
    for each in found:
        pilot = each["spec"]["components"]["pilot"]["k8s"]
        assert pilot["replicaCount"] > pilot["podDisruptionBudget"]["minAvailable"] >= 1
        assert each["spec"]["components"]["cni"]["enabled"]  # restricted pods may not redirect


@pytest.mark.req("T41")
def test_data_services_and_placeholders_get_no_sidecar(reference):
    install = objects(reference, "IstioOperator")[0]["spec"]["values"]
    never = [e for s in install["sidecarInjectorWebhook"]["neverInjectSelector"]
             for e in s["matchExpressions"]]  # fmt: skip
    labelled = {"cnpg.io/cluster": "x", "strimzi.io/cluster": "x", "redis_setup_type": "x"}
    for key in labelled:
        assert any(e["key"] == key and e["operator"] == "Exists" for e in never), key
    headroom = the(reference, "Deployment", "trading-engine-headroom")["spec"]["template"]
    serving = the(reference, "Deployment", "trading-engine")["spec"]["template"]
    for template, left_out in ((headroom, True), (serving, False)):
        labels = template["metadata"]["labels"]
        hit = any(labels.get(e["key"]) in e.get("values", ()) for e in never)
        assert hit is left_out
        assert not any(e["key"] in labels and e["operator"] == "Exists" for e in never)


@pytest.mark.req("T42")
def test_nobody_speaks_without_mutual_tls(reference):
    for each in objects(reference, "PeerAuthentication"):
        assert each["spec"]["mtls"] == {"mode": "STRICT"} and "portLevelMtls" not in each["spec"]
    places = {each["metadata"]["namespace"] for each in objects(reference, "PeerAuthentication")}
    assert places == {"istio-system", "trading-engine"}
    assert own(reference, "DestinationRule")["trafficPolicy"]["tls"] == {"mode": "ISTIO_MUTUAL"}
    mesh = objects(reference, "IstioOperator")[0]["spec"]["meshConfig"]
    assert mesh["meshMTLS"]["minProtocolVersion"] == "TLSV1_3"


@pytest.mark.req("T42", "T57")
def test_only_the_door_peers_and_named_callers_may_call():
    service = spec("kubernetes: {callers: [checkout], namespace: front}")
    found = own(service, "AuthorizationPolicy")
    (rule,) = found["rules"]
    principals = rule["from"][0]["source"]["principals"]
    assert principals == [
        "cluster.local/ns/front/sa/shop", "cluster.local/ns/front/sa/shop-istio"
    ]  # fmt: skip
    assert rule["from"][1]["source"] == {"namespaces": ["checkout"]}
    assert rule["to"] == [{"operation": {"ports": ["8080"]}}]
    assert not any("*" in each for each in principals)
    assert the(service, "AuthorizationPolicy", "shop-nobody")["spec"] == {}


@pytest.mark.req("T42")
def test_another_door_calls_with_its_own_certificate_through_its_proxy():
    service = spec("kubernetes: {ingress: nginx}")
    (rule,) = own(service, "AuthorizationPolicy")["rules"]
    assert "cluster.local/ns/ingress-nginx/sa/ingress-nginx" in rule["from"][0]["source"][
        "principals"]  # fmt: skip
    annotations = the(service, "Ingress")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/service-upstream"] == "true"
    plain = the(spec("kubernetes: {ingress: nginx, mesh: none}"), "Ingress")["metadata"]
    assert "nginx.ingress.kubernetes.io/service-upstream" not in plain["annotations"]


@pytest.mark.req("T43")
def test_breakers_and_ejection_are_those_of_the_spec():
    breaker = "{max_connections: 11, max_pending: 12, max_requests: 13, max_retries: 14}"
    outlier = "{consecutive_5xx: 7, eject: 9s, max_ejected: 40}"
    text = f"traffic: {{breaker: {breaker}, outlier: {outlier}}}"
    policy = own(spec(text), "DestinationRule")["trafficPolicy"]
    pool, found = policy["connectionPool"], policy["outlierDetection"]
    assert pool["tcp"]["maxConnections"] == 11
    assert pool["http"] == {
        "http1MaxPendingRequests": 12, "http2MaxRequests": 13, "maxRetries": 14
    }  # fmt: skip
    assert (found["consecutive5xxErrors"], found["baseEjectionTime"]) == (7, "9s")
    assert (found["maxEjectionPercent"], found["minHealthPercent"]) == (40, 0)


@pytest.mark.req("T43")
@pytest.mark.parametrize(
    ("text", "more", "attempts", "try_for"),
    [
        ("traffic: {retries: 2, try_timeout: 1s}", set(), 2, None),
        ("traffic: {idempotent: true, retries: 3, try_timeout: 1s}", {"reset", "5xx"}, 3, "1s"),
        ("traffic: {idempotent: true, protocol: grpc}", {"reset", "unavailable"}, 2, None),
    ],
)
def test_only_what_surely_was_not_worked_on_is_asked_twice(text, more, attempts, try_for):
    retries = http(text)["retries"]
    assert set(retries["retryOn"].split(",")) == FAMOUS | more
    assert retries["attempts"] == attempts
    assert retries.get("perTryTimeout") == try_for


@pytest.mark.req("T43")
def test_no_retries_and_the_time_limit_are_said_aloud():
    assert http("traffic: {retries: 0}")["retries"] == {"attempts": 0}
    assert http("traffic: {timeout: 3s}")["timeout"] == "3s"


@pytest.mark.req("T45")
def test_the_engine_finds_the_route_whose_weights_it_writes(reference):
    (route,) = own(reference, "VirtualService")["http"]
    assert route["name"] == "release" and [r["weight"] for r in route["route"]] == [100]
    role = the(reference, "Role", "trading-engine-deployer")["rules"]
    (rule,) = [r for r in role if "virtualservices" in r["resources"]]
    assert "patch" in rule["verbs"]


@pytest.mark.req("T44")
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("traffic: {balance: least-request}", {"simple": "LEAST_REQUEST"}),
        ("traffic: {balance: round-robin}", {"simple": "ROUND_ROBIN"}),
        ("traffic: {balance: ring-hash, hash_header: x-account}",
         {"consistentHash": {"httpHeaderName": "x-account", "ringHash": RING}}),
    ],
)  # fmt: skip
def test_the_balance_is_the_specs_and_near_instances_come_first(text, wanted):
    found = own(spec(text), "DestinationRule")["trafficPolicy"]["loadBalancer"]
    near = found.pop("localityLbSetting", None)
    assert found == wanted
    if "simple" in wanted:
        assert near["failoverPriority"][0].endswith("/region")


@pytest.mark.req("T43")
@pytest.mark.parametrize("protocol", ["http1", "http2", "grpc", "tcp"])
def test_every_protocol_is_accepted(protocol):
    service = spec(f"traffic: {{protocol: {protocol}}}")
    upstream.assert_accepted(rendered(service), "kubernetes/")
    kind = "tcp" if protocol == "tcp" else "http"
    assert own(service, "VirtualService")[kind]
