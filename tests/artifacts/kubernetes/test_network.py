"""Network policies: only the needed flows, and the same ones in all three flavours."""

from __future__ import annotations

import pytest
import upstream
from kube_objects import rendered, spec
from net_world import Host, Pod, lets_through

from holdfast.artifacts import names

FLAVOURS = ("plain", "calico", "cilium")
_KINDS = ("NetworkPolicy", "CiliumNetworkPolicy")


def policies(service):
    return [
        each
        for file in rendered(service)
        if file.path.endswith("networkpolicies.yaml")
        for each in file.artifact.objects()
    ]


def shop(flavour, more=""):
    calls = "callers: [checkout], calls: [{to: 203.0.113.0/24, port: 8443}]"
    return spec(f"kubernetes: {{network: {flavour}, {calls}{more}}}")


def own(service, **labels):
    return Pod(names.namespace(service), {**names.labels(service, "service"), **labels})


def in_namespace(service, **labels):
    return Pod(names.namespace(service), {k.replace("__", "/"): v for k, v in labels.items()})


GATEWAY = {"gateway.networking.k8s.io/gateway-name": "shop"}
#: Labels of CloudNativePG 1.30 (pkg/specs: pods, jobs).
DATABASE = {
    "cnpg.io/cluster": "shop-db", "cnpg.io/podRole": "instance",
    "app.kubernetes.io/component": "database",
}  # fmt: skip
JOINING = {
    "cnpg.io/cluster": "shop-db", "cnpg.io/jobRole": "join",
    "app.kubernetes.io/component": "database",
}  # fmt: skip
SCRATCH = {**JOINING, "cnpg.io/cluster": "shop-db-check", "cnpg.io/jobRole": "full-recovery"}
CHECK = names.beside(spec(""), "restore-check")
BROKER = {"strimzi.io/cluster": "shop-queue"}
MIRROR = {"strimzi.io/cluster": "shop-mirror"}
AGENT, ABROAD = Host("169.254.170.23"), Host("10.20.4.7")
PROMETHEUS = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"})
ISTIOD = Pod("istio-system", {"app": "istiod"})
STRANGER = Pod("other", {"app": "stranger"})
#: Sender, taker, port, and whether they may. ``own`` is an instance of the service.
FLOWS = {
    "the gateway calls an instance": (GATEWAY, "own", 8080, True),
    "the gateway calls another port": (GATEWAY, "own", 9999, False),
    "the world calls the gateway": (Host("198.51.100.7"), GATEWAY, 443, True),
    "the world calls an instance": (Host("198.51.100.7"), "own", 8080, False),
    "the world calls the database": (Host("198.51.100.7"), DATABASE, 5432, False),
    "a named caller calls": (Pod("checkout", {}), "own", 8080, True),
    "a stranger calls": (STRANGER, "own", 8080, False),
    "a stranger calls the database": (STRANGER, DATABASE, 5432, False),
    "a stranger in the namespace calls": ({"app": "stranger"}, "own", 8080, False),
    "a stranger in the namespace calls out": ({"app": "stranger"}, Host("203.0.113.5"), 443, False),
    "an instance calls the database": ("own", DATABASE, 5432, True),
    "an instance calls the database's status": ("own", DATABASE, 8000, False),
    "an instance calls a peer": ("own", "own", 8080, True),
    "an instance calls a stranger": ("own", STRANGER, 80, False),
    "an instance calls what it may": ("own", Host("203.0.113.5"), 8443, True),
    "an instance calls cloud storage": ("own", Host("52.216.0.1"), 443, True),
    "an instance calls the world": ("own", Host("52.216.0.1"), 80, False),
    "an instance asks for credentials of its node": ("own", Host("169.254.169.254"), 443, False),
    "the scraper reads the sidecar": (PROMETHEUS, "own", 15020, True),
    "the scraper passes the sidecar": (PROMETHEUS, "own", 22, False),
    "an instance sends spans": ("own", Pod("tracing", {"app": "any"}), 4317, True),
    "an instance asks the mesh": ("own", ISTIOD, 15012, True),
    "a copy follows the database": (DATABASE, DATABASE, 5432, True),
    "the database's operator looks": (Pod("cnpg-system", {}), DATABASE, 8000, True),
    "the database's operator calls an instance": (Pod("cnpg-system", {}), "own", 8080, False),
    "the database copies to cloud storage": (DATABASE, Host("52.216.0.1"), 443, True),
    "the database calls an instance": (DATABASE, "own", 8080, False),
    "a new copy reads the database": (JOINING, DATABASE, 5432, True),
    "a new copy reads the archive": (JOINING, Host("52.216.0.1"), 443, True),
    "the database asks who it is in the cloud": (DATABASE, AGENT, 80, True),
    "an instance asks who it is in the cloud": ("own", AGENT, 80, True),
    "a stranger asks who it is in the cloud": ({"app": "stranger"}, AGENT, 80, False),
    "the database follows that of another region": (DATABASE, ABROAD, 5432, True),
    "another region follows the database": (ABROAD, DATABASE, 5432, True),
    "another region asks the database's status": (ABROAD, DATABASE, 8000, False),
    "the scratch database reads the archive": (SCRATCH, Host("52.216.0.1"), 443, True),
    "the scratch database reads the live one": (SCRATCH, DATABASE, 5432, False),
    "the check looks into the scratch database": (CHECK, SCRATCH, 5432, True),
    "the check asks the live database": (CHECK, DATABASE, 5432, True),
    "an instance calls the scratch database": ("own", SCRATCH, 5432, False),
    "the operator looks at the scratch database": (Pod("cnpg-system", {}), SCRATCH, 8000, True),
    "the mirror reads another region": (MIRROR, ABROAD, 9094, True),
    "another region's mirror reads here": (ABROAD, BROKER, 9094, True),
    "another region passes the brokers' door": (ABROAD, BROKER, 9093, False),
    "the mirror writes here": (MIRROR, BROKER, 9093, True),
    "the mirror calls an instance": (MIRROR, "own", 8080, False),
}  # fmt: skip


