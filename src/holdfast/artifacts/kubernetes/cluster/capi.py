"""A highly available cluster by Cluster API: machines that are replaced when they are sick.

Three control planes over the zones, one set of nodes in each zone for the service, one for the
rest. The cluster autoscaler reads the annotations of the sets. Source: Cluster API v1.12 (v1beta2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.artifacts import machines, names, nodes, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.format import yaml_text
from holdfast.artifacts.kubernetes import scaling
from holdfast.artifacts.kubernetes.cluster import (
    apiserver,
    aws,
    control,
    namespaces,
)
from holdfast.artifacts.kubernetes.objects import CLUSTER, named
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_CORE = "cluster.x-k8s.io/v1beta2"
_BOOTSTRAP = "bootstrap.cluster.x-k8s.io/v1beta2"
_PLANE = "controlplane.cluster.x-k8s.io/v1beta2"
_LABEL = "cluster.x-k8s.io/cluster-name"
_AUTOSCALER = "cluster.x-k8s.io/cluster-api-autoscaler-node-group"
_NAME = "{{ ds.meta_data.local_hostname }}"  # cloud-init's own: the name the cloud knows
_SICK = 300  # seconds
_DRAINED = 900  # seconds; then a node goes, whatever still holds it


def render(service: Service) -> Iterable[Artifact]:
    for region in service.regions:
        yield Artifact(
            f"{CLUSTER}/{region.name}/cluster-api.yaml",
            list(_objects(service, region)),
            f"The cluster of {region.name}: control planes, node pools, health checks.",
            ("service", "replicas", "regions", "autoscaling", "kubernetes.namespace", "resources",
             *nodes.TUNING_KEYS, "rollout.max_surge"),
            ("T31", "T32", "T48"),
        )  # fmt: skip


def _objects(service: Service, region: Region) -> Iterator[Object]:
    yield _cluster(service, region)
    yield _planes(service, region)
    yield _watch(service, region, region.name, {"cluster.x-k8s.io/control-plane": ""})
    for pool in aws.POOLS:
        yield _bootstrap(service, region, pool)
        yield _watch(service, region, f"{region.name}-{pool}", _chosen(service, pool))
        for zone in names.zones(region):
            yield _nodes(service, region, pool, zone)


def _chosen(service: Service, pool: str) -> dict[str, str]:
    """The label of a pool's nodes; that of the service's own is what its pods look for."""
    return {names.POOL_LABEL: names.pool(service) if pool == aws.OWN else named(service, pool)}


def _object(service: Service, region: Region, kind: str, name: str) -> Object:
    version, _, short = kind.rpartition("/")
    labels = {
        _LABEL: names.cluster(service, region),
        "app.kubernetes.io/managed-by": names.MANAGER,
    }
    metadata = {"name": name, "namespace": namespaces.clusters(service), "labels": labels}
    return {"apiVersion": version, "kind": short, "metadata": metadata}


def _reference(group: str, kind: str, name: str) -> Object:
    return {"apiGroup": group, "kind": kind, "name": name}


def _cluster(service: Service, region: Region) -> Object:
    found = _object(service, region, f"{_CORE}/Cluster", names.cluster(service, region))
    network = {
        "pods": {"cidrBlocks": [control.PODS]},
        "services": {"cidrBlocks": [control.SERVICES]},
        "serviceDomain": "cluster.local",
    }
    plane = _reference("controlplane.cluster.x-k8s.io", "KubeadmControlPlane", region.name)
    found["spec"] = {
        "clusterNetwork": network,
        "controlPlaneRef": plane,
        "infrastructureRef": _reference(aws.GROUP, "AWSCluster", region.name),
    }
    return found


def _planes(service: Service, region: Region) -> Object:
    found = _object(service, region, f"{_PLANE}/KubeadmControlPlane", region.name)
    registered = {"nodeRegistration": _registered()}
    template = _reference(aws.GROUP, "AWSMachineTemplate", region.name)
    found["spec"] = {
        "replicas": control.PLANES,
        "version": versions.KUBERNETES_PATCH,
        "machineTemplate": {"spec": {"infrastructureRef": template}},
        "rollout": {
            "before": {"certificatesExpiryDays": 30},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        },
        "remediation": {"maxRetry": 3, "retryPeriodSeconds": 600, "minHealthyPeriodSeconds": 3600},
        "kubeadmConfigSpec": {
            "clusterConfiguration": control.configuration(),
            "initConfiguration": registered,
            "joinConfiguration": registered,
            "files": _plane_files(service),
            "preKubeadmCommands": _before(),
        },
    }
    return found


def _plane_files(service: Service) -> list[Object]:
    told = {f"{control.CONFIG}/{n}": yaml_text((b,)) for n, b in apiserver.files(service).items()}
    return [_file(path, text) for path, text in told.items()] + _node_files(service)


def _node_files(service: Service) -> list[Object]:
    kubelet = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
    texts = {
        "/etc/sysctl.d/90-holdfast.conf": nodes.sysctls(service),
        "/etc/modules-load.d/holdfast.conf": nodes.modules(),
        f"{_PATCHES}/kubeletconfiguration+strategic.yaml": yaml_text(
            ({**kubelet, **nodes.kubelet(service)},)
        ),
    }
    return [_file(path, text) for path, text in texts.items()]


_PATCHES = "/etc/kubernetes/patches"


def _file(path: str, text: str) -> Object:
    return {"path": path, "owner": "root:root", "permissions": "0600", "content": text}


def _before() -> list[str]:
    return ["systemctl restart systemd-modules-load", "sysctl --system"]


def _registered(*arguments: tuple[str, str]) -> Object:
    given = (("cloud-provider", "external"), *arguments)
    return {"name": _NAME, "kubeletExtraArgs": [{"name": n, "value": v} for n, v in given]}


def _bootstrap(service: Service, region: Region, pool: str) -> Object:
    found = _object(service, region, f"{_BOOTSTRAP}/KubeadmConfigTemplate", f"{region.name}-{pool}")
    ((key, value),) = _chosen(service, pool).items()
    registered = _registered(("node-labels", f"{key}={value}"))
    if pool == aws.OWN:
        registered["taints"] = [{"key": key, "value": value, "effect": "NoSchedule"}]
    join = {"nodeRegistration": registered, "patches": {"directory": _PATCHES}}
    spec = {
        "joinConfiguration": join,
        "files": _node_files(service),
        "preKubeadmCommands": _before(),
    }
    return {**found, "spec": {"template": {"spec": spec}}}


def _nodes(service: Service, region: Region, pool: str, zone: str) -> Object:
    found = _object(service, region, f"{_CORE}/MachineDeployment", f"{region.name}-{pool}-{zone}")
    least, most = bounds(service, region, pool)
    found["metadata"]["annotations"] = {
        f"{_AUTOSCALER}-min-size": str(least),
        f"{_AUTOSCALER}-max-size": str(most),
    }
    own = names.cluster(service, region)
    labels = {_LABEL: own, **_chosen(service, pool)}
    rolling = {"maxSurge": 1, "maxUnavailable": 0}
    found["spec"] = {
        "clusterName": own,
        "replicas": least,
        "selector": {"matchLabels": labels},
        "rollout": {"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}},
        "template": {
            "metadata": {"labels": labels},
            "spec": _machine(service, region, pool, zone),
        },
    }
    return found


def _machine(service: Service, region: Region, pool: str, zone: str) -> Object:
    named_so = f"{region.name}-{pool}"
    config = _reference("bootstrap.cluster.x-k8s.io", "KubeadmConfigTemplate", named_so)
    return {
        "clusterName": names.cluster(service, region),
        "version": versions.KUBERNETES_PATCH,
        "failureDomain": zone,
        "bootstrap": {"configRef": config},
        "infrastructureRef": _reference(aws.GROUP, "AWSMachineTemplate", named_so),
        "deletion": {"nodeDrainTimeoutSeconds": _DRAINED},
    }


def bounds(service: Service, region: Region, pool: str) -> tuple[int, int]:
    """Nodes of one zone, at least and at most."""
    if pool != aws.OWN:
        return 1, 10
    each = max(1, machines.held(service, machines.machine(service)))
    zones = len(names.zones(region))
    surge = service.rollout.max_surge
    least = -(-scaling.floor(service, region) // (each * zones))
    most = -(-(2 * scaling.ceiling(service, region) + surge) // (each * zones))
    return max(1, least), max(1, least, most)


def _watch(service: Service, region: Region, name: str, chosen: dict[str, str]) -> Object:
    """Sick machines are replaced, unless so many are sick that it must be something else."""
    found = _object(service, region, f"{_CORE}/MachineHealthCheck", name)
    own = names.cluster(service, region)
    sick = [{"type": "Ready", "status": s, "timeoutSeconds": _SICK} for s in ("Unknown", "False")]
    found["spec"] = {
        "clusterName": own,
        "selector": {"matchLabels": {_LABEL: own, **chosen}},
        "checks": {"nodeStartupTimeoutSeconds": 600, "unhealthyNodeConditions": sick},
        "remediation": {"triggerIf": {"unhealthyLessThanOrEqualTo": "40%"}},
    }
    return found
