"""Go: modules first, then the program; Go cross-compiles by itself.

``dynamic`` is cgo, which is compiled on the platform it is for.
"""

from __future__ import annotations

from holdfast.artifacts import versions
from holdfast.artifacts.containers.recipe import Lines, Recipe, by_platform, run
from holdfast.artifacts.containers.words import program
from holdfast.spec.model import Service

_CACHE = ("/root/.cache/go-build",)
CPUS = {"amd64": "v3", "arm64": "v8.2"}
TESTS = ["go", "test", "./..."]
BENCHMARKS = ["go", "test", "-run=^$", "-bench=.", "-benchmem", "-count=10", "./..."]


def recipe(service: Service) -> Recipe:
    return Recipe(
        builder=versions.GO,
        build=[*_modules(service), *_build(service)],
        testing=["RUN go vet ./... && go test -count=1 -run='^$' ./..."],
        benchmark=["RUN go test -count=1 -run='^$' ./..."],
        cpus=CPUS,
    )


def _modules(service: Service) -> Lines:
    static = service.image.linkage == "static"
    return [
        f"FROM {'--platform=$BUILDPLATFORM ' if static else ''}${{BUILDER}} AS modules",
        "WORKDIR /src",
        f"ENV CGO_ENABLED={'0' if static else '1'} GOFLAGS=-mod=readonly GOTOOLCHAIN=local",
        "COPY go.mod go.sum ./",
        # Not in a cache: this layer is what stays until go.sum changes.
        run("go mod download", "go mod verify"),
        "",
    ]


def _build(service: Service) -> Lines:
    return [
        "FROM modules AS source",
        "# The package of the main program, such as ./cmd/settlement.",
        "ARG PACKAGE=.",
        "ARG TARGETOS",
        "ARG TARGETARCH",
        "ARG CPU=",
        "COPY . .",
        "",
        "FROM source AS build",
        _compiled(service, "-s -w"),
        "",
        "# The same code with its symbols; Go keeps frame pointers anyway.",
        "FROM source AS profiled",
        _compiled(service, ""),
        "",
    ]


def _compiled(service: Service, flags: str) -> str:
    level = by_platform(
        f'export GOAMD64="${{CPU:-{CPUS["amd64"]}}}"', f'export GOARM64="${{CPU:-{CPUS["arm64"]}}}"'
    )
    build = (
        'GOOS="$TARGETOS" GOARCH="$TARGETARCH" go build -trimpath -pgo=auto '
        f"-ldflags='{flags} -buildid=' -o /out{program(service)} \"$PACKAGE\""
    )
    return run(level, build, mounts=_CACHE)
