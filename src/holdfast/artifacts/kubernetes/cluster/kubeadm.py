"""A highly available cluster on machines of one's own, by kubeadm.

The first control plane is made by ``init``, the others join it behind one address; etcd runs on
each of them. Nobody's secret is in these files: who joins has a discovery file that was copied
there, and the certificate key of ``kubeadm init phase upload-certs`` on its command line.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names, nodes, versions
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.kubernetes.cluster import control
from holdfast.artifacts.kubernetes.objects import CLUSTER
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

_VERSION = "kubeadm.k8s.io/v1beta4"
_SOCKET = "unix:///run/containerd/containerd.sock"
_DISCOVERY = "/etc/kubernetes/discovery.conf"
_KEYS = ("service", "kubernetes.host", "regions")
_SIZES = ("resources", *nodes.TUNING_KEYS)


def render(service: Service) -> Iterable[Artifact]:
    for region in service.regions:
        folder = f"{CLUSTER}/{region.name}"
        yield Artifact(
            f"{folder}/kubeadm-init.yaml",
            [_init(), _cluster(service, region), _kubelet(service)],
            f"The first control plane of {region.name}: `kubeadm init --config`, --upload-certs.",
            (*_KEYS, *_SIZES),
            ("T31",),
        )
        yield Artifact(
            f"{folder}/kubeadm-join-control-plane.yaml",
            _join(),
            f"{control.PLANES - 1} more control planes in {region.name}, with --certificate-key.",
            ("regions",),
            ("T31",),
        )
        yield Artifact(
            f"{folder}/kubeadm-join.yaml",
            _join(service),
            f"Nodes of the service in {region.name}.",
            ("service", "regions"),
            ("T31", "T32"),
        )


def _init() -> Object:
    """Certificates of kubelets are signed by the cluster; images are pulled side by side."""
    return {
        "apiVersion": _VERSION,
        "kind": "InitConfiguration",
        "nodeRegistration": _registered(),
        "localAPIEndpoint": {"bindPort": control.PORT},
    }


def _cluster(service: Service, region: Region) -> Object:
    place = control.endpoint(service, region)
    return {
        "apiVersion": _VERSION,
        "kind": "ClusterConfiguration",
        "clusterName": names.cluster(service, region),
        "kubernetesVersion": versions.KUBERNETES_PATCH,
        "controlPlaneEndpoint": f"{place}:{control.PORT}",
        "networking": {
            "podSubnet": control.PODS,
            "serviceSubnet": control.SERVICES,
            "dnsDomain": "cluster.local",
        },
        **control.configuration(),
    }


def _kubelet(service: Service) -> Object:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        **nodes.kubelet(service),
    }


def _join(service: Service | None = None) -> Object:
    """A node of the service, or else a further control plane."""
    found: Object = {
        "apiVersion": _VERSION,
        "kind": "JoinConfiguration",
        "discovery": {"file": {"kubeConfigPath": _DISCOVERY}},
        "nodeRegistration": _registered(service),
    }
    plane = {"controlPlane": {"localAPIEndpoint": {"bindPort": control.PORT}}}
    return found | ({} if service else plane)


def _registered(service: Service | None = None) -> Object:
    """A node of the service carries its label and its taint from the first moment."""
    found: Object = {"criSocket": _SOCKET, "imagePullPolicy": "IfNotPresent"}
    if service is None:
        return found | {"imagePullSerial": False}
    label = f"{names.POOL_LABEL}={names.pool(service)}"
    taint = {"key": names.POOL_LABEL, "value": names.pool(service), "effect": "NoSchedule"}
    arguments = [{"name": "node-labels", "value": label}]
    return {**found, "imagePullSerial": False, "kubeletExtraArgs": arguments, "taints": [taint]}
