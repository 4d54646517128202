"""By what a release is known in the cluster: names, labels and annotations. Pure."""

from __future__ import annotations

import hashlib
import json

from holdfast.artifacts import names
from holdfast.rollout.model import ReleaseId
from holdfast.targets.kubernetes.kinds import Object, labels, notes

#: A label of every object and pod of one release; ids may be longer than labels can be.
HASH = "holdfast.dev/release-hash"
#: Annotations.
RELEASE = "holdfast.dev/release-id"  # the id of the release, whole
GENERATION = "holdfast.dev/generation"  # of the conductor that wrote the object last: fencing
SIZE = "holdfast.dev/size"  # instances that were ordered
WEIGHTS = "holdfast.dev/weights"  # shares that were ordered, as JSON
BEFORE = "holdfast.dev/weights-before"  # shares that were acknowledged before

Weights = tuple[tuple[ReleaseId, int], ...]


def hashed(release: ReleaseId) -> str:
    return hashlib.sha256(release.encode()).hexdigest()[:10]


def object_name(service: str, release: ReleaseId) -> str:
    """Of the Deployment and the Service of one release."""
    return f"{service}-{hashed(release)}"


def of_service(service: str) -> str:
    """The selector of everything that belongs to a service."""
    return f"app.kubernetes.io/part-of={service}"


def pods_of_service(service: str) -> str:
    return f"app.kubernetes.io/name={service}"


def release_of(found: Object) -> ReleaseId | None:
    """None for what is no part of a release: jobs, what people made by hand."""
    return notes(found).get(RELEASE) if HASH in labels(found) else None


def generation_of(found: Object) -> int:
    """Of whom it was written last; 0 for what no conductor wrote."""
    word = notes(found).get(GENERATION, "")
    return int(word) if word.isdigit() else 0


def size_of(found: Object) -> int | None:
    word = notes(found).get(SIZE, "")
    return int(word) if word.isdigit() else None


def written(weights: Weights) -> str:
    """Weights as an annotation says them."""
    return json.dumps({release: weight for release, weight in weights if weight}, sort_keys=True)


def read(found: Object, note: str) -> Weights:
    """The weights in an annotation; none where it is missing or was spoilt."""
    try:
        said = json.loads(notes(found).get(note, "{}"))
        return tuple(sorted((str(release), int(weight)) for release, weight in said.items()))
    except (ValueError, TypeError, AttributeError):
        return ()


def ours(found: Object) -> bool:
    return labels(found).get("app.kubernetes.io/managed-by") == names.MANAGER
