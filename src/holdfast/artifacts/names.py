"""What a service is called everywhere, and its quantities in other systems' words.

Renderers ask here and nowhere else, so a label, a host or a port is the same in every artifact.
"""

from __future__ import annotations

import hashlib
import shlex

from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

MANAGER = "holdfast"
#: The field of a pod by which releases are told apart; the engine's name of a release.
RELEASE_LABEL = "holdfast.dev/release"
#: Which region of the spec an object belongs to; the overlay of a region sets it.
REGION_LABEL = "holdfast.dev/region"
#: Label and taint of nodes that are kept for one service; the value is ``pool()``.
POOL_LABEL = "holdfast.dev/pool"
#: Where queries are asked: the Service that the Prometheus operator makes for its instances.
PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"
_INTERPRETED = {"python": 120_000_000, "node": 200_000_000}
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


def mirror(service: Service, region: Region) -> str:
    """The registry of a region; the primary region has the one that is pushed to."""
    if region.name in service.image.mirrors:
        return service.image.mirrors[region.name]
    home = registry(service)
    return home if region == primary(service) else f"{region.name}.{home}"


def pulled(service: Service, region: Region) -> str:
    """Registry and name of the image as a region's nodes pull it: a mirror that somebody named."""
    if region.name not in service.image.mirrors:
        return repository(service)
    return f"{mirror(service, region)}/{repository(service).partition('/')[2]}"


def repositories(service: Service) -> list[str]:
    """Every name under which nodes pull the image, the one that is pushed to first."""
    home = repository(service)
    mirrors = (f"{each}/{home.partition('/')[2]}" for each in service.image.mirrors.values())
    return list(dict.fromkeys((home, *mirrors)))


def version(service: Service) -> str:
    return service.version or "0.0.0"


def tag(service: Service) -> str:
    """The version as a tag: a plus, which no tag can hold, becomes an underscore."""
    return version(service).replace("+", "_")


def image(service: Service) -> str:
    """The image by digest where it is known, else by the version that the pipeline pins."""
    if service.image.digest:
        return f"{repository(service)}@{service.image.digest}"
    return f"{repository(service)}:{tag(service)}"


def selector(service: Service) -> dict[str, str]:
    """The labels that choose the service's pods. Immutable on a Deployment: never add to them."""
    return {"app.kubernetes.io/name": service.service}


def family(service: Service) -> dict[str, str]:
    """The label of the service's pods and of every pod beside them: jobs, placeholders."""
    return {"app.kubernetes.io/part-of": service.service}


def ours(service: Service) -> dict[str, str]:
    """The labels of pods that are rendered here for the service; operators make others."""
    return {**family(service), "app.kubernetes.io/managed-by": MANAGER}


def labels(service: Service, component: str = "") -> dict[str, str]:
    """The recommended labels of every object (kubernetes.io, Recommended Labels)."""
    found = {**selector(service), **family(service), "app.kubernetes.io/managed-by": MANAGER}
    if component:
        found["app.kubernetes.io/component"] = component
    return found


def beside(service: Service, suffix: str) -> dict[str, str]:
    """Labels of pods that help the service and must never be chosen by its selector."""
    own = {"app.kubernetes.io/name": f"{service.service}-{suffix}"}
    return {**labels(service, suffix), **own}


def pool(service: Service) -> str:
    """The node pool whose nodes are kept for the service."""
    return service.service


def cluster(service: Service, region: Region) -> str:
    """The Kubernetes cluster of a region, by its name in the cloud and in the mesh."""
    return f"{service.service}-{region.name}"


def port_name(service: Service) -> str:
    """The name of the container's port: what the program speaks."""
    return "http" if service.traffic.protocol == "http1" else service.traffic.protocol


def storage_class(kind: str) -> str:
    """The StorageClass of a kind of disk: ``nvme``, ``ssd`` or ``hdd``."""
    return f"holdfast-{kind}"


def tls_secret(service: Service) -> str:
    """The Secret in the service's namespace with the certificate of its public name."""
    return f"{service.service}-tls"


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


def budget(service: Service) -> int:
    """The unpacked size in bytes that an image may have. Distroless images are smaller than those
    of distributions, but Node alone is 141 MB (labs.iximiuz.com, Node.js container images)."""
    usual = _INTERPRETED.get(language(service), 50_000_000)
    return usual if service.image.budget is None else service.image.budget


def primary(service: Service) -> Region:
    """The region where writes go first."""
    return next((r for r in service.regions if r.primary), service.regions[0])


def others(service: Service, region: Region) -> list[Region]:
    """The other regions, the primary first: whom a region gets its data from."""
    found = [each for each in service.regions if each.name != region.name]
    return sorted(found, key=lambda each: not each.primary)


def regional_host(service: Service, region: Region, part: str = "") -> str:
    """The name of one region's way in; with ``part`` of one of its data services: ``db``."""
    return ".".join(filter(None, (part, region.name, host(service))))


def bucket(service: Service, region: Region, purpose: str = "backup") -> str:
    """An S3 bucket of a region. Names are unique in the world and at most 63 characters."""
    name = f"{service.service}-{purpose}-{region.cloud}"
    if len(name) <= 63:  # the limit named above
        return name
    unique = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[:54].rstrip('-')}-{unique}"


def replicas(service: Service, region: Region) -> int:
    return service.replicas if region.replicas is None else region.replicas


def zones(region: Region) -> list[str]:
    """The names of the availability zones used, as the cloud calls them: ``us-east-1a``."""
    return [region.cloud + letter for letter in "abcdef"[: region.zones]]


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
