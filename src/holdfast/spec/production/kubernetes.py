"""``kubernetes``: how the service runs on a cluster."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from holdfast.spec.kinds import Count, Duration, Name, Size, Text
from holdfast.spec.section import Section


class ClusterProbe(Section):
    """When the kubelet looks at an instance; paths are those of ``probes``."""

    delay: Duration = Field(default=5.0, description="no look before this, after the start")
    every: Duration = Field(default=3.0, description="time between two looks")
    timeout: Duration = Field(default=1.0, description="an answer later than this is a failure")
    failures: Count = Field(default=3, ge=1, le=1000, description="in a row to fail")


class ClusterLiveProbe(ClusterProbe):
    """Like ``ready``, looked at less often: an instance that fails it is restarted."""

    delay: Duration = Field(default=10.0, description="no look before this, after the start")
    every: Duration = Field(default=5.0, description="time between two looks")


class ClusterProbes(Section):
    """When the kubelet looks. Slower than on one machine: thousands of nodes do it."""

    ready: ClusterProbe = Field(default=ClusterProbe(), description="fails: no traffic")
    live: ClusterLiveProbe = Field(default=ClusterLiveProbe(), description="fails: restarted")


class Storage(Section):
    """A volume for each instance of a stateful service."""

    _short: ClassVar[str | None] = "size"
    size: Size = Field(default=10 * 2**30, description="of each volume")
    kind: Literal["nvme", "ssd", "hdd"] = Field(default="ssd", description="the storage class")
    path: Text = Field(default="/data", description="where it is mounted")


class Job(Section):
    """A command of the same image that ends: once per release, or by a schedule."""

    name: Name = Field(description="of the job")
    command: tuple[Text, ...] = Field(description="the program and its arguments")
    schedule: Text | None = Field(default=None, description="cron, UTC; empty: once per release")
    deadline: Duration = Field(default=3600.0, description="ended after this")
    retries: Count = Field(default=2, ge=0, le=100, description="further tries")


class Call(Section):
    """Something outside the namespace that the service may call."""

    to: Text = Field(description="a network, such as 203.0.113.0/24")
    port: Count = Field(default=443, ge=1, le=65535, description="TCP port there")


class Sriov(Section):
    """Direct access to a network card, past the kernel of the node (SR-IOV)."""

    _short: ClassVar[str | None] = "functions"
    functions: Count = Field(
        default=0, ge=0, le=128, description="virtual functions of each card; 0: none"
    )
    card: Text = Field(default="eth1", description="the card on the nodes, as the kernel names it")
    vlan: Count = Field(default=0, ge=0, le=4094, description="of its traffic; 0: untagged")
    addresses: Text = Field(
        default="192.168.64.0/20", description="addresses of instances in that network"
    )


class Kubernetes(Section):
    """How the service runs on a Kubernetes cluster."""

    _short: ClassVar[str | None] = "namespace"
    namespace: Name | None = Field(default=None, description="empty: the service's name")
    context: Text | None = Field(
        default=None,
        description="target kubernetes: the context of the kubeconfig; empty: the current one, "
        "or the cluster that the conductor runs in",
    )
    steer: Literal["gateway", "istio", "service"] = Field(
        default="gateway",
        description="target kubernetes: who shares traffic between releases: weights of an "
        "HTTPRoute, of Istio's VirtualService, or the Service's selector, which knows no weights",
    )
    host: Text | None = Field(
        default=None, description="the public name; empty: SERVICE.example.com"
    )
    workload: Literal["deployment", "stateful", "daemon"] = Field(
        default="deployment", description="stateful keeps a volume each, daemon runs on every node"
    )
    storage: Storage = Field(default=Storage(), description="a volume each; stateful only")
    jobs: tuple[Job, ...] = Field(default=(), description="what runs beside it and ends")
    ingress: Literal["gateway", "nginx", "traefik"] = Field(
        default="gateway", description="who lets traffic in; gateway: Gateway API"
    )
    mesh: Literal["istio", "none"] = Field(default="istio", description="mTLS and routing inside")
    network: Literal["plain", "calico", "cilium"] = Field(
        default="plain", description="the flavour of network policies"
    )
    callers: tuple[Name, ...] = Field(
        default=(), description="namespaces whose pods may call the service"
    )
    calls: tuple[Call, ...] = Field(
        default=(), description="what it may call outside, besides its data services"
    )
    sriov: Sriov = Field(default=Sriov(), description="direct access to a network card")
    probes: ClusterProbes = Field(default=ClusterProbes(), description="when the kubelet looks")
