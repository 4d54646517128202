"""What stands before the regions: names, addresses, cache, firewall, protection, alarms."""

from __future__ import annotations

import re
from collections import defaultdict

import aws_templates as aws
import pytest
from family import HOSTILE, file, spec, the

from holdfast.artifacts import names
from holdfast.artifacts.resilience.aws.steps import Deploy, steps


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


@pytest.mark.req("T111", "T118")
@pytest.mark.parametrize("ingress", ["gateway", "nginx", "traefik"])
def test_the_pods_of_the_gateway_are_bound_to_the_group_that_the_region_s_stack_makes(ingress):
    given = spec(f"kubernetes: {{ingress: {ingress}}}")
    for region in given.regions:
        binding = the(given, "TargetGroupBinding", below=f"overlays/{region.name}")
        body = aws.template(given, region.name, "entrance")
        (group,) = aws.resources(body, "ElasticLoadBalancingV2::TargetGroup").values()
        assert binding["spec"]["targetGroupName"] == group["Name"]
        assert binding["spec"]["targetType"] == group["TargetType"]
        listed = file(given, f"overlays/{region.name}/kustomization.yaml").body["resources"]
        assert "entrance.yaml" in listed


# ---- references ----------------------------------------------------------------------------------


def ends(body, value):
    """The logical names and parameters that a value of a template refers to."""
    if isinstance(value, dict):
        if set(value) == {"Ref"}:
            yield value["Ref"]
        elif set(value) == {"Fn::GetAtt"}:
            yield value["Fn::GetAtt"][0]
        elif set(value) == {"Fn::Sub"}:
            yield from subbed(body, value["Fn::Sub"])
        else:
            for each in value.values():
                yield from ends(body, each)
    elif isinstance(value, list):
        for each in value:
            yield from ends(body, each)


def subbed(body, said):
    text, own = (said, {}) if isinstance(said, str) else said
    yield from ends(body, list(own.values()))
    for name in re.findall(r"\$\{([^!}]+)\}", text):
        if name not in own:
            yield name.partition(".")[0] if not name.startswith("AWS::") else name


@pytest.mark.req("T111", "T116", "T117", "T118", "T119", "T120")
def test_every_reference_of_every_template_ends_at_something_of_it(service):
    pseudo = {"AWS::Partition", "AWS::Region", "AWS::AccountId", "AWS::NoValue", "AWS::URLSuffix"}
    seen = 0
    for path, body in aws.templates(service).items():
        there = set(body["Resources"]) | set(body.get("Parameters", {})) | pseudo
        for name in ends(body, {**body["Resources"], "Outputs": body.get("Outputs", {})}):
            seen += 1
            assert name in there, (path, name)
        used = set(ends(body, [body["Resources"], body.get("Outputs", {}),
                               body.get("Conditions", {})]))  # fmt: skip
        assert set(body.get("Parameters", {})) <= used, path
    assert seen > 200


def sources(service):
    """What each parameter of each deployed template is filled with, the last time it is."""
    return {(step.file, name): value for step in steps(service) if isinstance(step, Deploy)
            for name, value in step.parameters}  # fmt: skip


def made(service, source):
    """Template and value of the output that fills a parameter in another place."""
    (file,) = {step.file for step in steps(service) if isinstance(step, Deploy)
               and (step.place, step.stack) == (source.place, source.stack)}  # fmt: skip
    body = aws.templates(service)[file]
    return file, body, body["Outputs"][source.name]["Value"]


@pytest.mark.req("T116", "T117", "T118", "T119")
def test_what_users_are_led_to_is_the_load_balancer_of_that_region_and_its_health(service):
    given = sources(service)
    kinds = {"LoadBalancer": "ElasticLoadBalancingV2::LoadBalancer", "Health":
             "Route53::HealthCheck", "Accelerator": "GlobalAccelerator::Accelerator"}  # fmt: skip
    clouds = {region.cloud: region for region in service.regions}

    def end(file, value):
        source = given[file, value["Ref"]]
        where, body, output = made(service, source)
        (name,) = ends(body, output)
        assert body["Resources"][name]["Type"] == f"AWS::{kinds[name]}"
        return where.partition("/")[0], name

    body = aws.template(service, "global", "accelerator")
    for group in aws.resources(body, "GlobalAccelerator::EndpointGroup").values():
        (endpoint,) = group["EndpointConfigurations"]
        region = clouds[group["EndpointGroupRegion"]].name
        assert end("global/accelerator.yaml", endpoint["EndpointId"]) == (region, "LoadBalancer")
    records = aws.resources(aws.template(service, "global", "records"), "Route53::RecordSet")
    for name, record in records.items():
        alias = record["AliasTarget"]
        where, what = end("global/records.yaml", alias["DNSName"])
        if "HealthCheckId" not in record:
            assert (where, what) == ("global", "Accelerator"), name
            continue
        assert what == "LoadBalancer", name
        assert end("global/records.yaml", alias["HostedZoneId"]) == (where, what)
        assert end("global/records.yaml", record["HealthCheckId"]) == (where, "Health")
        if "Region" in record:
            assert clouds[record["Region"]].name == where


@pytest.mark.req("T116", "T119", "T120", "T135", "T137")
def test_cloudfront_asks_names_that_lead_to_the_accelerator_and_to_the_nearest_region(reference):
    body = aws.template(reference, "global", "cdn")
    (distribution,) = aws.resources(body, "CloudFront::Distribution").values()
    config = distribution["DistributionConfig"]
    records = aws.template(reference, "global", "records")
    known = {each["Name"] for each in aws.resources(records, "Route53::RecordSet").values()}
    origins = {each["Id"]: each["DomainName"] for each in config["Origins"]}
    assert set(origins.values()) <= known
    used = [config["DefaultCacheBehavior"], *config.get("CacheBehaviors", ())]
    groups = {g["Id"]: g for g in config.get("OriginGroups", {}).get("Items", ())}
    assert {each["TargetOriginId"] for each in used} <= origins.keys() | groups.keys()
    for group in groups.values():
        assert {each["OriginId"] for each in group["Members"]["Items"]} <= origins.keys()
    wall = aws.template(reference, "global", "firewall")
    name = config["WebACLId"]["Fn::ImportValue"]
    (output,) = [o for o in wall["Outputs"].values() if o["Export"]["Name"] == name]
    assert wall["Resources"][output["Value"]["Fn::GetAtt"][0]]["Type"] == "AWS::WAFv2::WebACL"
    (acl,) = aws.resources(wall, "WAFv2::WebACL").values()
    assert acl["Scope"] == "CLOUDFRONT"
