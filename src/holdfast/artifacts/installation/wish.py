"""What is asked of an installation."""

from __future__ import annotations

import re
from dataclasses import dataclass

PINNED = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
SPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Installation:
    """``postgres_secret`` holds ``url``, ``keys_secret`` ``log.pem``; people make both.

    Raises ``ValueError`` for an image without a digest and for names that Kubernetes refuses.
    """

    image: str
    namespace: str = "holdfast"
    replicas: int = 2
    postgres_secret: str = "holdfast-postgres"
    keys_secret: str = "holdfast-ledger-keys"

    def __post_init__(self) -> None:
        if not PINNED.fullmatch(self.image):
            raise ValueError(f"found image {self.image!r}, wanted NAME@sha256:DIGEST")
        for word in (self.namespace, self.postgres_secret, self.keys_secret):
            if not SPACE.fullmatch(word):
                raise ValueError(f"found name {word!r}, wanted small letters, digits and dashes")
