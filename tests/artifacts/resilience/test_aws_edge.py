"""What stands before the regions: names, addresses, cache, firewall, protection, alarms."""

from __future__ import annotations

from collections import defaultdict

import aws_templates as aws
import pytest
from family import HOSTILE, spec

from holdfast.artifacts import names


def fronted(service):
    asked = service.resilience.cdn or service.resilience.waf
    return asked and service.traffic.protocol != "tcp"


@pytest.mark.req("T116", "T118")
def test_the_accelerator_leads_to_every_region_by_tls_alone(service):
    body = aws.template(service, "global", "accelerator")
    groups = aws.resources(body, "GlobalAccelerator::EndpointGroup").values()
    assert [each["EndpointGroupRegion"] for each in groups] == [r.cloud for r in service.regions]
    (listener,) = aws.resources(body, "GlobalAccelerator::Listener").values()
    assert listener["PortRanges"] == [{"FromPort": 443, "ToPort": 443}]
    ends = {each["EndpointConfigurations"][0]["EndpointId"]["Ref"] for each in groups}
    assert len(ends) == len(service.regions)


@pytest.mark.req("T116", "T119")
def test_each_region_has_a_name_whose_stand_in_is_another_region(service):
    found = aws.resources(aws.template(service, "global", "records"), "Route53::RecordSet")
    by_name = defaultdict(dict)
    for each in found.values():
        if "Failover" in each:
            by_name[each["Name"]][each["Failover"]] = each["AliasTarget"]["DNSName"]["Ref"]
            assert each["HealthCheckId"]["Ref"]
    assert set(by_name) == {names.regional_host(service, r) for r in service.regions}
    assert all(each["PRIMARY"] != each["SECONDARY"] for each in by_name.values())


@pytest.mark.req("T116", "T117")
def test_the_nearest_name_leaves_out_regions_that_are_not_well(service):
    found = aws.resources(aws.template(service, "global", "records"), "Route53::RecordSet")
    nearest = [each for each in found.values() if "Region" in each]
    assert {each["Region"] for each in nearest} == {r.cloud for r in service.regions}
    assert len({each["SetIdentifier"] for each in nearest}) == len(service.regions)
    assert all(each["HealthCheckId"] for each in nearest)


@pytest.mark.req("T117", "T118")
def test_every_zone_of_a_region_is_looked_at_as_a_user_would(service):
    for region in service.regions:
        body = aws.template(service, region.name, "entrance")
        checks = aws.resources(body, "Route53::HealthCheck")
        whole = checks.pop("Health")["HealthCheckConfig"]
        assert [each["Ref"] for each in whole["ChildHealthChecks"]] == list(checks)
        assert len(checks) == region.zones == len(aws.resources(body, "EC2::EIP"))
        for each in checks.values():
            config = each["HealthCheckConfig"]
            assert config["ResourcePath"] == service.probes.ready.path
            assert config["FullyQualifiedDomainName"] == names.host(service)
            assert (config["Port"], config["Type"]) == (443, "HTTPS")


@pytest.mark.req("T117")
@pytest.mark.parametrize("protocol", ["tcp", "grpc"])
def test_what_route_53_cannot_speak_is_looked_at_by_a_connection(protocol):
    body = aws.template(spec(f"traffic: {{protocol: {protocol}}}"), "us-east", "entrance")
    config = aws.resources(body, "Route53::HealthCheck")["Health0"]["HealthCheckConfig"]
    assert config["Type"] == "TCP" and "ResourcePath" not in config


@pytest.mark.req("T119", "T135")
def test_the_public_name_leads_to_cloudfront_where_it_is_wanted_else_to_the_accelerator(service):
    targets = [
        (path, each["Properties"]["AliasTarget"]["HostedZoneId"])
        for path, _, each in aws.everywhere(service, "Route53::RecordSet")
        if each["Properties"]["Name"] == names.host(service)
    ]
    if fronted(service):
        assert set(targets) == {("global/cdn.yaml", "Z2FDTNDATAQYW2")}
    else:
        assert targets == [("global/records.yaml", "Z2BJ6XQ5FK7U4H")]


@pytest.mark.req("T135", "T141")
def test_only_what_the_service_allows_is_cached_and_no_one_gets_another_ones_answer(reference):
    body = aws.template(reference, "global", "cdn")
    policies = {
        name: each["CachePolicyConfig"]
        for name, each in aws.resources(body, "CloudFront::CachePolicy").items()
    }
    assert policies["ByService"]["DefaultTTL"] == 0 and policies["Files"]["DefaultTTL"] == 86400
    for each in policies.values():
        key = each["ParametersInCacheKeyAndForwardedToOrigin"]
        assert "Authorization" in key["HeadersConfig"]["Headers"]
        assert key["QueryStringsConfig"] == {"QueryStringBehavior": "all"}
        assert each["MinTTL"] == 0, "no-store would be kept"
    (found,) = aws.resources(body, "CloudFront::Distribution").values()
    config = found["DistributionConfig"]
    assert config["DefaultCacheBehavior"]["CachePolicyId"] == {"Ref": "ByService"}
    for each in config["CacheBehaviors"]:
        assert set(each["AllowedMethods"]) == {"GET", "HEAD", "OPTIONS"}, "a group of origins"


