"""Python: wheels of ``requirements.txt`` first, then a venv of them, then the source.

The builder is the Debian that the distroless image is made of: interpreter, path and ABI are the
same, so a venv moves from one to the other. Wheels are built on the platform they are for.
"""

from __future__ import annotations

from holdfast.artifacts import versions
from holdfast.artifacts.containers.recipe import Lines, Recipe, installed, run
from holdfast.artifacts.containers.words import HOME
from holdfast.spec.model import Service

_VENV = f"{HOME}/.venv"
_CACHE = ("/root/.cache/pip",)
TESTS = ["pytest", "-q"]
BENCHMARKS = ["pytest", "-q", "--benchmark-only", "--benchmark-json=/tmp/benchmark.json"]


def recipe(_service: Service) -> Recipe:
    return Recipe(
        builder=versions.DEBIAN,
        build=[*_wheels(), *_build()],
        testing=_developers(),
        benchmark=_developers(),
        layers=[f"COPY --from=dependencies {_VENV} {_VENV}"],
        environment={
            "PATH": f"{_VENV}/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        profiling={"PYTHONPERFSUPPORT": "1"},
    )


def _wheels() -> Lines:
    return [
        "FROM ${BUILDER} AS wheels",
        *installed("gcc", "g++", "libc6-dev", "python3-dev", "python3-venv"),
        "WORKDIR /src",
        f"RUN python3 -m venv {_VENV}",
        "COPY requirements.txt .",
        run(
            f"{_VENV}/bin/pip wheel --wheel-dir=/wheels -r requirements.txt",
            mounts=_CACHE,
        ),
        "",
        "# Dependencies: a layer that stays until requirements.txt changes.",
        "FROM wheels AS dependencies",
        run(
            f"{_VENV}/bin/pip install --no-cache-dir --no-index --no-deps /wheels/*.whl",
            f"{_VENV}/bin/pip uninstall -y pip",
            f"python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash {_VENV}/lib",
        ),
        "",
    ]


def _build() -> Lines:
    made = f"python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /out{HOME}"
    return [
        "FROM wheels AS source",
        f"WORKDIR /out{HOME}",
        "COPY . .",
        "",
        "FROM source AS build",
        run(made),
        "",
        "FROM source AS profiled",
        "",
    ]


def _developers() -> Lines:
    return [
        f"WORKDIR {HOME}",
        "COPY . .",
        run(
            f"{_VENV}/bin/pip install --no-index --no-deps /wheels/*.whl",
            f"{_VENV}/bin/pip install -r requirements-dev.txt",
            mounts=_CACHE,
        ),
        f'ENV PATH="{_VENV}/bin:${{PATH}}"',
    ]
