"""Operators: each kind of the set has one that brings it, and each is there for something."""

from __future__ import annotations

import re

import pytest
import upstream
from delivered import artifact, spec, the
from delivered import rendered as delivery_of

from holdfast.artifacts.delivery.applicationsets import path
from holdfast.artifacts.delivery.operators import definitions, operators
from holdfast.artifacts.signals import TRAEFIK_BUCKETS, source

FLAGGER = "delivery: {flagger: true}\nrollout: {strategy: canary"
#: API group -> who brings it.
BROUGHT = {
    "cert-manager.io": "cert-manager", "trust.cert-manager.io": "trust-manager",
    "monitoring.coreos.com": "prometheus-operator", "external-secrets.io": "external-secrets",
    "generators.external-secrets.io": "external-secrets", "karpenter.sh": "karpenter",
    "karpenter.k8s.aws": "karpenter", "policies.kyverno.io": "kyverno",
    "elasticsearch.k8s.elastic.co": "eck-operator", "kibana.k8s.elastic.co": "eck-operator",
    "fluentbit.fluent.io": "fluent-operator", "opentelemetry.io": "opentelemetry-operator",
    "grafana.integreatly.org": "grafana-operator", "velero.io": "velero",
    "aquasecurity.github.io": "trivy-operator", "chaos-mesh.org": "chaos-mesh",
    "autoscaling.k8s.io": "vertical-pod-autoscaler", "postgresql.cnpg.io": "cloudnative-pg",
    "barmancloud.cnpg.io": "barman-cloud", "redis.redis.opstreelabs.in": "redis-operator",
    "kafka.strimzi.io": "strimzi", "minio.min.io": "minio-operator", "keda.sh": "keda",
    "traefik.io": "traefik", "flagger.app": "flagger", "nvidia.com": "gpu-operator",
    "sriovnetwork.openshift.io": "sriov-network-operator",
    "gateway.networking.k8s.io": "gateway-api", "snapshot.storage.k8s.io": "volume-snapshots",
    "elbv2.k8s.aws": "aws-load-balancer-controller",
}  # fmt: skip
#: Brought before Argo CD (docs/guides/delivery.md), or no kinds of an API server at all.
ELSEWHERE = re.compile(
    r"(.*[.])?(istio[.]io|cluster[.]x-k8s[.]io|projectcalico[.]org|cilium[.]io|argoproj[.]io|"
    r"config[.]k8s[.]io|kubeadm[.]k8s[.]io|kustomize[.]config[.]k8s[.]io|audit[.]k8s[.]io)"
)
#: Of Kubernetes itself.
BUILT_IN = re.compile(
    r"|apps|batch|policy|autoscaling|(rbac[.]authorization|networking|storage|scheduling|node|"
    r"admissionregistration|resource|discovery)[.]k8s[.]io"
)
#: Operators without a kind in the set, and what they are there for.
HELPERS = {"external-dns", "snapshot-controller", "aws-load-balancer-controller",
           "prometheus-adapter", "ingress-nginx", "flagger-loadtester"}  # fmt: skip


def groups(rendered):
    for file in rendered:
        for each in file.artifact.objects():
            version = each.get("apiVersion")
            if isinstance(version, str) and "kind" in each and not version.startswith("openslo"):
                yield version.rpartition("/")[0], file.path


def brought(service):
    return {each.name for each in operators(service)} | {name for name, _ in definitions(service)}


@pytest.mark.req("T61")
def test_each_kind_of_the_set_is_brought_by_an_operator_that_is_installed(service, rendered):
    there = brought(service)
    for group, where in set(groups(rendered)):
        if "/flagger/" in where and not service.delivery.flagger:
            continue  # rendered for those who run it, and not synced
        if not BUILT_IN.fullmatch(group) and not ELSEWHERE.fullmatch(group):
            assert BROUGHT.get(group) in there, f"{where}: nobody brings {group}"


@pytest.mark.req("T61")
def test_no_operator_is_installed_that_nothing_in_the_set_needs(service, rendered):
    needed = {BROUGHT.get(group) for group, _ in groups(rendered)} | HELPERS
    assert not brought(service) - needed


@pytest.mark.req("T61", "T63")
def test_argo_cd_accepts_the_operators_and_may_fetch_and_place_each(service):
    upstream.assert_accepted(delivery_of(service), "delivery/argocd/operators.yaml")
    project = the(service, "AppProject", f"{service.service}-operators")["spec"]
    placed = {(each["name"], each["namespace"]) for each in project["destinations"]}
    for each in operators(service):
        assert each.chart.repository in project["sourceRepos"]
        assert re.fullmatch(r"v?[0-9]+[.][0-9]+[.][0-9]+", each.chart.version), each.name
        assert {(region.name, each.space) for region in service.regions} <= placed
    for _, made in definitions(service):
        assert made.repository in project["sourceRepos"]
        assert re.fullmatch("[0-9a-f]{40}", made.commit)
    assert not any("*" in each for each in project["sourceRepos"])


