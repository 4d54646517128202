"""Network cards and GPUs: what asks for a device and what offers it say the same names."""

from __future__ import annotations

import json

import pytest
import upstream
from kube_objects import container, objects, rendered, spec, the

NETWORKS = "k8s.v1.cni.cncf.io/networks"


def direct(more=""):
    return spec(f"kubernetes: {{sriov: {{functions: 4, card: ens1f0, vlan: 12{more}}}}}")


@pytest.mark.req("T13")
def test_a_pod_joins_the_network_that_the_operator_makes_in_its_namespace():
    service = direct()
    upstream.assert_accepted(rendered(service), "kubernetes/")
    network, devices = the(service, "SriovNetwork"), the(service, "SriovNetworkNodePolicy")
    metadata = the(service, "Deployment", "shop")["spec"]["template"]["metadata"]
    assert metadata["annotations"][NETWORKS] == network["metadata"]["name"]
    assert network["spec"]["networkNamespace"] == "shop"
    assert network["spec"]["resourceName"] == devices["spec"]["resourceName"]
    assert (network["spec"]["vlan"], devices["spec"]["numVfs"]) == (12, 4)
    assert devices["spec"]["nicSelector"] == {"pfNames": ["ens1f0"]}
    assert json.loads(network["spec"]["ipam"])["range"] == "192.168.64.0/20"


@pytest.mark.req("T13")
def test_devices_are_made_on_exactly_the_nodes_that_pods_of_the_service_go_to():
    service = direct()
    chosen = the(service, "SriovNetworkNodePolicy")["spec"]["nodeSelector"]
    affinity = the(service, "Deployment", "shop")["spec"]["template"]["spec"]["affinity"]
    (term,) = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"]  # fmt: skip
    needed = {each["key"]: each["values"] for each in term["matchExpressions"]}
    assert all(needed[key] == [value] for key, value in chosen.items())


@pytest.mark.req("T13")
def test_without_functions_there_is_no_such_network():
    assert not objects(spec(""), "SriovNetwork")
    metadata = the(spec(""), "Deployment", "shop")["spec"]["template"]["metadata"]
    assert NETWORKS not in metadata["annotations"]


@pytest.mark.req("T14")
def test_pods_with_gpus_run_under_the_gpu_runtime_and_pass_the_taint():
    service = spec("resources: {gpus: 2}")
    upstream.assert_accepted(rendered(service), "kubernetes/")
    workload = the(service, "Deployment", "shop")
    runtime = the(service, "RuntimeClass")
    pod = workload["spec"]["template"]["spec"]
    assert pod["runtimeClassName"] == runtime["metadata"]["name"]
    assert container(workload)["resources"]["limits"]["nvidia.com/gpu"] == "2"
    (taint,) = runtime["scheduling"]["tolerations"]
    assert taint in pod["tolerations"]
    operator = the(service, "ClusterPolicy")["spec"]
    assert operator["devicePlugin"]["enabled"] and taint in operator["daemonsets"]["tolerations"]
    assert operator["operator"]["runtimeClass"] == runtime["handler"]
    (request,) = the(service, "ResourceClaimTemplate")["spec"]["spec"]["devices"]["requests"]
    assert request["exactly"]["count"] == 2


@pytest.mark.req("T14")
def test_without_gpus_no_pod_asks_for_their_runtime():
    pod = the(spec(""), "Deployment", "shop")["spec"]["template"]["spec"]
    assert "runtimeClassName" not in pod
    assert not objects(spec(""), "RuntimeClass") + objects(spec(""), "ResourceClaimTemplate")
