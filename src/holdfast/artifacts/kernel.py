"""Kernel parameters of a node: the value, and what a worse one costs. One table for all.

Nodes are set up from it, and ``holdfast doctor`` holds the live machine against it. Sources:
Documentation/admin-guide/sysctl and Documentation/networking/ip-sysctl of the Linux kernel; the
values of ``kernel.panic`` to ``vm.panic_on_oom`` are those that a kubelet with
``protectKernelDefaults`` demands (pkg/kubelet/cm/container_manager_linux.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Parameter:
    """``least``: what one machine for development needs; empty: nothing is felt there."""

    name: str
    value: str
    costs: str
    least: str = ""
    better: Literal["higher", "lower", "equal"] = "higher"

    def holds(self, live: str, wanted: str = "") -> bool:
        """Whether a live value is no worse than ``wanted``, or than the value of the table."""
        wanted = wanted or self.value
        if self.better == "equal":
            return live.split() == wanted.split()
        pairs = list(zip(_numbers(live), _numbers(wanted), strict=False))
        if self.better == "lower":
            return bool(pairs) and all(have <= want for have, want in pairs)
        return bool(pairs) and all(have >= want for have, want in pairs)


@dataclass(frozen=True, slots=True)
class Range(Parameter):
    """Two bounds; what counts is how much lies between them."""

    def holds(self, live: str, wanted: str = "") -> bool:
        have, want = _numbers(live), _numbers(wanted or self.value)
        return len(have) == len(want) == 2 and have[1] - have[0] >= want[1] - want[0]


def _numbers(text: str) -> list[int]:
    words = text.split()
    return [int(word) for word in words] if all(w.lstrip("-").isdecimal() for w in words) else []


PARAMETERS: tuple[Parameter, ...] = (
    Parameter("net.core.somaxconn", "65535",
              "bursts of new connections wait one second for a retry", "1024"),
    Parameter("net.ipv4.tcp_max_syn_backlog", "65535",
              "bursts of new connections are dropped", "1024"),
    Parameter("net.core.netdev_max_backlog", "16384",
              "packets of a burst are dropped before anybody looks at them"),
    Parameter("net.core.rmem_max", "16777216",
              "a connection between regions carries less than the line could"),
    Parameter("net.core.wmem_max", "16777216",
              "a connection between regions carries less than the line could"),
    Parameter("net.ipv4.tcp_rmem", "4096 131072 16777216",
              "a connection between regions carries less than the line could"),
    Parameter("net.ipv4.tcp_wmem", "4096 65536 16777216",
              "a connection between regions carries less than the line could"),
    Range("net.ipv4.ip_local_port_range", "10240 65000",
          "a proxy has fewer ports left: after that many connections within a minute new ones fail",
          "10240 30240"),
    Parameter("net.ipv4.tcp_tw_reuse", "1",
              "ports of closed connections are free again a minute later", better="equal"),
    Parameter("net.ipv4.tcp_fin_timeout", "15",
              "sockets of half-closed connections fill the memory", better="lower"),
    Parameter("net.ipv4.tcp_slow_start_after_idle", "0",
              "a kept connection is slow again after each pause: the 99th percentile feels it",
              better="equal"),
    Parameter("net.ipv4.tcp_keepalive_time", "300",
              "a load balancer forgets idle connections before they are asked", better="lower"),
    Parameter("net.ipv4.tcp_congestion_control", "bbr",
              "one lost packet halves the speed of a connection between regions", better="equal"),
    Parameter("net.core.default_qdisc", "fq",
              "bbr cannot pace what it sends, and bursts overflow switches", better="equal"),
    Parameter("vm.max_map_count", "262144",
              "Elasticsearch does not start, and JVMs run out of mappings"),
    Parameter("vm.swappiness", "1",
              "memory of idle instances is written to disk, and the next request waits for it",
              better="lower"),
    Parameter("vm.zone_reclaim_mode", "0",
              "memory is reclaimed near a core while far memory is free: latency spikes",
              better="equal"),
    Parameter("kernel.numa_balancing", "0",
              "pages of pinned instances are unmapped again and again to see who uses them",
              better="equal"),
    Parameter("kernel.pid_max", "4194304",
              "many replicas run out of process ids", "32768"),
    Parameter("fs.file-max", "2097152",
              "all programs together run out of descriptors", "100000"),
    Parameter("fs.nr_open", "1048576",
              "no program may open more files, whatever its own limit says"),
    Parameter("fs.inotify.max_user_instances", "8192",
              "Envoy and the kubelet cannot watch their files in many services", "128"),
    Parameter("fs.inotify.max_user_watches", "524288",
              "log collectors miss files"),
    Parameter("kernel.panic", "10",
              "a node that died stays dead; a kubelet that protects its defaults does not start",
              better="equal"),
    Parameter("kernel.panic_on_oops", "1",
              "a broken kernel goes on with broken data; such a kubelet does not start",
              better="equal"),
    Parameter("kernel.keys.root_maxkeys", "1000000",
              "containers cannot start for lack of keyrings; such a kubelet does not start",
              better="equal"),
    Parameter("kernel.keys.root_maxbytes", "25000000",
              "containers cannot start for lack of keyrings; such a kubelet does not start",
              better="equal"),
    Parameter("vm.overcommit_memory", "1",
              "forks of large programs, such as Redis saving, fail; such a kubelet does not start",
              better="equal"),
    Parameter("vm.panic_on_oom", "0",
              "one container without memory takes the node down; such a kubelet does not start",
              better="equal"),
)  # fmt: skip
#: Modules without which a parameter does not exist.
MODULES = ("br_netfilter", "overlay", "tcp_bbr")
