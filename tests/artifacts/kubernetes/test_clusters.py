"""Clusters, node pools and nodes: what is highly available, encrypted, audited and tuned."""

from __future__ import annotations

import email

import pytest
import upstream
import yaml
from kube_objects import objects, rendered, spec, the

from holdfast.artifacts import machines, names
from holdfast.artifacts.kernel import PARAMETERS

GIB = 2**30


def text(service, path):
    (found,) = [file for file in rendered(service) if file.path == path]
    return found.artifact.body


def arguments(given):
    return {each["name"]: each["value"] for each in given["extraArgs"]}


@pytest.mark.req("T31", "T32", "T48", "T140")
def test_every_cluster_is_accepted_and_every_region_has_one(service):
    bundle = rendered(service)
    upstream.assert_accepted(bundle, "kubernetes/cluster/", "kubernetes/platform/")
    wanted = {names.cluster(service, region) for region in service.regions}
    made = [o for o in objects(bundle, "Cluster") if o["apiVersion"].startswith("cluster.x-k8s")]
    assert {each["metadata"]["name"] for each in made} == wanted
    assert {each["clusterName"] for each in objects(bundle, "ClusterConfiguration")} == wanted


@pytest.mark.req("T31")
def test_the_control_plane_keeps_its_majority_when_one_machine_is_lost(reference):
    for plane in objects(reference, "KubeadmControlPlane"):
        assert plane["spec"]["replicas"] >= 3 and plane["spec"]["replicas"] % 2 == 1
    joins = [o for o in objects(reference, "JoinConfiguration") if "controlPlane" in o]
    for cluster in objects(reference, "ClusterConfiguration"):
        assert cluster["controlPlaneEndpoint"].endswith(".example.com:6443")
    assert len(joins) == len(reference.regions)


@pytest.mark.req("T31")
def test_what_a_cluster_refers_to_is_rendered_beside_it(service):
    bundle = rendered(service)
    made = {(o["kind"], o["metadata"]["name"]) for f in bundle for o in f.artifact.objects()
            if f.path.startswith("kubernetes/cluster/") and "metadata" in o}  # fmt: skip
    seen = 0
    for kind in ("Cluster", "KubeadmControlPlane", "MachineDeployment"):
        for each in objects(bundle, kind):
            for found in references(each):
                seen += 1
                assert (found["kind"], found["name"]) in made
    assert seen >= 5 * len(service.regions)


def references(value):
    if isinstance(value, dict):
        if {"apiGroup", "kind", "name"} == value.keys():
            yield value
        for inner in value.values():
            yield from references(inner)


@pytest.mark.req("T31", "T140")
def test_the_api_server_reads_files_that_are_really_there(reference):
    for plane in objects(reference, "KubeadmControlPlane"):
        config = plane["spec"]["kubeadmConfigSpec"]
        server = config["clusterConfiguration"]["apiServer"]
        written = {each["path"]: yaml.safe_load(each["content"]) for each in config["files"]
                   if each["path"].endswith(".yaml")}  # fmt: skip
        given = arguments(server)
        kinds = {
            "audit-policy-file": "Policy",
            "encryption-provider-config": "EncryptionConfiguration",
            "admission-control-config-file": "AdmissionConfiguration",
        }
        for name, kind in kinds.items():
            assert written[given[name]]["kind"] == kind
            assert any(given[name].startswith(v["mountPath"]) for v in server["extraVolumes"])
    same = {str(arguments(o["apiServer"])) for o in objects(reference, "ClusterConfiguration")}
    assert same == {str(given)}


@pytest.mark.req("T31")
def test_secrets_are_encrypted_by_a_key_that_is_in_no_file(service):
    (stored,) = the(service, "EncryptionConfiguration")["resources"]
    assert stored["resources"] == ["secrets"]
    first = stored["providers"][0]["kms"]
    assert first["apiVersion"] == "v2" and first["endpoint"].startswith("unix:///")
    assert not {"aescbc", "aesgcm", "secretbox"} & {k for p in stored["providers"] for k in p}


@pytest.mark.req("T31", "T56")
def test_a_namespace_that_says_nothing_takes_restricted_pods_only(service):
    (plugin,) = the(service, "AdmissionConfiguration")["plugins"]
    defaults = plugin["configuration"]["defaults"]
    assert [defaults[m] for m in ("enforce", "audit", "warn")] == ["restricted"] * 3
    assert names.namespace(service) not in plugin["configuration"]["exemptions"]["namespaces"]


