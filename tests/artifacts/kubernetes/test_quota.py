"""The quota leaves room for what is really there: sidecars of the mesh, doors of data services."""

from __future__ import annotations

import pytest
from kube_objects import objects, spec, the

from holdfast.artifacts.catalog import render

GIB = 2**30
SIZES = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": GIB}
MESHES = ["istio", "none"]


def number(quantity):
    for suffix, size in SIZES.items():
        if quantity.endswith(suffix):
            return float(quantity.removesuffix(suffix)) * size
    return float(quantity)


@pytest.mark.req("T51")
@pytest.mark.parametrize("resources", ["{requests: {cpu: 2, memory: 4GiB}}",
                                       "{requests: {cpu: 2, memory: 4GiB}, "
                                       "limits: {cpu: 2, memory: 4GiB}}"])  # fmt: skip
def test_the_largest_fleet_fits_with_the_proxies_that_the_mesh_puts_beside_it(resources):
    service = spec(f"resources: {resources}")
    hard = the(service, "ResourceQuota", "shop-pods")["spec"]["hard"]
    said = the(service, "Deployment", "shop")["spec"]["template"]["metadata"]["annotations"]
    usual = objects(service, "IstioOperator")[0]["spec"]["values"]["global"]["proxy"]["resources"]
    for side, end in (("requests", ""), ("limits", "Limit")):
        for name in ("cpu", "memory"):
            word = {"cpu": "CPU", "memory": "Memory"}[name]
            told = said.get(f"sidecar.istio.io/proxy{word}{end}", usual[side][name])
            own = getattr(getattr(service.resources, side), name)
            needed = int(hard["pods"]) * (own + number(told))
            assert number(hard[f"{side}.{name}"]) == pytest.approx(needed)


@pytest.mark.req("T11", "T51")
def test_a_proxy_never_costs_an_instance_its_guaranteed_cores():
    even = spec("resources: {requests: {cpu: 4, memory: 8GiB}, limits: {cpu: 4, memory: 8GiB}}")
    said = the(even, "Deployment", "shop")["spec"]["template"]["metadata"]["annotations"]
    for what in ("CPU", "Memory"):
        prefix = f"sidecar.istio.io/proxy{what}"
        assert said[prefix] == said[f"{prefix}Limit"]
    said = the(spec(""), "Deployment", "shop")["spec"]["template"]["metadata"]["annotations"]
    assert "sidecar.istio.io/proxyCPU" not in said


@pytest.mark.req("T51", "T115")
def test_the_quota_lets_in_each_load_balancer_that_the_set_asks_for(service):
    """CloudNativePG and Strimzi make Services in the namespace of the service."""
    rendered = render(service)
    wanted = len([g for g in objects(rendered, "Gateway") if "gatewayClassName" in g["spec"]])
    clusters = objects(rendered, "Cluster")
    managed = [each["spec"].get("managed", {}).get("services", {}) for each in clusters]
    wanted += max((len(each.get("additional", ())) for each in managed), default=0)
    for queue in objects(rendered, "Kafka")[:1]:
        doors = [e for e in queue["spec"]["kafka"]["listeners"] if e["type"] == "loadbalancer"]
        wanted += sum(1 + len(each["configuration"]["brokers"]) for each in doors)
    hard = the(rendered, "ResourceQuota", f"{service.service}-objects")["spec"]["hard"]
    assert int(hard["services.loadbalancers"]) == wanted
    assert int(hard["services.nodeports"]) >= wanted
