"""What the conductor's API accepts, as models: the checks and the OpenAPI document come from here.

Everything is strict: unknown fields, wrong types, control characters and non-finite numbers are
problems that name the field, never guesses.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast.spec.release import VERSION_WANTED, VERSION_WORD

SPEC_CHARACTERS_MAX = 1_000_000
_LINE = r"^[^\x00-\x1f\x7f]*$"

Line = Annotated[str, Field(max_length=500, pattern=_LINE)]
Person = Annotated[str, Field(min_length=1, max_length=100, pattern=_LINE)]
Version = Annotated[str, Field(pattern=VERSION_WORD)]
_PATH = r"^/[^\x00-\x1f\x7f]*$"
PathText = Annotated[str, Field(max_length=4096, pattern=_PATH)]

#: The patterns above, for people.
WANTED = {
    _LINE: "one line of text without control characters",
    _PATH: "an absolute path without control characters",
    VERSION_WORD: VERSION_WANTED,
}


class ByBody(BaseModel):
    """A command that needs nothing but who gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    by: Person | None = Field(
        default=None, description="on whose behalf; honoured for admins, others are who they are"
    )


class LinkBody(ByBody):
    """What a browser may do that is let in."""

    role: Literal["viewer", "deployer", "approver", "admin"] | None = Field(
        default=None, description="at most so much; the caller's own role when not given"
    )


class ReasonBody(ByBody):
    """A command that people want to know the reason of."""

    reason: Line = ""


class RollbackBody(ByBody):
    """Back to a past release."""

    to: Line | None = Field(
        default=None, description="id, digest or version; the previous release when not given"
    )

    force: bool = Field(default=False, description="even to a release that was rejected")


class ScaleBody(ByBody):
    """How many replicas are wanted from now on."""

    replicas: int = Field(ge=0, le=10_000)


class DeployBody(ByBody):
    """A spec as text. Relative paths in it begin at the directory of ``spec_path``."""

    spec_text: str = Field(min_length=1, max_length=SPEC_CHARACTERS_MAX)
    spec_path: PathText = Field(default="/holdfast.yaml", description="absolute path of the spec")
    version: Version | None = Field(default=None, description="overrides the spec's version")
    force: bool = Field(default=False, description="deploy even a release that was rejected")
    restart: bool = Field(default=False, description="roll even when nothing changed")
    override_gate: bool = Field(
        default=False, description="start outside a window or in a freeze; recorded (approver)"
    )
    on_conflict: Literal["replace", "queue", "refuse"] | None = Field(
        default=None, description="when a rollout runs already; the spec's word when not given"
    )
