"""C, C++ and whatever else has a Makefile: targets ``install``, ``check`` and ``bench``.

``third_party/Makefile`` builds what changes rarely; its layer is kept while only the source
changes. Both are told ``CC``, ``CXX``, ``CFLAGS``, ``CXXFLAGS`` and ``LDFLAGS``.
"""

from __future__ import annotations

from holdfast.artifacts import versions
from holdfast.artifacts.containers.recipe import Lines, Recipe, by_platform, installed, run
from holdfast.artifacts.containers.words import HOME
from holdfast.spec.model import Service

TESTS = ["make", "check"]
BENCHMARKS = ["make", "bench"]
CPUS = {"amd64": "x86-64-v3", "arm64": "armv8.2-a"}
_TOOLCHAIN = "/etc/toolchain"
_PACKAGES = ("g++", "gcc", "libc6-dev", "make", "pkg-config")
_INSTALL = f"make install DESTDIR=/out PREFIX={HOME}"


def recipe(service: Service) -> Recipe:
    return Recipe(
        builder=versions.DEBIAN,
        build=[*_toolchain(service), *_build(), *_profiled()],
        testing=[run(f". {_TOOLCHAIN}", "make check")],
        benchmark=[run(f". {_TOOLCHAIN}", "make")],
        cpus=CPUS,
    )


def _toolchain(service: Service) -> Lines:
    chosen = by_platform(
        f"cpu={CPUS['amd64']}; host=x86_64-linux-gnu",
        f"cpu={CPUS['arm64']}; host=aarch64-linux-gnu",
    )
    linked = "-static " if service.image.linkage == "static" else ""
    flags = (
        'export CC="%s-gcc" CXX="%s-g++" CFLAGS="-O3 -march=%s -flto" '
        f'CXXFLAGS="-O3 -march=%s -flto" LDFLAGS="{linked}-flto -s"\\n'
    )
    return [
        "FROM --platform=$BUILDPLATFORM ${BUILDER} AS toolchain",
        "ARG BUILDARCH",
        "ARG TARGETARCH",
        "ARG CPU=",
        *installed(*_PACKAGES, needed="make"),
        *_cross(),
        run(
            chosen,
            f'printf \'{flags}\' "$host" "$host" "${{CPU:-$cpu}}" "${{CPU:-$cpu}}" > {_TOOLCHAIN}',
        ),
        "WORKDIR /src",
        "",
    ]


def _cross() -> Lines:
    return [
        "# hadolint ignore=DL3008",
        'RUN if [ "$BUILDARCH" != "$TARGETARCH" ]; then \\\n'
        "    apt-get update \\\n"
        '    && apt-get install -y --no-install-recommends "crossbuild-essential-$TARGETARCH" \\\n'
        "    && rm -rf /var/lib/apt/lists/*; \\\n"
        "    fi",
    ]


def _build() -> Lines:
    return [
        "# What changes rarely, compiled once and kept until third_party changes.",
        "FROM toolchain AS dependencies",
        "COPY third_party third_party",
        run(f". {_TOOLCHAIN}", "make -C third_party"),
        "",
        "FROM dependencies AS build",
        "COPY . .",
        run(f". {_TOOLCHAIN}", _INSTALL),
        "",
    ]


def _profiled() -> Lines:
    shown = "-g -fno-omit-frame-pointer"
    frames = f'CFLAGS="$CFLAGS {shown}" CXXFLAGS="$CXXFLAGS {shown}"'
    return [
        "# The same code at the same speed, with symbols and frame pointers.",
        "FROM toolchain AS profiled",
        "# hadolint ignore=SC2016",
        f"RUN printf 'export {frames} LDFLAGS=\"${{LDFLAGS%%-s}} -g\"\\n' >> {_TOOLCHAIN}",
        "COPY third_party third_party",
        run(f". {_TOOLCHAIN}", "make -C third_party"),
        "COPY . .",
        run(f". {_TOOLCHAIN}", _INSTALL),
        "",
    ]
