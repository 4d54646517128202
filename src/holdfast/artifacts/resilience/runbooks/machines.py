"""Runbooks of what carries the instances: nodes, certificates."""

from __future__ import annotations

from holdfast.artifacts.names import host
from holdfast.artifacts.resilience.runbooks.page import Steps
from holdfast.artifacts.resilience.runbooks.words import Words
from holdfast.artifacts.resilience.thirdparty import KUBECTL


def steps(words: Words) -> dict[str, Steps]:
    return {**_nodes(words), **_certificates(words)}


def _nodes(words: Words) -> dict[str, Steps]:
    which = [
        words.region,
        f"$ {words.cluster} get nodes",
        f"$ NODE=$({words.cluster} get nodes -o name | head -1)  # the one the alert names",
        f'$ {words.cluster} describe "$NODE"',
    ]
    drain = [
        f'$ {words.cluster} cordon "$NODE"',
        f'$ {words.cluster} drain "$NODE" --ignore-daemonsets --delete-emptydir-data --timeout=10m',
        f'$ {words.cluster} delete "$NODE"',
    ]
    image = f"--image={KUBECTL.reference}"
    gone = [f"$ {words.cluster} get nodes", f"$ {words.k} get pods -l {words.selector} -o wide"]
    return {
        "NodeNotReady": Steps(
            look=which,
            act=[
                "Replace it: the budget keeps the service whole, Karpenter brings another.",
                *drain,
            ],
            verify=[*gone, "All nodes are Ready and no instance is Pending."],
            call="All nodes of a zone: it is the zone, see [region-loss](region-loss.md).",
        ),
        "NodeDiskFillsUp": Steps(
            look=[
                *which,
                f'$ {words.cluster} debug "$NODE" -it {image} -- df -h /host',
            ],
            act=["Logs or images fill it. A new node is the fastest cure.", *drain],
            verify=gone,
        ),
        "NodeMemoryShort": Steps(
            look=[*which, f"$ {words.cluster} top pods -A --sort-by=memory | head -20"],
            act=["Something without a limit grows: restart it; else replace the node.", *drain],
            verify=[f"$ {words.cluster} top nodes"],
        ),
        "NodeSaturated": Steps(
            look=[*which, f"$ {words.cluster} top pods -A --sort-by=cpu | head -20"],
            act=["Move the service's instances away from a noisy neighbour.", *drain[:2]],
            verify=[f"$ {words.cluster} top nodes"],
        ),
    }


def _certificates(words: Words) -> dict[str, Steps]:
    look = [
        words.region,
        f"$ {words.k} get certificate,certificaterequest",
        f"$ {words.k} describe certificate {words.name}-tls",
        f"$ {words.elsewhere('cert-manager')} logs -l app.kubernetes.io/name=cert-manager "
        "--tail=100",
    ]
    act = [
        "The request says why it is refused: DNS permission (Route 53), a rate limit of the "
        "authority, or Vault is sealed. With the cause gone, ask again:",
        f'$ cmctl --context "$REGION" -n {words.space} renew {words.name}-tls',
    ]
    verify = [
        f"$ {words.k} wait --for=condition=Ready certificate/{words.name}-tls --timeout=10m",
        f"$ HOST={host(words.service)}",
        '$ echo | openssl s_client -connect "$HOST:443" -servername "$HOST" 2>/dev/null '
        "| openssl x509 -noout -enddate",
    ]
    found = Steps(look=look, act=act, verify=verify)
    return {"CertificateExpires": found, "CertificateNotReady": found}
