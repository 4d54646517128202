"""The name of a release. Here, below the rollout, because a digest is made from a spec."""

from __future__ import annotations

from dataclasses import dataclass

ReleaseId = str

#: What people may call a release where they give the name apart from the spec, and in words.
VERSION_WORD = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
VERSION_WANTED = "letters, digits and . _ + -, a letter or digit first, at most 64 of them"


@dataclass(frozen=True, slots=True)
class Release:
    """One immutable version: image or command + config + secret references + migrations."""

    id: ReleaseId  # unique name in the service, e.g. "v2-3f9a1c20"
    digest: str  # sha256 hex over all that makes the release
    version: str  # what people call it, e.g. "v2"
