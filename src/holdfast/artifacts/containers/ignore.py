"""What never enters a build: history, secrets, results of earlier builds, the rendered set.

Beside the Dockerfile, so that BuildKit and buildah find it whatever the context is.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.artifacts.artifact import Artifact
from holdfast.spec.model import Service

PATH = "containers/Dockerfile.dockerignore"
KEYS = ("delivery.path",)
_PATTERNS = (
    ".git", ".github", ".gitignore", ".dockerignore", "Dockerfile*", "compose*.yaml",
    "holdfast.yaml", "holdfast.yml", "overrides",
    ".env", ".env.*", "*.pem", "*.key", "*.p12", "secrets", ".netrc", ".npmrc", ".pypirc",
    ".aws", ".kube", ".ssh",
    "**/.venv", "**/__pycache__", "**/.pytest_cache", "**/.mypy_cache", "**/.ruff_cache",
    "**/node_modules", "**/target", "**/*.o", "**/*.log",
    ".idea", ".vscode", ".devcontainer",
)  # fmt: skip


def render(service: Service) -> Iterable[Artifact]:
    about = "What is not sent to the builder: less to send, no secrets in a layer, fewer rebuilds."
    body = "\n".join((*_PATTERNS, *_rendered(service.delivery.path))) + "\n"
    yield Artifact(PATH, body, about, keys=KEYS, rows=("T3", "T8"))


def _rendered(path: str) -> tuple[str, ...]:
    """The rendered set changes with every setting, which must not rebuild anything."""
    plain = "/".join(part for part in path.split("/") if part not in ("", "."))
    means_itself = plain.isprintable() and plain == plain.strip() and not set(plain) & set("*?[\\")
    return (plain,) if plain and means_itself and plain[0] not in "!#" else ()