def level(policy, group, resource, verb, namespace="default", user="somebody"):
    """The first rule that fits decides (kubernetes.io, Auditing)."""
    for rule in policy["rules"]:
        fits = [
            "nonResourceURLs" not in rule,
            verb in rule.get("verbs", [verb]),
            namespace in rule.get("namespaces", [namespace]),
            user in rule.get("users", [user]),
            "userGroups" not in rule,
            "resources" not in rule
            or any(
                each["group"] == group and resource in each.get("resources", [resource])
                for each in rule["resources"]
            ),
        ]
        if all(fits):
            return rule["level"]
    return "None"


@pytest.mark.req("T140")
@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (("", "secrets", "get"), "Metadata"),
        (("", "secrets", "create", "trading-engine"), "Metadata"),
        (("", "serviceaccounts/token", "create"), "Metadata"),
        (("rbac.authorization.k8s.io", "roles", "create"), "RequestResponse"),
        (("", "pods/exec", "create", "trading-engine"), "Request"),
        (("apps", "deployments", "patch", "trading-engine"), "RequestResponse"),
        (("apps", "deployments", "patch", "other"), "Metadata"),
        (("apps", "deployments", "get", "trading-engine"), "Metadata"),
        (("", "events", "create"), "None"),
        (("new.example.com", "things", "delete"), "Metadata"),
    ],
)
def test_who_changed_what_is_written_down_and_no_secret_is(reference, asked, wanted):
    assert level(the(reference, "Policy"), *asked) == wanted


@pytest.mark.req("T32", "T48")
def test_the_services_pods_fit_the_nodes_of_its_pool_and_nobody_else_does(service):
    pool = the(service, "NodePool", service.service)["spec"]["template"]
    kind = {"stateful": "StatefulSet"}.get(service.kubernetes.workload, "Deployment")
    pod = the(service, kind, service.service)["spec"]["template"]["spec"]
    assert pool["metadata"]["labels"] == {"holdfast.dev/pool": service.service}
    for taint in pool["spec"]["taints"]:
        passed = [t for t in pod["tolerations"] if t["key"] == taint["key"]]
        assert any(t.get("value", taint["value"]) == taint["value"] for t in passed)
    general = the(service, "NodePool", f"{service.service}-general")["spec"]["template"]
    assert "taints" not in general["spec"]


@pytest.mark.req("T48")
def test_nodes_come_and_go_within_bounds_and_not_many_at_a_time(service):
    for pool in objects(service, "NodePool"):
        assert {"cpu", "memory"} <= pool["spec"]["limits"].keys()
        assert pool["spec"]["disruption"]["budgets"] == [{"nodes": "10%"}]
        (node,) = objects(service, "EC2NodeClass")
        assert pool["spec"]["template"]["spec"]["nodeClassRef"]["name"] == node["metadata"]["name"]
    for nodes in objects(service, "MachineDeployment"):
        told = nodes["metadata"]["annotations"]
        sizes = [int(told[f"cluster.x-k8s.io/cluster-api-autoscaler-node-group-{end}-size"])
                 for end in ("min", "max")]  # fmt: skip
        assert 1 <= sizes[0] == nodes["spec"]["replicas"] <= sizes[1]


@pytest.mark.req("T32")
def test_nodes_of_every_zone_hold_the_smallest_fleet(service):
    each = machines.held(service, machines.machine(service))
    for region in service.regions:
        own = f"{region.name}-own-"
        found = [o for o in objects(service, "MachineDeployment")
                 if o["metadata"]["name"].startswith(own)]  # fmt: skip
        assert len(found) == region.zones
        room = sum(o["spec"]["replicas"] for o in found) * each
        assert room >= names.replicas(service, region)


@pytest.mark.req("T32")
def test_no_node_hands_its_credentials_to_pods_or_stores_in_the_clear(service):
    (node,) = objects(service, "EC2NodeClass")
    assert node["spec"]["metadataOptions"]["httpTokens"] == "required"
    assert node["spec"]["metadataOptions"]["httpPutResponseHopLimit"] == 1
    assert all(d["ebs"]["encrypted"] for d in node["spec"]["blockDeviceMappings"])
    assert "@latest" not in str(node["spec"]["amiSelectorTerms"])
    for machine in objects(service, "AWSMachineTemplate"):
        inner = machine["spec"]["template"]["spec"]
        assert inner["instanceMetadataOptions"]["httpTokens"] == "required"
        assert inner["rootVolume"]["encrypted"] and not inner["publicIP"]