def end(service, given):
    if given == "own":
        return own(service)
    return Pod(names.namespace(service), given) if isinstance(given, dict) else given


@pytest.mark.req("T33", "T57")
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("flow", FLOWS)
def test_only_the_needed_flows_are_let_through(flavour, flow):
    service = shop(flavour)
    sender, taker, port, wanted = FLOWS[flow]
    got = lets_through(policies(service), end(service, sender), end(service, taker), port)
    assert got is wanted


@pytest.mark.req("T33", "T57")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_pod_that_nobody_named_may_neither_take_nor_send(flavour):
    service = shop(flavour)
    unknown = Pod("shop", {"app": "new"})
    for other in (own(service), STRANGER, Host("198.51.100.7"), Pod("shop", DATABASE)):
        for port in (80, 443, 5432, 8080):
            assert not lets_through(policies(service), unknown, other, port)
            assert not lets_through(policies(service), other, unknown, port)


@pytest.mark.req("T57")
@pytest.mark.parametrize(
    ("ingress", "namespace"), [("nginx", "ingress-nginx"), ("traefik", "traefik")]
)
def test_another_door_is_the_only_door(ingress, namespace):
    service = shop("plain", f", ingress: {ingress}, mesh: none")
    assert lets_through(policies(service), Pod(namespace, {}), own(service), 8080)
    gateway = Pod("shop", GATEWAY)
    assert not lets_through(policies(service), gateway, own(service), 8080)
    assert lets_through(policies(service), PROMETHEUS, own(service), 8080)
    assert not lets_through(policies(service), own(service), ISTIOD, 15012)


@pytest.mark.req("T57", "T125")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_nightly_check_and_its_scratch_database_may_ask_the_api_server(flavour):
    asked = {"plain": "10.10.0.0/16", "calico": "kubernetes", "cilium": "kube-apiserver"}[flavour]
    for name in ("shop-restore-check", "shop-db-check", "shop-db"):
        (policy,) = [p for p in policies(shop(flavour)) if p["metadata"]["name"] == name]
        assert asked in str(policy["spec"]["egress"]), name


@pytest.mark.req("T33")
def test_every_flavour_is_accepted_by_its_upstream(service):
    for flavour in FLAVOURS:
        given = service.kubernetes.model_copy(update={"network": flavour})
        changed = service.model_copy(update={"kubernetes": given})
        upstream.assert_accepted(rendered(changed), "kubernetes/base/networkpolicies.yaml")


@pytest.mark.req("T57")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_database_over_regions_is_reached_from_them_and_from_nowhere_else(flavour):
    service = spec(f"kubernetes: {{network: {flavour}}}\nresilience: {{database: cockroach}}")
    node = Pod("shop", {"app.kubernetes.io/name": "cockroachdb"})
    for region in service.regions:
        other = Host(region.cidr.replace(".0.0/16", ".4.7"))
        assert lets_through(policies(service), other, node, 26257)
        assert lets_through(policies(service), node, other, 26257)
        assert not lets_through(policies(service), other, node, 8080)
    assert not lets_through(policies(service), Host("198.51.100.7"), node, 26257)


@pytest.mark.req("T57")
def test_data_services_that_are_not_there_have_no_policies():
    none = "{database: none, cache: none, queue: none, objects: none}"
    service = spec(f"resilience: {none}")
    found = {each["metadata"]["name"] for each in policies(service)}
    assert found == {"shop-default-deny", "shop-dns", "shop", "shop-calls", "shop-gateway"}
    assert not lets_through(policies(service), own(service), Host("52.216.0.1"), 443)
