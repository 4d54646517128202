"""Who lets traffic in: three ways, one name, one certificate, the same port."""

from __future__ import annotations

import pytest
import upstream
from kube_objects import objects, rendered, spec, the

from holdfast.spec.load import Invalid

WAYS = ("gateway", "nginx", "traefik")


def shop(way, more=""):
    return spec(f"kubernetes: {{ingress: {way}, host: shop.example.org}}\n{more}")


@pytest.mark.req("T35")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("protocol", ["http1", "http2", "grpc", "tcp"])
def test_each_way_in_is_accepted_for_each_protocol(way, protocol):
    if (way, protocol) == ("nginx", "tcp"):
        with pytest.raises(Invalid, match="ingress"):
            shop(way, "traffic: {protocol: tcp}")
        return
    given = shop(way, f"traffic: {{protocol: {protocol}, port: 9000, balance: round-robin}}")
    upstream.assert_accepted(rendered(given), "kubernetes/")
    said = "".join(f.data.decode() for f in rendered(given))
    assert "shop.example.org" in said and "shop-tls" in said


@pytest.mark.req("T35")
def test_the_gateway_opens_only_the_service_s_own_name_and_sends_plain_http_to_https():
    given = shop("gateway", "traffic: {timeout: 10s, try_timeout: 2s}")
    gateway = the(given, "Gateway")
    assert {each["hostname"] for each in gateway["spec"]["listeners"]} == {"shop.example.org"}
    route = the(given, "HTTPRoute", "shop")["spec"]
    (rule,) = route["rules"]
    assert rule["backendRefs"] == [{"name": "shop", "port": 8080}]
    assert rule["timeouts"] == {"request": "10s", "backendRequest": "2s"}
    redirect = the(given, "HTTPRoute", "shop-redirect")["spec"]["rules"][0]["filters"][0]
    assert redirect["requestRedirect"] == {"scheme": "https", "statusCode": 301}
    sections = {listener["name"] for listener in gateway["spec"]["listeners"]}
    for each in objects(given, "HTTPRoute"):
        assert each["spec"]["parentRefs"][0]["sectionName"] in sections


@pytest.mark.req("T35", "T43")
def test_nginx_repeats_only_what_surely_was_not_worked_on():
    prefix = "nginx.ingress.kubernetes.io/"
    careful = the(shop("nginx"), "Ingress")["metadata"]["annotations"]
    free = the(shop("nginx", "traffic: {idempotent: true, retries: 3}"), "Ingress")
    assert "non_idempotent" not in careful[prefix + "proxy-next-upstream"]
    said = free["metadata"]["annotations"]
    assert "non_idempotent" in said[prefix + "proxy-next-upstream"]
    assert said[prefix + "proxy-next-upstream-tries"] == "4"


@pytest.mark.req("T35", "T43")
def test_every_middleware_that_a_traefik_route_names_exists():
    given = shop("traefik", "traffic: {breaker: {max_requests: 77}}")
    exists = {each["metadata"]["name"]: each["spec"] for each in objects(given, "Middleware")}
    used = {
        middleware["name"]
        for route in objects(given, "IngressRoute")
        for rule in route["spec"]["routes"]
        for middleware in rule["middlewares"]
    }
    assert used == set(exists)
    assert exists["shop-limit"]["inFlightReq"] == {"amount": 77}
    (backend,) = the(given, "IngressRoute", "shop")["spec"]["routes"][0]["services"]
    assert backend["serversTransport"] == the(given, "ServersTransport")["metadata"]["name"]


@pytest.mark.req("T35")
def test_only_the_way_that_was_chosen_is_rendered(service):
    kinds = {"gateway": "Gateway", "nginx": "Ingress", "traefik": "IngressRoute"}
    for way, kind in kinds.items():
        assert bool(objects(service, kind)) is (way == service.kubernetes.ingress)


def test_a_header_name_cannot_leave_its_nginx_variable():
    given = shop("nginx", "traffic: {balance: ring-hash}")
    traffic = given.traffic.model_copy(update={"hash_header": "x-user; return 500 'x"})
    said = the(given.model_copy(update={"traffic": traffic}), "Ingress")["metadata"]["annotations"]
    assert said["nginx.ingress.kubernetes.io/upstream-hash-by"].removeprefix("$").isidentifier()
