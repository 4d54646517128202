"""How a language is built: what every recipe has, so that the file around it is the same."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.artifacts.versions import Image

Lines = list[str]

#: What people look with, inside an image that is never the one that serves.
LOOKING = ("gdb", "lsof", "procps", "strace")
_CLEAN = "rm -rf /var/lib/apt/lists/*"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Stages of a language.

    ``build`` ends with a stage *build* whose ``/out`` is copied over the base image, and a stage
    *profiled* whose ``/out`` has symbols and frame pointers. ``testing`` and ``benchmark`` are
    what follows ``FROM`` in the stages of these names.
    """

    builder: Image
    build: Lines
    testing: Lines
    benchmark: Lines
    layers: Lines = field(default_factory=list)  # dependencies, a layer of their own
    environment: dict[str, str] = field(default_factory=dict)  # of every image that runs it
    profiling: dict[str, str] = field(default_factory=dict)  # besides, where perf looks at it
    cpus: dict[str, str] = field(default_factory=dict)  # architecture -> the least processor
    tools: Image | None = None  # where people look at it; Debian unless said otherwise


def installed(*packages: str, needed: str = "") -> Lines:
    """Debian packages, skipped where the program ``needed`` is in the image already."""
    listed = " ".join(sorted(packages))
    install = (
        "apt-get update \\\n"
        f" && apt-get install -y --no-install-recommends {listed} \\\n"
        f" && {_CLEAN}"
    )
    if needed:
        install = (
            f"if ! command -v {needed} >/dev/null; then \\\n"
            f"    apt-get update \\\n"
            f"    && apt-get install -y --no-install-recommends {listed} \\\n"
            f"    && {_CLEAN}; \\\n"
            "    fi"
        )
    # Versions are those of Debian's stable release: its security updates are wanted.
    return ["# hadolint ignore=DL3008", f"RUN {install}"]


def run(*commands: str, mounts: tuple[str, ...] = ()) -> str:
    """One layer; ``mounts`` are directories whose content is kept between builds."""
    kept = "".join(f"--mount=type=cache,target={path},sharing=locked \\\n    " for path in mounts)
    return f"RUN {kept}" + " \\\n && ".join(commands)


def by_platform(amd64: str, arm64: str) -> str:
    """A shell ``case`` over the platform that is built for."""
    return (
        'case "$TARGETARCH" in \\\n'
        f"    amd64) {amd64} ;; \\\n"
        f"    arm64) {arm64} ;; \\\n"
        '    *) echo "nothing is known about $TARGETARCH" >&2; exit 1 ;; \\\n'
        "    esac"
    )
