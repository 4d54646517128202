"""``resilience``: data services, backups, protection."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.spec.kinds import Duration, Size, Switch
from holdfast.spec.section import Section


class Backup(Section):
    """Continuous backups and what they promise."""

    every: Duration = Field(default=86400.0, description="a full backup; the log is continuous")
    keep: Duration = Field(default=30 * 86400.0, description="then it is deleted")
    rpo: Duration = Field(default=60.0, description="P5: history that may be lost")
    rto: Duration = Field(default=300.0, description="P4: fault to the first successful write")


class Resilience(Section):
    """Data services, backups, protection against floods and bad requests."""

    database: Literal["postgres", "cockroach", "none"] = Field(
        default="postgres", description="the clustered database"
    )
    database_size: Size = Field(default=100 * 2**30, description="of each of its volumes")
    cache: Literal["redis", "none"] = Field(default="redis", description="with Sentinel")
    queue: Literal["kafka", "none"] = Field(default="kafka", description="by Strimzi")
    objects: Literal["s3", "minio", "none"] = Field(default="s3", description="object storage")
    backup: Backup = Field(default=Backup(), description="continuous backups")
    waf: Switch = Field(default=True, description="web application firewall")
    cdn: Switch = Field(default=True, description="content delivery network")
