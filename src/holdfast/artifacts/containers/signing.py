"""Scripts that list what is in an image, scan it, sign it, and verify it before it starts.

Everything is about a digest, never about a tag: a tag can be moved between two of the steps.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact
from holdfast.artifacts.containers.scanning import PATH as TRIVY
from holdfast.artifacts.versions import COSIGN
from holdfast.spec.model import Service

_KEYS = ("image.repository",)
_ISSUER = "https://token.actions.githubusercontent.com"

_IMAGE = """
image="${1:?usage: $0 sha256:DIGEST}"
[[ "$image" =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "$image is no digest" >&2; exit 2; }
image="$repository@$image"
"""

_NEW_ENOUGH = """
# Signatures of older releases are not found by newer ones without being told where to look.
version=$(cosign version --json | jq --raw-output '.gitVersion | ltrimstr("v")')
if [[ "$(printf '%s\\n' "$least" "$version" | sort --version-sort | head -n 1)" != "$least" ]]; then
  echo "cosign $version is too old; at least $least is needed" >&2
  exit 2
fi
"""

_SBOM = """
trivy image --quiet --format cyclonedx --output sbom.cdx.json "$image"
trivy image --quiet --format spdx-json --output sbom.spdx.json "$image"
"""

_SCAN = """
trivy --config "$config" image "$image"
"""

_SIGN = """
# With a key (COSIGN_KEY: a file or a KMS address) or, in a pipeline, with its identity.
key=()
[[ -z "${COSIGN_KEY:-}" ]] || key=(--key "$COSIGN_KEY")
cosign sign --yes --recursive "${key[@]}" "$image"
for kind in cyclonedx spdxjson; do
  file=sbom.cdx.json
  [[ "$kind" == cyclonedx ]] || file=sbom.spdx.json
  cosign attest --yes --type "$kind" --predicate "$file" "${key[@]}" "$image"
done
"""

_VERIFY = """
who=(--certificate-identity-regexp "$identity" --certificate-oidc-issuer "$issuer")
[[ -z "${COSIGN_PUBLIC_KEY:-}" ]] || who=(--key "$COSIGN_PUBLIC_KEY")
cosign verify "${who[@]}" "$image" >/dev/null
for kind in cyclonedx spdxjson; do
  cosign verify-attestation --type "$kind" "${who[@]}" "$image" >/dev/null
done
echo "$image is signed, and what is in it is attested"
"""


def render(service: Service) -> Iterable[Artifact]:
    yield _script(
        "sbom", "What is in the image, as CycloneDX and SPDX.", _told(service), _IMAGE + _SBOM,
        _KEYS, ("T10",),
    )  # fmt: skip
    yield _script(
        "scan", "Known vulnerabilities in the image; fails at the severity of trivy.yaml.",
        _told(service, config=f"{service.delivery.path}/{TRIVY}"), _IMAGE + _SCAN,
        (*_KEYS, "delivery.path"), ("T9",),
    )  # fmt: skip
    yield _script(
        "sign", "Signs the image and what is in it.", _told(service, least=COSIGN),
        _IMAGE + _NEW_ENOUGH + _SIGN, _KEYS, ("T10", "T22"),
    )  # fmt: skip
    identity = f"^{re.escape(names.git(service))}/"
    yield _script(
        "verify", "Refuses an image that is not signed by this service's own pipeline.",
        _told(service, least=COSIGN, identity=identity, issuer=_ISSUER),
        _IMAGE + _NEW_ENOUGH + _VERIFY, (*_KEYS, "delivery.repository"), ("T10", "T22"),
    )  # fmt: skip


def _told(service: Service, **values: str) -> str:
    given = {"repository": names.repository(service), **values}
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in given.items())


def _script(
    name: str, about: str, told: str, body: str, keys: tuple[str, ...], rows: tuple[str, ...]
) -> Artifact:
    text = f"#!/usr/bin/env bash\nset -euo pipefail\n\n{told}{body}"
    own = ("service", *keys) if "image.repository" in keys else keys
    return Artifact(f"containers/{name}.sh", text, about, keys=own, rows=rows)
