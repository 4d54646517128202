"""Why instances cannot serve, in the words of ``rollout.model.FAILURES``. Pure.

Sources: kubelet's container states (ImagePullBackOff, CrashLoopBackOff, CreateContainerConfigError
and the like), the scheduler's condition PodScheduled, the Deployment's condition ReplicaFailure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.rollout.model import Failure
from holdfast.targets.kubernetes.kinds import Object, condition, name_of

_SAID_MAX = 300
#: The kubelet's word -> our code, and whether waiting cannot help.
_WAITING = {
    "ErrImagePull": ("image-pull", False),  # may be a registry that stumbles: it is tried again
    "ImagePullBackOff": ("image-pull", True),
    "InvalidImageName": ("image-pull", True),
    "ErrImageNeverPull": ("image-pull", True),
    "ImageInspectError": ("image-pull", True),
    "SignatureValidationFailed": ("image-pull", True),
    "CreateContainerConfigError": ("config-missing", True),
    "CreateContainerError": ("config-missing", True),
    "RunContainerError": ("exits-at-once", True),
    "StartError": ("exits-at-once", True),
    "CrashLoopBackOff": ("crash-loop", True),
}
#: Words of a registry or a runtime that say that the next try will end the same.
_FINAL = ("not found", "manifest unknown", "unauthorized", "denied", "does not exist")
_PROGRAM = ("executable file not found", "no such file or directory", "exec format error",
            "permission denied")  # fmt: skip
_DENIED = ("admission", "denied", "violates", "forbidden")


@dataclass(frozen=True, slots=True)
class Sick:
    """Why one pod does not serve. ``container`` is the one whose last words tell more."""

    failure: Failure
    container: str = ""
    restarted: bool = False  # its last words are those of the run before


def sickness(pod: Object) -> Sick | None:
    """None for a pod that is well, or of which nothing is known yet."""
    status = pod.get("status", {})
    if status.get("phase") == "Failed" or status.get("reason") == "Evicted":
        return _ended(pod)
    placed = condition(pod, "PodScheduled")
    if placed.get("status") == "False" and placed.get("reason") == "Unschedulable":
        return Sick(_failure(pod, "unschedulable", placed.get("message"), hopeless=False))
    return next((sick for each in _containers(pod) if (sick := _stuck(pod, each))), None)


def _ended(pod: Object) -> Sick:
    status = pod["status"]
    said = f"{status.get('reason') or 'Failed'}: {status.get('message') or 'the pod has ended'}"
    return Sick(_failure(pod, "evicted", said, hopeless=False))


def _containers(pod: Object) -> Iterator[Object]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _stuck(pod: Object, container: Object) -> Sick | None:
    state = container.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    word = str(waiting.get("reason") or ended.get("reason") or "")
    said = str(waiting.get("message") or ended.get("message") or "")
    if word not in _WAITING:
        return None
    code, hopeless = _WAITING[word]
    if word == "CrashLoopBackOff":
        code, said = _crash(container, said)
    elif code != "image-pull" and any(each in said for each in _PROGRAM):
        code = "missing-binary"
    hopeless = hopeless or any(each in said.lower() for each in _FINAL)
    name = str(container.get("name", ""))
    failure = _failure(pod, code, f"{word}: {said}" if said else word, hopeless=hopeless)
    return Sick(failure, name if code in _SPEAKING else "", restarted=True)


#: Failures of programs that ran, so that they may have said why.
_SPEAKING = ("crash-loop", "out-of-memory", "exits-at-once")


def _crash(container: Object, said: str) -> tuple[str, str]:
    """The end of the run before tells more than the kubelet's patience."""
    last = (container.get("lastState") or {}).get("terminated") or {}
    if last.get("reason") == "OOMKilled":
        return "out-of-memory", "the container was killed for its memory limit"
    if "exitCode" in last:
        message = str(last.get("message") or "")
        code = "missing-binary" if any(each in message for each in _PROGRAM) else "crash-loop"
        times = int(container.get("restartCount") or 0)
        return code, f"exit status {last['exitCode']}, restarted {times} times {message}".strip()
    return "crash-loop", said


def missing_pods(deployment: Object, sets: tuple[Object, ...] = ()) -> Failure | None:
    """Why a controller cannot make pods: quota, policy, or something that they refer to."""
    for found in (deployment, *sets):
        blocked = condition(found, "ReplicaFailure")
        if blocked.get("status") == "True":
            return _blocked(found, str(blocked.get("message") or blocked.get("reason") or ""))
    return None


def _blocked(found: Object, said: str) -> Failure:
    low = said.lower()
    if "exceeded quota" in low:
        code = "quota"
    elif "not found" in low or "no priorityclass" in low:
        code = "config-missing"
    elif any(word in low for word in _DENIED):
        code = "admission-denied"
    else:
        code = "quota"
    return Failure(code, f"{name_of(found)}: {_short(said)}")


def restarts(pod: Object) -> int:
    """Unexpected ends: of containers that run for ever, and of the pod itself."""
    status = pod.get("status", {})
    counted = sum(int(c.get("restartCount") or 0) for c in status.get("containerStatuses") or ())
    return counted + int(status.get("phase") == "Failed")


def _failure(pod: Object, code: str, said: object, *, hopeless: bool) -> Failure:
    return Failure(code, f"{name_of(pod)}: {_short(str(said or code))}", hopeless=hopeless)


def _short(said: str) -> str:
    words = " ".join(said.split())
    return words if len(words) <= _SAID_MAX else words[: _SAID_MAX - 3] + "..."