@pytest.mark.req("T135", "T136")
@pytest.mark.parametrize(("cdn", "waf"), [("true", "true"), ("true", "false"), ("false", "true"),
                                          ("false", "false")])  # fmt: skip
def test_cache_and_firewall_are_there_where_the_spec_wants_them(cdn, waf):
    given = spec(f"resilience: {{cdn: {cdn}, waf: {waf}}}")
    found = aws.templates(given)
    assert ("global/firewall.yaml" in found) == (waf == "true")
    assert ("global/cdn.yaml" in found) == ("true" in (cdn, waf))
    if "global/cdn.yaml" in found:
        (each,) = aws.resources(found["global/cdn.yaml"], "CloudFront::Distribution").values()
        config = each["DistributionConfig"]
        assert ("WebACLId" in config) == (waf == "true")
        assert ("CacheBehaviors" in config) == (cdn == "true")
        uncached = config["DefaultCacheBehavior"]["CachePolicyId"] == (
            "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
        )
        assert uncached == (cdn == "false")


@pytest.mark.req("T120", "T136", "T137")
def test_the_firewall_stops_floods_first_and_then_known_attacks(reference):
    body = aws.template(reference, "global", "firewall")
    (found,) = aws.resources(body, "WAFv2::WebACL").values()
    first, *rest = sorted(found["Rules"], key=lambda each: each["Priority"])
    assert first["Statement"]["RateBasedStatement"]["AggregateKeyType"] == "IP"
    assert "Block" in first["Action"]
    groups = {each["Statement"]["ManagedRuleGroupStatement"]["Name"] for each in rest}
    assert {"AWSManagedRulesCommonRuleSet", "AWSManagedRulesSQLiRuleSet",
            "AWSManagedRulesKnownBadInputsRuleSet"} <= groups  # fmt: skip
    assert all(each["OverrideAction"] == {"None": {}} for each in rest), "only counts"
    assert len({each["Priority"] for each in found["Rules"]}) == len(found["Rules"])
    (logging,) = aws.resources(body, "WAFv2::LoggingConfiguration").values()
    hidden = {each["SingleHeader"]["Name"] for each in logging["RedactedFields"]}
    assert {"authorization", "cookie"} <= hidden


@pytest.mark.req("T120", "T137")
def test_everything_public_is_protected_by_shield_but_only_when_somebody_pays_for_it(service):
    found = aws.everywhere(service, "Shield::Protection")
    zones = sum(region.zones for region in service.regions)
    assert len(found) == zones + 2 + fronted(service)
    assert all(each["Condition"] == "Shielded" for _, _, each in found)
    for path, _, _ in found:
        body = aws.templates(service)[path]
        assert body["Parameters"]["Shield"]["Default"] == "false"
    assert not aws.everywhere(service, "Shield::Subscription")


@pytest.mark.req("T117", "T120")
def test_every_alarm_tells_somebody_when_it_starts_and_when_it_ends(service):
    found = aws.everywhere(service, "CloudWatch::Alarm")
    assert {path.partition("/")[0] for path, _, _ in found} == {
        "global", *(region.name for region in service.regions)
    }  # fmt: skip
    for path, name, each in found:
        given = each["Properties"]
        assert given["AlarmActions"] == given["OKActions"] != [], (path, name)
        assert given["Dimensions"], (path, name)


@pytest.mark.req("T117")
def test_alarms_of_health_seen_from_outside_are_where_those_metrics_are(reference):
    """Metrics of Route 53, CloudFront and its firewall exist in us-east-1 alone."""
    for path, _, each in aws.everywhere(reference, "CloudWatch::Alarm"):
        space = each["Properties"]["Namespace"]
        if space in ("AWS/Route53", "AWS/CloudFront", "AWS/WAFV2"):
            assert path.startswith("global/") and path != "global/accelerator.yaml"
        if space == "AWS/GlobalAccelerator":
            assert path == "global/accelerator.yaml"


def test_no_text_of_a_person_is_read_as_a_reference():
    given = spec(f"probes: {{ready: {'/{{resolve:ssm:key}}'!r}}}")
    given = given.model_copy(
        update={"run": given.run.model_copy(update={"command": HOSTILE}), "version": HOSTILE}
    )
    for each in aws.templates(given).values():
        assert "{{" not in str(list(aws.values(each, "ResourcePath")))
        for text in aws.values(each, "Fn::Sub"):
            assert HOSTILE not in str(text)
