"""What other hands changed: who, what, from what to what. Pure.

What was ordered stands in annotations beside what is there, so a difference is seen by whoever
looks, also by the next conductor. Managed fields say whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.artifacts.names import MANAGER
from holdfast.targets.kubernetes.kinds import Object, name_of, notes
from holdfast.targets.kubernetes.marks import WEIGHTS, hashed, read, release_of, size_of
from holdfast.targets.kubernetes.ownership import Hand, hands

#: Controllers that write to objects because somebody asked them to: theirs is no drift.
CONTROLLERS = frozenset({"kube-controller-manager", "istiod", "envoy-gateway"})


def of_deployments(deployments: Iterable[Object], autoscalers: Iterable[Object]) -> tuple[str, ...]:
    """Sizes that nobody ordered, and pod templates that somebody edited."""
    scaled = {target for each in autoscalers if (target := scale_target(each))}
    found: list[str] = []
    for deployment in deployments:
        if release_of(deployment) is not None:
            size = None if name_of(deployment) in scaled else _size(deployment)
            found += [said for said in (size, _template(deployment)) if said]
    return tuple(found)


def scale_target(autoscaler: Object) -> str:
    """The Deployment that an autoscaler follows; empty where it follows something else."""
    target = autoscaler.get("spec", {}).get("scaleTargetRef") or {}
    return str(target.get("name", "")) if target.get("kind") == "Deployment" else ""


def of_route(found: Object, shares: Mapping[str, int]) -> str | None:
    """``shares``: the weights that the route has, by the hash of the release.

    A route that no conductor wrote yet is no drift: it was rendered to be written to.
    """
    if WEIGHTS not in notes(found):
        return None
    ordered = {hashed(release): weight for release, weight in read(found, WEIGHTS)}
    if shares == ordered:
        return None
    what = f"the weights of {found['kind']} {name_of(found)}"
    who = _who(hands(found, "spec"))
    return f"{who} changed {what} from {_shares(ordered)} to {_shares(shares)}"


def _size(deployment: Object) -> str | None:
    ordered, there = size_of(deployment), deployment.get("spec", {}).get("replicas", 1)
    if ordered is None or ordered == there:
        return None
    writers = hands(deployment, "spec", "replicas")
    if writers and not _others(writers):
        return None  # an autoscaler's, or ours in proportion to one
    who = _who(writers)
    what = f"spec.replicas of Deployment {name_of(deployment)}"
    return f"{who} changed {what} from {ordered} to {there}"


def _template(deployment: Object) -> str | None:
    edited = _others(hands(deployment, "spec", "template", "spec"))
    if not edited:
        return None
    return f"{edited[0]} changed the pod template of Deployment {name_of(deployment)}"


def _who(found: tuple[Hand, ...]) -> str:
    others = _others(found)
    return str(others[0]) if others else "somebody"


def _others(found: tuple[Hand, ...]) -> list[Hand]:
    known = CONTROLLERS | {MANAGER}
    return [hand for hand in found if hand.manager not in known]


def _shares(shares: Mapping[str, int]) -> str:
    listed = ", ".join(f"{name} {weight} %" for name, weight in sorted(shares.items()))
    return listed or "nothing"
