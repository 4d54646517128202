"""What a service is called everywhere, and its quantities in other systems' words.

Renderers ask here and nowhere else, so a label, a host or a port is the same in every artifact.
"""

from __future__ import annotations

import shlex

from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

MANAGER = "holdfast"
#: The field of a pod by which releases are told apart; the engine's name of a release.
RELEASE_LABEL = "holdfast.dev/release"
_LANGUAGES = {
    "python": "python", "uvicorn": "python", "gunicorn": "python", "granian": "python",
    "node": "node", "npm": "node", "cargo": "rust", "go": "go",
}  # fmt: skip


def namespace(service: Service) -> str:
    return service.kubernetes.namespace or service.service


def host(service: Service) -> str:
    """The public name of the service."""
    return service.kubernetes.host or f"{service.service}.example.com"


def git(service: Service) -> str:
    """The address of the repository, without ``.git``."""
    given = service.delivery.repository or f"https://github.com/example/{service.service}"
    return given.removesuffix(".git")


def repository(service: Service) -> str:
    """Registry and name of the image, without tag or digest."""
    return service.image.repository or f"registry.example.com/{service.service}"


def registry(service: Service) -> str:
    return repository(service).partition("/")[0]


def version(service: Service) -> str:
    return service.version or "0.0.0"


def image(service: Service) -> str:
    """The image by digest where it is known, else by the version that the pipeline pins."""
    if service.image.digest:
        return f"{repository(service)}@{service.image.digest}"
    return f"{repository(service)}:{version(service)}"


def selector(service: Service) -> dict[str, str]:
    """The labels that choose the service's pods. Immutable on a Deployment: never add to them."""
    return {"app.kubernetes.io/name": service.service}


def labels(service: Service, component: str = "") -> dict[str, str]:
    """The recommended labels of every object (kubernetes.io, Recommended Labels)."""
    found = {**selector(service), "app.kubernetes.io/managed-by": MANAGER}
    if component:
        found["app.kubernetes.io/component"] = component
    return found


def command(service: Service) -> list[str]:
    """The program and its arguments, however they were written."""
    given = service.run.command
    return shlex.split(given) if isinstance(given, str) else list(given)


def language(service: Service) -> str:
    """``rust``, ``python``, ``node``, ``go`` or ``generic``."""
    if service.image.language != "auto":
        return service.image.language
    words = command(service)
    program = words[0].rpartition("/")[2] if words else ""
    return _LANGUAGES.get(program.rstrip("0123456789."), "generic")


def primary(service: Service) -> Region:
    """The region where writes go first."""
    return next((r for r in service.regions if r.primary), service.regions[0])


def replicas(service: Service, region: Region) -> int:
    return service.replicas if region.replicas is None else region.replicas


def cpu(cores: float) -> str:
    """Kubernetes' quantity: ``2``, ``500m``."""
    return str(int(cores)) if cores == int(cores) else f"{round(cores * 1000)}m"


def memory(count: int) -> str:
    """Kubernetes' quantity in the largest binary unit that needs no fraction: ``4Gi``."""
    for unit, scale in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if count and count % scale == 0:
            return f"{count // scale}{unit}"
    return str(count)


def seconds(value: float, least: int = 1) -> int:
    """Whole seconds, as Kubernetes wants them."""
    return max(least, round(value))


def duration(value: float) -> str:
    """Prometheus' and Go's way: ``90s``, ``15m``, ``30d`` as ``720h``."""
    whole = round(value)
    for unit, size in (("h", 3600), ("m", 60)):
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s" if whole == value else f"{round(value * 1000)}ms"
