"""What is demanded of pods in the service's namespace, and of the service's own pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.kubernetes.admission.policy import Demand, Policy, objects, quoted
from holdfast.artifacts.kubernetes.objects import PLATFORM
from holdfast.spec.model import Service

#: Tags that mean another image tomorrow.
MOVING = ("latest", "stable", "main", "master", "edge", "dev", "nightly", "current", "lts")
#: Where images of data services and sidecars come from, by the spec's words.
_SOURCES = {
    "istio": "docker.io/istio/",
    "postgres": "ghcr.io/cloudnative-pg/",
    "cockroach": "docker.io/cockroachdb/",
    "redis": "quay.io/opstree/",
    "kafka": "quay.io/strimzi/",
    "minio": "quay.io/minio/",
}
REQUIRED_LABELS = tuple(f"app.kubernetes.io/{key}" for key in ("name", "part-of", "managed-by"))
_RESOURCES = ("requests.cpu", "requests.memory", "limits.memory")
_KEYS = ("service", "kubernetes.namespace")


def render(service: Service) -> Iterable[Artifact]:
    yield Artifact(
        f"{PLATFORM}/admission.yaml",
        [found for policy in policies(service) for found in objects(service, policy)],
        "What the API server refuses here: moving tags, strange registries, rights, no bounds.",
        (*_KEYS, "image.repository", "image.digest", "image.mirrors", "kubernetes.mesh",
         "resilience.database", "resilience.cache", "resilience.queue", "resilience.objects"),
        ("T56", "T60"),
    )  # fmt: skip


def policies(service: Service) -> tuple[Policy, ...]:
    return (
        Policy("images", tuple(_images(service))),
        Policy("hardening", tuple(_hardening()), own=True),
        Policy("labels", tuple(_labels()), unless=(_unowned(),)),
    )


def registries(service: Service) -> list[str]:
    """Beginnings of the names of images that may run in the namespace."""
    data = service.resilience
    wanted = (service.kubernetes.mesh, data.database, data.cache, data.queue, data.objects)
    others = [_SOURCES[each] for each in wanted if each in _SOURCES]
    own = dict.fromkeys(each.partition("/")[0] for each in names.repositories(service))
    return [*(f"{each}/" for each in own), "registry.k8s.io/", *others]


def _images(service: Service) -> Iterator[Demand]:
    allowed = ", ".join(map(quoted, registries(service)))
    yield Demand(
        f"variables.containers.all(c, [{allowed}].exists(r, c.image.startsWith(r)))",
        "an image comes from a registry that is not allowed here",
    )
    moving = "|".join(MOVING)
    yield Demand(
        "variables.containers.all(c, c.image.contains('@sha256:') || "
        f"(c.image.matches(':[^/]+$') && !c.image.matches('[:._-]({moving})$')))",
        "an image has no tag, or one that means another image tomorrow",
    )
    if service.image.digest:
        own = ", ".join(map(quoted, names.repositories(service)))
        yield Demand(
            f"variables.containers.all(c, ![{own}].exists(r, c.image.startsWith(r + ':') || "
            "c.image == r) || c.image.contains('@sha256:'))",
            "the service's own image is not named by its digest",
        )


def _hardening() -> Iterator[Demand]:
    """Ephemeral containers may not have resources; all else holds for them too."""
    yield Demand(
        "variables.containers.all(c, has(c.securityContext) && "
        "has(c.securityContext.readOnlyRootFilesystem) && "
        "c.securityContext.readOnlyRootFilesystem)",
        "a container may write to the file system of its image",
    )
    yield Demand(
        f"({_true('variables.pod', 'runAsNonRoot')} && variables.containers.all(c, "
        "!has(c.securityContext) || !has(c.securityContext.runAsNonRoot) || "
        "c.securityContext.runAsNonRoot)) || "
        f"variables.containers.all(c, {_true('c', 'runAsNonRoot')})",
        "a container may run as root",
    )
    yield Demand(
        "variables.containers.all(c, !has(c.securityContext) || "
        "!has(c.securityContext.runAsUser) || c.securityContext.runAsUser > 0)",
        "a container runs as user 0",
    )
    for bound in _RESOURCES:
        side, _, name = bound.partition(".")
        yield Demand(
            f"variables.lasting.all(c, has(c.resources) && has(c.resources.{side}) && "
            f"{quoted(name)} in c.resources.{side})",
            f"a container has no resources.{bound}",
        )
    yield Demand(
        "has(variables.pod.automountServiceAccountToken) && "
        "!variables.pod.automountServiceAccountToken",
        "a pod mounts a token of its service account",
    )


def _true(holder: str, field: str) -> str:
    context = f"{holder}.securityContext"
    return f"has({context}) && has({context}.{field}) && {context}.{field}"


def _labels() -> Iterator[Demand]:
    """Without these labels an object would slip past what is demanded of the service's own."""
    for label in REQUIRED_LABELS:
        key = quoted(label)
        yield Demand(
            f"has(object.metadata.labels) && {key} in object.metadata.labels && "
            "has(variables.template.metadata.labels) && "
            f"{key} in variables.template.metadata.labels",
            f"an object or its pods have no label {label}",
        )


def _unowned() -> Demand:
    """What an operator or a controller makes has the labels that it wants."""
    return Demand(
        "!has(object.metadata.ownerReferences) || size(object.metadata.ownerReferences) == 0",
        "nobody-owns-it",
    )