@pytest.mark.req("T63")
def test_what_others_need_comes_first_and_regions_come_one_by_one(service):
    found = the(service, "ApplicationSet", f"{service.service}-operators")["spec"]
    steps = [
        tuple(each["values"][0] for each in step["matchExpressions"])
        for step in found["strategy"]["rollingSync"]["steps"]
    ]
    regions = [region for region, wave in steps if wave == "1"]
    assert steps == [(region, wave) for region in regions for wave in ("1", "2")]
    assert regions[-1] == next(r.name for r in service.regions if r.primary)
    first = {each.name for each in operators(service) if each.wave == "1"}
    assert first >= {"cert-manager", "prometheus-operator", "external-secrets"}


@pytest.mark.req("T61", "T62")
def test_values_are_read_where_they_are_rendered(service, rendered):
    paths = {path(service, file.path, "") for file in rendered}
    lists = the(service, "ApplicationSet", f"{service.service}-operators")["spec"]["generators"]
    regions, wanted = (each["list"]["elements"] for each in lists[0]["matrix"]["generators"])
    found = {each["values"] for each in wanted} & paths
    found |= {f"{r['regional']}/{e['name']}.yaml" for r in regions for e in wanted} & paths
    assert found == {each for each in paths if "/helm/" in each and "/data/" not in each}
    assert path(service, "resilience/security/helm/scanner.yaml", "") in found


@pytest.mark.req("T35", "T86")
def test_traefik_counts_in_the_buckets_that_the_objectives_ask_for():
    service = spec("kubernetes: {mesh: none, ingress: traefik}\npromises: {p99: 30ms}")
    said = artifact(service, "helm/traefik.yaml").body["metrics"]["prometheus"]["buckets"]
    bounds = tuple(float(each) for each in said.split(","))
    assert bounds == TRAEFIK_BUCKETS == source(service).bounds
    assert source(service).bound(service.promises.p99) in bounds


@pytest.mark.req("T57", "T133")
def test_strimzi_makes_no_network_policies_that_open_what_ours_close():
    assert artifact(spec(), "helm/strimzi.yaml").body["generateNetworkPolicy"] is False


@pytest.mark.req("T112", "T115")
def test_names_are_written_for_doors_of_data_services_and_each_cluster_owns_its_own(reference):
    told = artifact(reference, "helm/external-dns.yaml").body
    assert told["sources"] == ["service"], "public names are of the cloud's stacks"
    owners = {
        artifact(reference, f"helm/{region.name}/external-dns.yaml").body["txtOwnerId"]
        for region in reference.regions
    }
    assert len(owners) == len(reference.regions)


@pytest.mark.req("T61")
def test_a_service_that_does_not_bring_the_platform_brings_no_operators():
    found = delivery_of(spec("delivery: {platform: false}"))
    assert not [file.path for file in found if "operators" in file.path or "/helm/" in file.path]


@pytest.mark.req("T61")
def test_people_are_asked_by_a_gate_that_is_installed():
    names = {each.name for each in operators(spec(f"{FLAGGER}, approvals: 1}}"))}
    assert {"flagger", "flagger-loadtester"} <= names
    without = {each.name for each in operators(spec("rollout: {strategy: canary, approvals: 1}"))}
    assert not {"flagger", "flagger-loadtester"} & without


@pytest.mark.req("T41", "T61")
def test_the_guide_says_what_argo_cd_does_not_bring_and_every_operator_that_it_may(request):
    guide = (request.config.rootpath / "docs/guides/delivery.md").read_text("utf-8")
    assert all(word in guide for word in ("istioctl", "Cilium", "Calico", "Vault"))
    every = [
        spec(f"resources: {{gpus: 1}}\nkubernetes: {{ingress: {door}, mesh: none, "
             f"sriov: {{functions: 2}}}}\nresilience: {{objects: minio}}\n"
             f"{FLAGGER}, approvals: 1}}\n"
             f"autoscaling: {{by: {by}, metrics: [{{name: a, query: sum(up), target: 1}}]}}")
        for door, by in (("nginx", "keda"), ("traefik", "adapter"), ("gateway", "keda"))
    ]  # fmt: skip
    named = {name for service in every for name in brought(service)}
    assert not {name for name in named if f"`{name}`" not in guide}
