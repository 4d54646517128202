"""``delivery``: from a commit to production."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from holdfast.spec.kinds import Count, Text
from holdfast.spec.section import Section


class Delivery(Section):
    """From a commit to production: repository, pipeline, GitOps."""

    _short: ClassVar[str | None] = "repository"
    repository: Text | None = Field(
        default=None, description="git address; empty: https://github.com/example/SERVICE"
    )
    branch: Text = Field(default="main", description="what is deployed from")
    path: Text = Field(default="out", description="where the rendered set lives in the repository")
    platform: bool = Field(
        default=True,
        description="whether Argo CD also gets from here what all services of a cluster share",
    )
    flagger: bool = Field(
        default=False,
        description="Flagger does the rollouts of clusters: Argo CD syncs delivery/flagger",
    )
    approvers: tuple[Text, ...] = Field(
        default=(), description="teams or people who approve production"
    )
    regression: Count = Field(
        default=10, ge=1, le=1000, description="percent a benchmark may get slower"
    )
