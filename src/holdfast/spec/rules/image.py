"""Rules about the image: names and digests that every registry and runtime reads alike.

Source: distribution/reference, the grammar of image references.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.spec.model import Service
from holdfast.spec.problem import one_line
from holdfast.spec.rules.finding import Finding

_HOST = r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+)(:[0-9]{1,5})?"
_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_HOST}(/{_PART})+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BASE = re.compile(rf"({_HOST}/)?{_PART}(/{_PART})*(:[\w][\w.-]{{0,127}})?@{_DIGEST.pattern}", re.A)
_REGISTRY = re.compile(_HOST)
#: Empty, PEM (RFC 7468), or the addresses that cosign knows (sigstore/sigstore, pkg/signature/kms).
_SIGNER = re.compile(
    r"|(awskms|gcpkms|azurekms|hashivault)://[\x21-\x7e]+"
    r"|\s*-----BEGIN PUBLIC KEY-----\s[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*"
)
_LONGEST = 255


def check(service: Service) -> Iterator[Finding]:
    image = service.image
    if image.repository is not None and not _named(image.repository):
        wanted = "registry and name without a tag, such as registry.example.com/shop"
        yield Finding(("image", "repository"), repr(one_line(image.repository)), wanted)
    if image.digest is not None and not _DIGEST.fullmatch(image.digest):
        wanted = "sha256: and 64 hexadecimal digits"
        yield Finding(("image", "digest"), repr(one_line(image.digest)), wanted)
    if image.base is not None and not _BASE.fullmatch(image.base):
        wanted = "an image with its digest: name@sha256:..."
        hint = "a tag alone may mean another image tomorrow"
        yield Finding(("image", "base"), repr(one_line(image.base)), wanted, hint)
    if not _SIGNER.fullmatch(image.signer):
        wanted = "a public key (PEM), or the address of one such as awskms:///alias/shop"
        yield Finding(("image", "signer"), repr(one_line(image.signer)), wanted)
    if not image.platforms:
        yield Finding(("image", "platforms"), "an empty list", "at least one platform")
    for region, registry in image.mirrors.items():
        yield from _mirror(service, region, registry)


def _named(repository: str) -> bool:
    return len(repository) <= _LONGEST and _REPOSITORY.fullmatch(repository) is not None


def _mirror(service: Service, region: str, registry: str) -> Iterator[Finding]:
    path = ("image", "mirrors", region)
    known = [each.name for each in service.regions]
    if region not in known:
        wanted = f"one of {', '.join(known)}"
        yield Finding(path, repr(one_line(region)), wanted, also=(("regions",),))
    if not _REGISTRY.fullmatch(registry):
        wanted = "a registry such as registry.eu.example.com"
        yield Finding(path, repr(one_line(registry)), wanted)
