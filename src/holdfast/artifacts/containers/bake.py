"""The Bake file: every target for every platform, compressed with zstd, with provenance and SBOM.

``docker buildx bake -f out/containers/docker-bake.json`` from the root of the repository. A target
such as ``runtime-arm64`` builds one platform with the flags of its processors: the rows of the
pipeline's matrix.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.containers import dockerfile, words
from holdfast.spec.model import Service

PATH = "containers/docker-bake.json"
KEYS = (
    "service", "version", "run.command", "image.repository", "image.platforms", "image.language",
    "delivery.path",
)  # fmt: skip
ROWS = ("T4", "T10", "T16", "T17", "T18", "T19", "T20", "T26", "T27", "T28", "T29")
_IMAGE = "image"
_LOOKING = ("debug", "profiling")
_HERE = ("testing", "benchmark")  # run where they are built


def render(service: Service) -> Iterable[Artifact]:
    about = "What docker buildx bake builds: every target, platform, tag and attestation."
    yield Artifact(PATH, _body(service), about, keys=KEYS, rows=ROWS)


def platforms(service: Service) -> dict[str, str]:
    """Architecture -> platform, in the order of the spec."""
    return {each.partition("/")[2]: each for each in service.image.platforms}


def _body(service: Service) -> Object:
    one_by_one = [f"runtime-{arch}" for arch in platforms(service)]
    return {
        "group": {
            "default": {"targets": ["runtime"]},
            "matrix": {"targets": one_by_one},
            "all": {"targets": list(dockerfile.TARGETS)},
        },
        "variable": {
            "REPOSITORY": {"default": words.bake(names.repository(service))},
            "VERSION": {"default": words.bake(names.version(service))},
            "REVISION": {"default": ""},
            "CREATED": {"default": ""},
            "SOURCE_DATE_EPOCH": {"default": "0"},
        },
        "target": {
            _IMAGE: _image(service),
            "runtime": _runtime(service),
            **{name: _one(service, name) for name in platforms(service)},
            **{f"runtime-{arch}": _single(arch) for arch in platforms(service)},
            **{name: _looking(service, name) for name in _LOOKING},
            **{name: _local(name) for name in _HERE},
        },
    }


def _image(service: Service) -> Object:
    told = ("VERSION", "REVISION", "CREATED", "SOURCE_DATE_EPOCH")
    return {
        "context": ".",
        "dockerfile": words.bake(f"{service.delivery.path}/{dockerfile.PATH}"),
        "args": {name: f"${{{name}}}" for name in told},
    }


def _runtime(service: Service) -> Object:
    return {
        "inherits": [_IMAGE],
        "target": "runtime",
        "platforms": list(service.image.platforms),
        "tags": ["${REPOSITORY}:${VERSION}"],
        "attest": ["type=provenance", "type=sbom"],
        "cache-from": ["type=registry,ref=${REPOSITORY}:buildcache"],
        "cache-to": ["type=registry,ref=${REPOSITORY}:buildcache,mode=max,compression=zstd"],
        "output": [_pushed()],
    }


def _pushed() -> str:
    wanted = {
        "type": "registry",
        "oci-mediatypes": "true",
        "compression": "zstd",
        "compression-level": "9",
        "force-compression": "true",
        "rewrite-timestamp": "true",
    }
    return ",".join(f"{key}={value}" for key, value in wanted.items())


def _one(service: Service, arch: str) -> Object:
    """A platform with the least processor it is built for; inherited, never built by itself."""
    cpus = dockerfile.recipe_of(service).cpus
    found: Object = {"inherits": [_IMAGE], "platforms": [platforms(service)[arch]]}
    return found | ({"args": {"CPU": cpus[arch]}} if cpus else {})


def _single(arch: str) -> Object:
    return {
        "inherits": ["runtime", arch],
        "target": "runtime",
        "tags": [f"${{REPOSITORY}}:${{VERSION}}-{arch}"],
    }


def _looking(service: Service, name: str) -> Object:
    return {
        "inherits": [_IMAGE],
        "target": name,
        "platforms": list(service.image.platforms),
        "tags": [f"${{REPOSITORY}}:${{VERSION}}-{name}"],
        "output": [_pushed()],
    }


def _local(name: str) -> Object:
    return {
        "inherits": [_IMAGE],
        "target": name,
        "tags": [f"${{REPOSITORY}}:${{VERSION}}-{name}"],
        "output": ["type=docker"],
    }
