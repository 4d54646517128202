"""Rust: cargo-chef (plan, cook, build) over zig's linker, which links for every platform.

``static`` is musl, which needs no C library in the image but brings a slow allocator: a program
that allocates much sets its own ``#[global_allocator]``. ``dynamic`` is glibc.
"""

from __future__ import annotations

from holdfast.artifacts import versions
from holdfast.artifacts.containers.recipe import Lines, Recipe, by_platform, installed, run
from holdfast.artifacts.containers.words import program
from holdfast.spec.model import Service

_CACHES = ("/usr/local/cargo/git/db", "/usr/local/cargo/registry")
CPUS = {"amd64": "x86-64-v3", "arm64": "neoverse-n1"}
_TOOLCHAIN = "/etc/toolchain"
_COOK = 'cargo chef cook --zigbuild --locked --release --target "$TRIPLE" --recipe-path recipe.json'
_BUILD = 'cargo zigbuild --locked --release --target "$TRIPLE" --bin'
_USE = f". {_TOOLCHAIN}"


def recipe(service: Service) -> Recipe:
    return Recipe(
        builder=versions.RUST,
        build=[*_chef(service), *_build(service), *_profiled(service)],
        # Not in a cache: whoever runs the tests has no network.
        testing=[run("cargo fetch --locked", "cargo test --locked --no-run")],
        benchmark=[run("cargo fetch --locked", "cargo bench --locked --no-run")],
        cpus=CPUS,
    )


TESTS = ["cargo", "test", "--locked", "--offline"]
BENCHMARKS = ["cargo", "bench", "--locked", "--offline"]


def _chef(service: Service) -> Lines:
    libc = "musl" if service.image.linkage == "static" else "gnu"
    chosen = by_platform(
        f"triple=x86_64-unknown-linux-{libc}; cpu={CPUS['amd64']}",
        f"triple=aarch64-unknown-linux-{libc}; cpu={CPUS['arm64']}",
    )
    packages = f"ziglang=={versions.ZIG} cargo-zigbuild=={versions.CARGO_ZIGBUILD}"
    return [
        "FROM --platform=$BUILDPLATFORM ${BUILDER} AS chef",
        *installed("python3-venv"),
        run(
            "python3 -m venv /opt/zig",
            f"/opt/zig/bin/pip install --no-cache-dir {packages}",
            f"cargo install --locked cargo-chef --version {versions.CARGO_CHEF}",
        ),
        'ENV PATH="/opt/zig/bin:${PATH}"',
        "WORKDIR /src",
        "ARG TARGETARCH",
        "ARG CPU=",
        run(
            chosen,
            'rustup target add "$triple"',
            "printf 'export TRIPLE=%s RUSTFLAGS=\"-C target-cpu=%s\"\\n' "
            f'"$triple" "${{CPU:-$cpu}}" > {_TOOLCHAIN}',
        ),
        "",
        "# What the dependencies are, without the source: changes of the source do not change it.",
        "FROM chef AS planner",
        "COPY . .",
        "RUN cargo chef prepare --recipe-path recipe.json",
        "",
    ]


def _build(service: Service) -> Lines:
    return [
        "# Dependencies, compiled once and kept until Cargo.lock changes.",
        "FROM chef AS cook",
        "ENV CARGO_PROFILE_RELEASE_LTO=fat \\\n"
        "    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \\\n"
        "    CARGO_PROFILE_RELEASE_STRIP=symbols",
        "COPY --from=planner /src/recipe.json recipe.json",
        run(_USE, _COOK, mounts=_CACHES),
        "",
        "FROM cook AS build",
        "COPY . .",
        _compiled(service),
        "",
    ]


def _profiled(service: Service) -> Lines:
    frames = 'export RUSTFLAGS="$RUSTFLAGS -C force-frame-pointers=yes"\\n'
    return [
        "# The same code at the same speed, with symbols and frame pointers.",
        "FROM chef AS profiled",
        "ENV CARGO_PROFILE_RELEASE_LTO=fat \\\n"
        "    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \\\n"
        "    CARGO_PROFILE_RELEASE_DEBUG=line-tables-only",
        f"# hadolint ignore=SC2016\nRUN printf '{frames}' >> {_TOOLCHAIN}",
        "COPY --from=planner /src/recipe.json recipe.json",
        run(_USE, _COOK, mounts=_CACHES),
        "COPY . .",
        _compiled(service),
        "",
    ]


def _compiled(service: Service) -> str:
    path = program(service)
    name = path.rpartition("/")[2]
    made = f'install -D "target/$TRIPLE/release/{name}" /out{path}'
    return run(_USE, f"{_BUILD} {name}", made, mounts=_CACHES)
