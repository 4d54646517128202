"""From objects of the API to fleets, as the engine knows them. Pure.

An instance is ready when the kubelet says so *and* an EndpointSlice of its release sends it
traffic: a pod that the data plane does not know yet serves nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from holdfast.rollout.model import Failure, FleetSeen, ReleaseId
from holdfast.targets.kubernetes import reasons
from holdfast.targets.kubernetes.kinds import Object, condition, labels, name_of
from holdfast.targets.kubernetes.marks import release_of

#: Last words of containers by (pod, container).
Words = Mapping[tuple[str, str], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Speaker:
    """A container whose last words would tell why it failed."""

    pod: str
    container: str
    restarted: bool


def fleets(
    pods: Iterable[Object], deployments: Iterable[Object], slices: Iterable[Object], words: Words
) -> tuple[FleetSeen, ...]:
    """One for each release that has a Deployment or a pod, in the order of their names."""
    serving = served(slices)
    grouped: dict[ReleaseId, list[Object]] = {}
    made: dict[ReleaseId, Object] = {}
    for deployment in deployments:
        if (release := release_of(deployment)) is not None:
            grouped.setdefault(release, [])
            made[release] = deployment
    for pod in pods:
        if (release := release_of(pod)) is not None:
            grouped.setdefault(release, []).append(pod)
    return tuple(
        _fleet(release, grouped[release], made.get(release), serving, words)
        for release in sorted(grouped)
    )


def served(slices: Iterable[Object]) -> frozenset[str]:
    """Names of pods that some EndpointSlice sends traffic to; a Service may have many slices."""
    return frozenset(pod for found in slices for pod in addressed(found))


def addressed(found: Object) -> Iterable[str]:
    """Pods of one slice that are ready. A missing ``ready`` means yes (discovery.k8s.io/v1)."""
    for endpoint in found.get("endpoints") or ():
        ready = (endpoint.get("conditions") or {}).get("ready")
        target = endpoint.get("targetRef") or {}
        if ready is not False and target.get("kind", "Pod") == "Pod" and target.get("name"):
            yield str(target["name"])


def speakers(pods: Iterable[Object]) -> tuple[Speaker, ...]:
    """Containers that failed after they ran; at most one for each pod."""
    found = ((pod, reasons.sickness(pod)) for pod in pods if release_of(pod) is not None)
    return tuple(
        Speaker(name_of(pod), sick.container, sick.restarted)
        for pod, sick in found
        if sick is not None and sick.container
    )


def is_ready(pod: Object) -> bool:
    return condition(pod, "Ready").get("status") == "True"


def leaves(pod: Object) -> bool:
    return "deletionTimestamp" in pod.get("metadata", {})


def state(pod: Object, serving: frozenset[str]) -> str:
    """``draining``, ``failed``, ``ready`` or ``starting``."""
    if leaves(pod):
        return "draining"
    phase = pod.get("status", {}).get("phase")
    if phase in ("Failed", "Succeeded"):
        return "failed"
    if is_ready(pod):
        return "ready" if name_of(pod) in serving else "starting"
    return "failed" if _is_sick(pod) else "starting"


def _is_sick(pod: Object) -> bool:
    sick = reasons.sickness(pod)
    return sick is not None and sick.failure.code != "unschedulable"


def _fleet(
    release: ReleaseId, pods: list[Object], deployment: Object | None,
    serving: frozenset[str], words: Words,
) -> FleetSeen:  # fmt: skip
    states = [state(pod, serving) for pod in pods]
    ready = states.count("ready")
    return FleetSeen(
        release,
        starting=states.count("starting"),
        ready=ready,
        draining=states.count("draining"),
        failed=states.count("failed"),
        restarts=sum(map(reasons.restarts, pods)),
        failure=_failure(pods, deployment, words, ready),
    )


def _failure(
    pods: list[Object], deployment: Object | None, words: Words, ready: int
) -> Failure | None:
    """The worst there is. While some of a release serve, a failure of others is not its end."""
    found = [f for pod in pods if not leaves(pod) and (f := _told(pod, words)) is not None]
    if deployment is not None and (blocked := reasons.missing_pods(deployment)) is not None:
        found.append(blocked)
    if not found:
        return None
    worst = max(found, key=lambda failure: failure.hopeless)
    return replace(worst, hopeless=worst.hopeless and ready == 0)


def _told(pod: Object, words: Words) -> Failure | None:
    sick = reasons.sickness(pod)
    if sick is None:
        return None
    return replace(sick.failure, log_tail=words.get((name_of(pod), sick.container), ()))


def slices_of(slices: Iterable[Object], service: str) -> list[Object]:
    """The EndpointSlices of one Service."""
    return [each for each in slices if labels(each).get("kubernetes.io/service-name") == service]
