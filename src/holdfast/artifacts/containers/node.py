"""Node: production modules from the lock file first, then ``npm run build``, then the result.

Install scripts of packages are not run: they are other people's code with the builder's rights.
"""

from __future__ import annotations

from holdfast.artifacts import versions
from holdfast.artifacts.containers.recipe import Lines, Recipe, run
from holdfast.artifacts.containers.words import HOME
from holdfast.spec.model import Service

_CACHE = ("/root/.npm",)
TESTS = ["npm", "test"]
BENCHMARKS = ["npm", "run", "bench"]


def recipe(_service: Service) -> Recipe:
    return Recipe(
        builder=versions.NODE,
        build=[*_modules(), *_build()],
        testing=[],
        benchmark=[],
        layers=[f"COPY --from=dependencies {HOME}/node_modules {HOME}/node_modules"],
        environment={
            "NODE_ENV": "production",
            "PATH": "/nodejs/bin:/usr/local/bin:/usr/bin:/bin",
        },
        profiling={"NODE_OPTIONS": "--perf-basic-prof --interpreted-frames-native-stack"},
        tools=versions.NODE,
    )


def _modules() -> Lines:
    return [
        "FROM --platform=$BUILDPLATFORM ${BUILDER} AS manifests",
        f"WORKDIR {HOME}",
        "COPY package.json package-lock.json ./",
        "",
        "# Dependencies: a layer that stays until package-lock.json changes.",
        "FROM manifests AS dependencies",
        run("npm ci --omit=dev --ignore-scripts", mounts=_CACHE),
        "",
    ]


def _build() -> Lines:
    return [
        "FROM manifests AS source",
        run("npm ci --ignore-scripts", mounts=_CACHE),
        "COPY . .",
        "",
        "FROM source AS build",
        run(
            "npm run build --if-present",
            "rm -rf node_modules",
            f"mkdir /out && cp -a --parents {HOME} /out",
        ),
        "",
        "FROM build AS profiled",
        "",
    ]