@pytest.mark.req("T15")
def test_nodes_get_every_parameter_of_the_table_that_doctor_reads(service):
    lines = text(service, "kubernetes/cluster/nodes/90-holdfast.conf").splitlines()
    settings = dict(line.split(" = ", 1) for line in lines if not line.startswith("#"))
    assert {each.name: each.value for each in PARAMETERS}.items() <= settings.items()
    (node,) = objects(service, "EC2NodeClass")
    assert all(f"\n{each.name} = {each.value}\n" in node["spec"]["userData"] for each in PARAMETERS)
    for plane in objects(service, "KubeadmConfigTemplate"):
        files = {f["path"]: f["content"] for f in plane["spec"]["template"]["spec"]["files"]}
        assert files["/etc/sysctl.d/90-holdfast.conf"].splitlines() == lines


@pytest.mark.req("T15")
def test_a_nodes_first_words_are_a_message_of_a_script_and_the_kubelets_configuration(service):
    (node,) = objects(service, "EC2NodeClass")
    script, config = email.message_from_string(node["spec"]["userData"]).get_payload()
    assert script.get_content_type() == "text/x-shellscript"
    assert script.get_payload().startswith("#!/bin/bash\nset -euo pipefail\n")
    told = yaml.safe_load(config.get_payload())
    kubelet = told["spec"]["kubelet"]["config"]
    files = objects(service, "KubeletConfiguration")
    assert all(kubelet.items() <= each.items() for each in files)


@pytest.mark.req("T11", "T15")
def test_whole_cores_huge_pages_and_devices_come_from_one_numa_node():
    exact = "{requests: {cpu: 4, memory: 8GiB}, limits: {cpu: 4, memory: 8GiB}, hugepages: 1GiB}"
    service = spec(f"resources: {exact}")
    kubelet = objects(service, "KubeletConfiguration")[0]
    assert kubelet["cpuManagerPolicy"] == "static"
    assert kubelet["topologyManagerPolicy"] == "single-numa-node"
    assert kubelet["cpuManagerPolicyOptions"] == {"full-pcpus-only": "true"}
    usual = objects(spec(""), "KubeletConfiguration")[0]
    assert usual["topologyManagerPolicy"] == "best-effort"
    assert "cpuManagerPolicyOptions" not in usual


@pytest.mark.req("T12", "T15")
def test_a_node_sets_aside_the_huge_pages_of_all_instances_it_holds():
    asks = "{requests: {cpu: 4, memory: 8GiB}, limits: {cpu: 4, memory: 8GiB}, hugepages: 1GiB}"
    service = spec(f"resources: {asks}")
    on = machines.machine(service)
    held = machines.held(service, on)
    assert held >= 2 and (on.memory - 3 * GIB) // (9 * GIB) >= held
    lines = text(service, "kubernetes/cluster/nodes/90-holdfast.conf").splitlines()
    assert f"vm.nr_hugepages = {held * 512}" in lines
    overlay = the(service, "NodeOverlay")["spec"]
    assert overlay["capacity"] == {"hugepages-2Mi": f"{held}Gi"}
    types = [r for r in the(service, "NodePool", "shop")["spec"]["template"]["spec"]["requirements"]
             if r["key"] == "node.kubernetes.io/instance-type"]  # fmt: skip
    assert types[0]["values"] == [on.kind]
    assert "nr_hugepages" not in text(spec(""), "kubernetes/cluster/nodes/90-holdfast.conf")


@pytest.mark.req("T14", "T32")
@pytest.mark.parametrize(
    ("gpus", "kind"), [(1, "g6.xlarge"), (2, "g6.12xlarge"), (8, "g6.48xlarge")]
)
def test_instances_with_gpus_go_to_machines_that_have_as_many(gpus, kind):
    service = spec(f"resources: {{gpus: {gpus}}}")
    assert machines.machine(service).kind == kind
    assert machines.held(service, machines.machine(service)) >= 1
