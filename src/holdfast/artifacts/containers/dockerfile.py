"""The Dockerfile: a recipe of the language, and around it what is the same for every image.

The last stage serves. It has no shell, no package manager and no root; what people need to look
at a program, test it or measure it is in targets of their own, made of the same source.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType

from holdfast.artifacts import names, versions
from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.containers import generic, go, node, python, rust, words
from holdfast.artifacts.containers.recipe import LOOKING, Lines, Recipe, installed
from holdfast.artifacts.containers.words import HOME, exec_form, instruction, quoted
from holdfast.spec.model import Service

PATH = "containers/Dockerfile"
TARGETS = ("runtime", "debug", "profiling", "testing", "benchmark")
KEYS = (
    "service", "version", "run.command", "run.stop.signal", "traffic.port", "image.language",
    "image.linkage", "image.base", "image.user", "delivery.repository",
)  # fmt: skip
ROWS = ("T1", "T2", "T3", "T4", "T6", "T7", "T16", "T17", "T18", "T19", "T26", "T27", "T28", "T29")
_LANGUAGES: dict[str, ModuleType] = {
    "rust": rust, "python": python, "node": node, "go": go, "generic": generic,
}  # fmt: skip
_PERF = ["perf", "record", "--freq=99", "--call-graph=fp", "--output=/tmp/perf.data", "--"]


def render(service: Service) -> Iterable[Artifact]:
    language, recipe = _LANGUAGES[names.language(service)], recipe_of(service)
    lines = [
        f"# syntax={versions.DOCKERFILE.reference}",
        *_arguments(service, recipe),
        *recipe.build,
        *_looking(service, recipe),
        *_developing(service, "testing", recipe.testing, language.TESTS),
        *_developing(service, "benchmark", recipe.benchmark, language.BENCHMARKS),
        *_runtime(service, recipe),
    ]
    about = f"The image of {service.service}: targets {', '.join(TARGETS)}."
    yield Artifact(PATH, "\n".join(lines) + "\n", about, keys=KEYS, rows=ROWS)


def recipe_of(service: Service) -> Recipe:
    """How the service's language is built."""
    found: Recipe = _LANGUAGES[names.language(service)].recipe(service)
    return found


def base(service: Service) -> str:
    """The image that serves: distroless, by language and linkage, by digest."""
    if service.image.base is not None:
        return service.image.base
    return _distroless(service).reference


def _distroless(service: Service) -> versions.Image:
    language = names.language(service)
    if language == "python":
        return versions.DISTROLESS_PYTHON
    if language == "node":
        return versions.DISTROLESS_NODE
    static = service.image.linkage == "static"
    return versions.DISTROLESS_STATIC if static else versions.DISTROLESS_CC


def _arguments(service: Service, recipe: Recipe) -> Lines:
    tools = recipe.tools or versions.DEBIAN
    return [
        "# What it is built in, looked at in, and runs on; a mirror of your own may be given.",
        f"ARG BUILDER={recipe.builder.reference}",
        f"ARG TOOLS={tools.reference}",
        f"ARG BASE={base(service)}",
        "",
    ]


def _looking(service: Service, recipe: Recipe) -> Lines:
    """Debugging and profiling: with a shell and tools, never the image that serves."""
    packages = (*LOOKING, "python3") if names.language(service) == "python" else LOOKING
    return [
        "FROM ${TOOLS} AS tools",
        *installed(*packages),
        "",
        "FROM tools AS debug",
        *_program(service, recipe, "profiled", {}),
        *_started(words.command(service)),
        "",
        "FROM tools AS profiling",
        *installed("linux-perf"),
        *_program(service, recipe, "profiled", recipe.profiling),
        *_started([*_PERF, *words.command(service)]),
        "",
    ]


def _developing(service: Service, target: str, lines: Lines, command: Lines) -> Lines:
    """Tests and benchmarks with the source and its fixtures, run on the builder's platform."""
    stage = {"python": "wheels", "node": "source", "go": "source"}.get(
        names.language(service), "build"
    )
    user = f"{service.image.user}:{service.image.user}"
    return [
        f"FROM {stage} AS {target}",
        *lines,
        'ENV HOME=/tmp FIXTURES="tests/fixtures"',
        f'RUN chown -R {user} "$PWD"',
        f"USER {user}",
        *_started(command),
        "",
    ]


def _runtime(service: Service, recipe: Recipe) -> Lines:
    return [
        "# What serves.",
        "FROM ${BASE} AS runtime",
        *_program(service, recipe, "build", {}),
        f"EXPOSE {service.traffic.port}",
        f"STOPSIGNAL {service.run.stop.signal}",
        "# Probes are asked over the network: the image has nothing to ask with.",
        "HEALTHCHECK NONE",
        *_started(words.command(service)),
        *_labels(service),
    ]


def _program(service: Service, recipe: Recipe, stage: str, more: dict[str, str]) -> Lines:
    environment = {**recipe.environment, **more, "PORT": str(service.traffic.port)}
    return [
        *recipe.layers,
        f"COPY --from={stage} /out /",
        *instruction("ENV", {key: quoted(value) for key, value in environment.items()}),
        f"WORKDIR {HOME}",
        f"USER {service.image.user}:{service.image.user}",
    ]


def _started(command: Lines) -> Lines:
    return [f"ENTRYPOINT {exec_form(command[:1])}", f"CMD {exec_form(command[1:])}"]


def labels(service: Service) -> dict[str, str]:
    """The annotations of the OCI image specification that the spec knows."""
    name, _, digest = base(service).partition("@")
    found = {
        "org.opencontainers.image.title": service.service,
        "org.opencontainers.image.source": names.git(service),
        "org.opencontainers.image.base.name": name,
    }
    return found | ({"org.opencontainers.image.base.digest": digest} if digest else {})


def _labels(service: Service) -> Lines:
    """Last: what differs from build to build must not cost a layer."""
    told = {
        "org.opencontainers.image.version": '"$VERSION"',
        "org.opencontainers.image.revision": '"$REVISION"',
        "org.opencontainers.image.created": '"$CREATED"',
    }
    known = {key: quoted(value) for key, value in labels(service).items()}
    return [
        f"ARG VERSION={names.version(service)}",
        "ARG REVISION=",
        "ARG CREATED=",
        *instruction("LABEL", known | told),
    ]
