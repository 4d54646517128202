"""``waivers``: findings accepted for a while."""

from __future__ import annotations

from pydantic import Field

from holdfast.spec.kinds import Text
from holdfast.spec.section import Section


class Waiver(Section):
    """A finding of ``holdfast check`` that is accepted, by whom knows why, until when."""

    rule: Text = Field(description="the rule's name as the finding says it")
    artifact: Text = Field(default="*", description="a path or a glob over the rendered set")
    found: Text = Field(default="*", description="a glob over what the finding says it found")
    reason: Text = Field(description="why it is acceptable")
    expires: Text = Field(description="the last day, such as 2027-06-30; then it counts again")
