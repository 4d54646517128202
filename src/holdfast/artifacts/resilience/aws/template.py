"""Templates and their pieces: references, exports, parameters, what outlives a stack."""

from __future__ import annotations

import hashlib
import math
from typing import Final

from holdfast.artifacts.artifact import Object
from holdfast.spec.model import Service
from holdfast.spec.production.regions import Region

AWS: Final = "resilience/aws"
GLOBAL: Final = "us-east-1"  # where certificates and firewalls of CloudFront live
DAY: Final = 86400
#: Days that CloudWatch Logs can keep a log group (PutRetentionPolicy).
_KEPT = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557,
         2922, 3288, 3653)  # fmt: skip


def ref(name: str) -> Object:
    return {"Ref": name}


def att(name: str, field: str) -> Object:
    return {"Fn::GetAtt": [name, field]}


def sub(text: str) -> Object:
    """Only for text of our own: a dollar sign in a user's text would be read."""
    return {"Fn::Sub": text}


def when(condition: str, then: object, otherwise: object) -> Object:
    return {"Fn::If": [condition, then, otherwise]}


NOTHING: Final = {"Ref": "AWS::NoValue"}


def stack(service: Service, name: str) -> str:
    """The name of a stack; the same in every region."""
    return f"{service.service}-{name}"


def imported(service: Service, name: str, output: str) -> Object:
    """The output of another stack of the same region."""
    return {"Fn::ImportValue": f"{stack(service, name)}-{output}"}


def exported(service: Service, name: str, **values: object) -> Object:
    """Outputs that stacks of the same region import and ``deploy.sh`` reads for other regions."""
    return {
        output: {"Value": value, "Export": {"Name": f"{stack(service, name)}-{output}"}}
        for output, value in values.items()
    }


def template(
    about: str,
    resources: Object,
    outputs: Object | None = None,
    parameters: Object | None = None,
    conditions: Object | None = None,
) -> Object:
    """A template in the order in which people read it; empty parts are left out."""
    parts: Object = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": about,
        "Parameters": parameters,
        "Conditions": conditions,
        "Resources": resources,
        "Outputs": outputs,
    }
    return {key: value for key, value in parts.items() if value}


def resource(kind: str, properties: Object, **more: object) -> Object:
    """``kind``: ``EC2::VPC``. ``more``: ``DependsOn``, ``Condition`` and their like."""
    return {"Type": f"AWS::{kind}", **more, "Properties": properties}


def kept(kind: str, properties: Object, **more: object) -> Object:
    """A resource with data: it stays when its stack goes or replaces it, unless it was just made
    by a stack that failed: then its name would be taken."""
    retain = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
    return resource(kind, properties, **retain, **more)


def parameter(about: str, pattern: str = "", default: str | None = None) -> Object:
    """A text. Without a default, deploying asks for it."""
    found: Object = {"Type": "String", "Description": about}
    if default is not None:
        found["Default"] = default
    return found | ({"AllowedPattern": pattern} if pattern else {})


def switch(about: str) -> Object:
    """A parameter that is off until somebody turns it on."""
    return {
        "Type": "String", "Description": about, "Default": "false",
        "AllowedValues": ["true", "false"],
    }  # fmt: skip


def on(name: str) -> Object:
    """Whether a ``switch`` is on."""
    return {"Fn::Equals": [ref(name), "true"]}


def given(name: str) -> Object:
    """Whether a parameter with an empty default was given."""
    return {"Fn::Not": [{"Fn::Equals": [ref(name), ""]}]}


ARN: Final = r"^arn:aws[a-z-]*:[a-z0-9-]+:.+$"
ZONE_ID: Final = r"^Z[A-Z0-9]{1,31}$"
HOSTED_ZONE: Final = parameter("The hosted zone of the public name in Route 53.", ZONE_ID)


def tags(name: str, **more: str) -> list[Object]:
    return [{"Key": key, "Value": value} for key, value in {"Name": name, **more}.items()]


def limited(name: str, most: int) -> str:
    """A name that fits; what is cut is told apart by eight digits."""
    if len(name) <= most:
        return name
    unique = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: most - 9].rstrip('-')}-{unique}"


def cluster_name(service: Service, region: Region) -> str:
    """EKS takes a hundred characters."""
    return limited(f"{service.service}-{region.name}", 100)


def camel(name: str) -> str:
    """``us-east`` as a logical name: ``UsEast``."""
    return "".join(part.capitalize() for part in name.split("-"))


def days(seconds: float) -> int:
    """Whole days, rounded up: never shorter than the spec says."""
    return max(1, math.ceil(seconds / DAY))


def log_days(service: Service) -> int:
    """``observability.keep_logs`` as the next longer time that CloudWatch Logs offers."""
    wanted = days(service.observability.keep_logs)
    return next((each for each in _KEPT if each >= wanted), _KEPT[-1])
