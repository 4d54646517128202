"""CloudFront: what may be kept is answered near the user, everything else is passed on.

What may be kept says the service, in ``Cache-Control``; what it says nothing about is kept
nowhere, except below paths that hold files. Sources: Amazon CloudFront, Cache policies, Origin
failover, gRPC; RFC 9111.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.artifacts import names
from holdfast.artifacts.artifact import Artifact, Object
from holdfast.artifacts.resilience.aws import firewall, foundation, notices, records, storage
from holdfast.artifacts.resilience.aws.entrance import SHIELD, attacked, fronted, protection
from holdfast.artifacts.resilience.aws.template import (
    ARN,
    AWS,
    DAY,
    HOSTED_ZONE,
    att,
    exported,
    imported,
    kept,
    limited,
    log_days,
    on,
    parameter,
    ref,
    resource,
    sub,
    template,
)
from holdfast.spec.model import Service

STACK = "cdn"
#: Policies that AWS keeps: nothing is cached; everything of the request is passed on.
_UNCACHED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
_ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
_FILES = ("/static/*", "/assets/*")
_YEAR = 365 * DAY
_READS = ["GET", "HEAD", "OPTIONS"]
_ALL = [*_READS, "PUT", "PATCH", "POST", "DELETE"]
_PATIENCE = 60  # seconds: the most that CloudFront waits for an origin without a raised quota
_KEYS = (
    "service",
    "kubernetes.host",
    "traffic.protocol",
    "traffic.timeout",
    "resilience.cdn",
    "resilience.waf",
    "observability.keep_logs",
)


def render(service: Service) -> Iterator[Artifact]:
    if fronted(service):
        yield Artifact(
            f"{AWS}/global/{STACK}.yaml",
            stack(service),
            "What stands before all regions: near users, with a cache where it is wanted.",
            _KEYS,
            ("T116", "T119", "T120", "T135", "T137", "T141"),
        )


def stack(service: Service) -> Object:
    to, arn = imported(service, notices.STACK, "Notices"), _arn()
    resources = {
        **_logs(service),
        **_policies(service),
        "Distribution": resource(
            "CloudFront::Distribution", {"DistributionConfig": _config(service)}
        ),
        **_names(service),
        "Errors": _errors(to),
        "Protection": protection(STACK, arn),
        "Attacked": attacked(arn, to),
    }
    parameters = {
        "HostedZone": HOSTED_ZONE,
        "Certificate": parameter("The certificate of the public name, in us-east-1.", ARN),
        "Shield": SHIELD,
    }
    outputs = exported(service, STACK, Distribution=ref("Distribution"))
    about = f"CloudFront before {service.service}"
    return template(about, resources, outputs, parameters, {"Shielded": on("Shield")})


def _arn() -> Object:
    return sub("arn:${AWS::Partition}:cloudfront::${AWS::AccountId}:distribution/${Distribution}")


def _names(service: Service) -> Object:
    alias = records.alias(
        names.host(service), att("Distribution", "DomainName"), records.CLOUDFRONT_ZONE
    )
    six = {**alias, "Properties": {**alias["Properties"], "Type": "AAAA"}}
    return {"Public": alias, "PublicSix": six}


def _errors(to: object) -> Object:
    """Metrics of CloudFront name no region."""
    where = {"DistributionId": ref("Distribution"), "Region": "Global"}
    return foundation.alarm(
        "More than one in a hundred answers is an error",
        "AWS/CloudFront 5xxErrorRate",
        1,
        to=to,
        Statistic="Average",
        EvaluationPeriods=5,
        Dimensions=[{"Name": key, "Value": value} for key, value in where.items()],
    )


# ---- distribution --------------------------------------------------------------------------------


def _config(service: Service) -> Object:
    found: Object = {
        "Enabled": True,
        "Comment": f"Before {service.service}",
        "Aliases": [names.host(service)],
        "HttpVersion": "http2" if service.traffic.protocol == "grpc" else "http2and3",
        "IPV6Enabled": True,
        "PriceClass": "PriceClass_All",
        "ViewerCertificate": {
            "AcmCertificateArn": ref("Certificate"),
            "SslSupportMethod": "sni-only",
            "MinimumProtocolVersion": "TLSv1.2_2021",
        },
        "Logging": {"Bucket": att("Logs", "RegionalDomainName"), "Prefix": "cdn/"},
        "Origins": [_origin(service, *each) for each in _origins(service).items()],
        "OriginGroups": {"Quantity": 1, "Items": [_group()]},
        "DefaultCacheBehavior": _default(service),
    }
    if _caches(service):
        found["CacheBehaviors"] = [{"PathPattern": path, **_files()} for path in _FILES]
    if service.resilience.waf:
        found["WebACLId"] = imported(service, firewall.STACK, "Firewall")
    found["CustomErrorResponses"] = [
        {"ErrorCode": code, "ErrorCachingMinTTL": 0} for code in (500, 502, 503, 504)
    ]
    return found


def _caches(service: Service) -> bool:
    return service.resilience.cdn and service.traffic.protocol != "grpc"


def _origins(service: Service) -> dict[str, str]:
    return {"anycast": records.anycast(service), "nearest": records.nearest(service)}


def _origin(service: Service, name: str, host: str) -> Object:
    """The certificate behind it is that of the public name, which is passed on as the host."""
    wait = min(_PATIENCE, names.seconds(service.traffic.timeout))
    return {
        "Id": name,
        "DomainName": host,
        "ConnectionAttempts": 2,
        "ConnectionTimeout": 5,
        "CustomOriginConfig": {
            "OriginProtocolPolicy": "https-only",
            "OriginSSLProtocols": ["TLSv1.2"],
            "OriginReadTimeout": wait,
            "OriginKeepaliveTimeout": _PATIENCE,
        },
    }


def _group() -> Object:
    """Only for what is read: CloudFront repeats nothing else elsewhere."""
    codes = [500, 502, 503, 504]
    members = [{"OriginId": each} for each in ("anycast", "nearest")]
    return {
        "Id": "either",
        "FailoverCriteria": {"StatusCodes": {"Quantity": len(codes), "Items": codes}},
        "Members": {"Quantity": len(members), "Items": members},
    }


def _default(service: Service) -> Object:
    grpc = service.traffic.protocol == "grpc"
    found: Object = {
        "TargetOriginId": "anycast",
        "ViewerProtocolPolicy": "https-only" if grpc else "redirect-to-https",
        "AllowedMethods": _ALL,
        "CachedMethods": _READS,
        "Compress": True,
        "CachePolicyId": ref("ByService") if _caches(service) else _UNCACHED,
        "OriginRequestPolicyId": _ALL_VIEWER,
        "ResponseHeadersPolicyId": ref("Headers"),
    }
    return found | ({"GrpcConfig": {"Enabled": True}} if grpc else {})


def _files() -> Object:
    return {
        "TargetOriginId": "either",
        "ViewerProtocolPolicy": "redirect-to-https",
        "AllowedMethods": _READS,
        "CachedMethods": _READS,
        "Compress": True,
        "CachePolicyId": ref("Files"),
        "OriginRequestPolicyId": _ALL_VIEWER,
        "ResponseHeadersPolicyId": ref("Headers"),
    }


# ---- policies ------------------------------------------------------------------------------------


def _policies(service: Service) -> Object:
    found = {"Headers": resource("CloudFront::ResponseHeadersPolicy", _headers(service))}
    if _caches(service):
        found["ByService"] = _cache(service, "by-service", 0)
        found["Files"] = _cache(service, "files", DAY)
    return found


def _cache(service: Service, name: str, unsaid: int) -> Object:
    """``unsaid``: seconds for what the service says nothing about. An answer to one who is logged
    in is never another's: whoever sends ``Authorization`` has a copy of their own."""
    key = {
        "EnableAcceptEncodingGzip": True,
        "EnableAcceptEncodingBrotli": True,
        "QueryStringsConfig": {"QueryStringBehavior": "all"},
        "CookiesConfig": {"CookieBehavior": "none"},
        "HeadersConfig": {
            "HeaderBehavior": "whitelist",
            "Headers": ["Authorization", "Host", "Origin"],
        },
    }
    config = {
        "Name": limited(f"{service.service}-{name}", 128),
        "MinTTL": 0,
        "DefaultTTL": unsaid,
        "MaxTTL": _YEAR,
        "ParametersInCacheKeyAndForwardedToOrigin": key,
    }
    return resource("CloudFront::CachePolicy", {"CachePolicyConfig": config})


def _headers(service: Service) -> Object:
    """What the service itself says about these stands."""
    own = {"Override": False}
    security = {
        "StrictTransportSecurity": {
            "AccessControlMaxAgeSec": _YEAR,
            "IncludeSubdomains": True,
            **own,
        },
        "ContentTypeOptions": {"Override": True},
        "FrameOptions": {"FrameOption": "DENY", **own},
        "ReferrerPolicy": {"ReferrerPolicy": "strict-origin-when-cross-origin", **own},
    }
    name = limited(f"{service.service}-headers", 128)
    return {"ResponseHeadersPolicyConfig": {"Name": name, "SecurityHeadersConfig": security}}


# ---- logs ----------------------------------------------------------------------------------------


def _logs(service: Service) -> Object:
    """CloudFront writes by an access control list, so this bucket alone still knows them."""
    rule = {
        "Id": "logs",
        "Status": "Enabled",
        "ExpirationInDays": log_days(service),
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }
    name = limited(f"{service.service}-logs-{STACK}", 63)
    settings = storage.closed(name, storage.plain(), [rule])
    settings["OwnershipControls"] = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    return {
        "Logs": kept("S3::Bucket", settings),
        "LogsPolicy": storage.secured("Logs", []),
    }
