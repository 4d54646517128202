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
_PEM = "-----BEGIN PUBLIC KEY-----"
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

#: cosign 3 refuses --tlog-upload=false beside its public signing configuration.
_PRIVATE = """
# Nothing about a private key goes into a public log.
how=(--use-signing-config=false --tlog-upload=false)
"""

_BY_IDENTITY = """
how=()  # in a pipeline with its identity
"""

_SIGN = """
cosign sign --yes --recursive "${how[@]}" "$image"
for kind in cyclonedx spdxjson; do
  file=sbom.cdx.json
  [[ "$kind" == cyclonedx ]] || file=sbom.spdx.json
  cosign attest --yes --type "$kind" --predicate "$file" "${how[@]}" "$image"
done
"""

_KEY_FILE = """
key=$(mktemp)
trap 'rm -f "$key"' EXIT
printf '%s\\n' "$public" >"$key"
"""
_BY_KEY = """
who=(--key "$key" --insecure-ignore-tlog=true)  # it was signed without the public log
"""
_BY_PIPELINE = """
who=(--certificate-identity-regexp "$identity" --certificate-oidc-issuer "$issuer")
"""

_VERIFY = """
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
    told, sign = _signing(service)
    yield _script(
        "sign", "Signs the image and what is in it.", _told(service, least=COSIGN, **told),
        _IMAGE + _NEW_ENOUGH + sign + _SIGN, (*_KEYS, "image.signer"), ("T10", "T22"),
    )  # fmt: skip
    told, verify = _verifying(service)
    yield _script(
        "verify", "Refuses an image that is not signed by this service's own pipeline.",
        _told(service, least=COSIGN, **told), _IMAGE + _NEW_ENOUGH + verify + _VERIFY,
        (*_KEYS, "image.signer", "delivery.repository"), ("T10", "T22"),
    )  # fmt: skip


def _signing(service: Service) -> tuple[dict[str, str], str]:
    """By a key in a key store, by the private half of a key that is given, or by identity."""
    given = service.image.signer
    if not given:
        return {}, _BY_IDENTITY
    key = "env://COSIGN_PRIVATE_KEY" if _PEM in given else given
    return {"key": key}, _PRIVATE + 'how+=(--key "$key")\n'


def _verifying(service: Service) -> tuple[dict[str, str], str]:
    given = service.image.signer
    if not given:
        identity = f"^{re.escape(names.git(service))}/"
        return {"identity": identity, "issuer": _ISSUER}, _BY_PIPELINE
    if _PEM in given:
        return {"public": given.strip()}, _KEY_FILE + _BY_KEY
    return {"key": given}, _BY_KEY


def _told(service: Service, **values: str) -> str:
    given = {"repository": names.repository(service), **values}
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in given.items())


def _script(
    name: str, about: str, told: str, body: str, keys: tuple[str, ...], rows: tuple[str, ...]
) -> Artifact:
    text = f"#!/usr/bin/env bash\nset -euo pipefail\n\n{told}{body}"
    own = ("service", *keys) if "image.repository" in keys else keys
    return Artifact(f"containers/{name}.sh", text, about, keys=own, rows=rows)
