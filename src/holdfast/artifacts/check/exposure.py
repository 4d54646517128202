"""No pod without a network policy: of Kubernetes, of Calico or of Cilium."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.artifacts.check.whole import Item, Pods, Whole, at, chosen, table
from holdfast.supply.finding import Finding

_KINDS = ("NetworkPolicy", "CiliumNetworkPolicy")
_EQUAL = re.compile(r"([\w./-]+)\s*==\s*'([^']*)'")


def check(whole: Whole) -> Iterator[Finding]:
    policies = list(whole.of(*_KINDS))
    for pods in whole.pods:
        here = (each for each in policies if each.namespace == pods.item.namespace)
        if not pods.spec.get("hostNetwork") and not any(_speaks_for(p, pods) for p in here):
            found = "pods that anybody in the cluster may connect to"
            yield pods.item.finding(
                "open-pod", pods.at, found, "a network policy that chooses them"
            )


def _speaks_for(policy: Item, pods: Pods) -> bool:
    if policy.group == "projectcalico.org":
        return _calico(str(at(policy.body, "spec", "selector") or "all()"), pods)
    field = "podSelector" if policy.kind == "NetworkPolicy" else "endpointSelector"
    return chosen(table(policy.body, "spec", field), pods.labels)


def _calico(selector: str, pods: Pods) -> bool:
    """Conjunctions of equalities, which is what is rendered; others choose nobody."""
    terms = [each.strip() for each in selector.split("&&")]
    found = [_EQUAL.fullmatch(term) for term in terms]
    return selector == "all()" or all(m and pods.labels.get(m[1]) == m[2] for m in found)
