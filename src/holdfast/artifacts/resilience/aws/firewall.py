"""The firewall before everything: floods from one address, known attackers, known attacks.

The cluster's own gateway looks a second time, with the OWASP rules. Sources: AWS WAF, Managed rule
groups, Rate-based rules, Logging.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import foundation, notices
from holdfast.artifacts.resilience.aws.entrance import fronted
from holdfast.artifacts.resilience.aws.template import (
    AWS,
    att,
    exported,
    imported,
    limited,
    log_days,
    ref,
    resource,
    template,
)
from holdfast.spec.model import Service

STACK = "firewall"
_WINDOW = 300  # seconds over which requests of an address are counted
_REQUESTS = 30_000  # in that time: a hundred a second
_MANY = 10_000  # blocked requests in five minutes that somebody should hear of
#: Rule groups that AWS keeps, the cheapest first, with rules that only count: uploads are large.
_MANAGED = {
    "AmazonIpReputationList": (),
    "KnownBadInputsRuleSet": (),
    "CommonRuleSet": ("SizeRestrictions_BODY",),
    "SQLiRuleSet": (),
}


def render(service: Service) -> Iterator[Artifact]:
    if fronted(service) and service.resilience.waf:
        yield Artifact(
            f"{AWS}/global/{STACK}.yaml",
            stack(service),
            "What no request may be, and how many one address may send.",
            ("service", "traffic.protocol", "resilience.waf", "observability.keep_logs"),
            ("T120", "T136", "T137"),
        )


def stack(service: Service) -> Object:
    group = foundation.log_group(service, _group(service), log_days(service))
    group["Properties"]["KmsKeyId"] = imported(service, notices.STACK, "Key")
    resources = {
        "Firewall": resource("WAFv2::WebACL", _firewall(service)),
        "Requests": group,
        "Logging": resource("WAFv2::LoggingConfiguration", _logging()),
        "Flood": _flood(service),
    }
    limit = {
        "Type": "Number",
        "Default": _REQUESTS,
        "MinValue": 10,
        "MaxValue": 2_000_000_000,
        "Description": "Requests of one address in five minutes; more are blocked.",
    }
    return template(
        f"Firewall of {service.service}",
        resources,
        exported(service, STACK, Firewall=att("Firewall", "Arn")),
        {"RequestsPerAddress": limit},
    )


def _group(service: Service) -> str:
    """WAF writes only to log groups of such a name."""
    return f"aws-waf-logs-{service.service}"


def _metric(service: Service) -> str:
    return limited(service.service, 128)


def _seen(name: str) -> Object:
    return {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": name}


def _firewall(service: Service) -> Object:
    managed = enumerate(_MANAGED.items(), 1)
    return {
        "Scope": "CLOUDFRONT",
        "DefaultAction": {"Allow": {}},
        "VisibilityConfig": _seen(_metric(service)),
        "Rules": [_rate(), *(_managed(rank, *each) for rank, each in managed)],
    }


_BLOCK = {"Block": {"CustomResponse": {"ResponseCode": 429}}}


def _rate() -> Object:
    """First, because a flood should cost nothing more."""
    counted = {
        "Limit": ref("RequestsPerAddress"),
        "AggregateKeyType": "IP",
        "EvaluationWindowSec": _WINDOW,
    }
    return {
        "Name": "flood",
        "Priority": 0,
        "Action": _BLOCK,
        "Statement": {"RateBasedStatement": counted},
        "VisibilityConfig": _seen("flood"),
    }


def _managed(rank: int, name: str, counted: tuple[str, ...]) -> Object:
    group: Object = {"VendorName": "AWS", "Name": f"AWSManagedRules{name}"}
    if counted:
        group["RuleActionOverrides"] = [
            {"Name": each, "ActionToUse": {"Count": {}}} for each in counted
        ]
    return {
        "Name": name,
        "Priority": rank,
        "OverrideAction": {"None": {}},
        "Statement": {"ManagedRuleGroupStatement": group},
        "VisibilityConfig": _seen(name),
    }


def _logging() -> Object:
    """Who a user is stays out of the log."""
    secret = ("authorization", "cookie")
    return {
        "ResourceArn": att("Firewall", "Arn"),
        "LogDestinationConfigs": [att("Requests", "Arn")],
        "RedactedFields": [{"SingleHeader": {"Name": each}} for each in secret],
    }


def _flood(service: Service) -> Object:
    return foundation.alarm(
        "The firewall blocks many requests",
        "AWS/WAFV2 BlockedRequests",
        _MANY,
        to=imported(service, notices.STACK, "Notices"),
        Period=_WINDOW,
        EvaluationPeriods=1,
        Dimensions=[
            {"Name": "WebACL", "Value": _metric(service)},
            {"Name": "Rule", "Value": "ALL"},
        ],
    )
