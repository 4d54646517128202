"""Clusters: private, encrypted, logged, with enough nodes; and the least rights for pods."""

from __future__ import annotations

import json

import aws_templates as aws
import pytest
from family import objects, rendered, spec

from holdfast.artifacts import machines, names, versions
from holdfast.artifacts.kubernetes.cluster import karpenter
from holdfast.artifacts.resilience.aws.template import log_days


def nodes(service, region, name="ServiceNodes"):
    return aws.resources(aws.template(service, region.name, "cluster"), "EKS::Nodegroup")[name]


@pytest.mark.req("T111", "T113", "T114")
def test_every_region_has_a_cluster_that_no_one_outside_can_reach(service):
    found = aws.everywhere(service, "EKS::Cluster")
    assert {path.partition("/")[0] for path, _, _ in found} == {r.name for r in service.regions}
    for _, _, each in found:
        given = each["Properties"]
        assert given["ResourcesVpcConfig"]["EndpointPublicAccess"] is False
        assert given["ResourcesVpcConfig"]["EndpointPrivateAccess"] is True
        assert given["EncryptionConfig"][0]["Resources"] == ["secrets"]
        logged = {each["Type"] for each in given["Logging"]["ClusterLogging"]["EnabledTypes"]}
        assert {"audit", "authenticator", "api"} <= logged
        assert given["AccessConfig"]["BootstrapClusterCreatorAdminPermissions"] is False


@pytest.mark.req("T32", "T48")
def test_nodes_have_encrypted_disks_and_give_their_credentials_to_no_pod(service):
    found = aws.everywhere(service, "EC2::LaunchTemplate")
    assert len(found) == 2 * len(service.regions)
    for _, _, each in found:
        data = each["Properties"]["LaunchTemplateData"]
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert all(
            d["Ebs"]["Encrypted"] and d["Ebs"]["KmsKeyId"] for d in data["BlockDeviceMappings"]
        )
        assert "KeyName" not in data


@pytest.mark.req("T32", "T48")
def test_nodes_of_the_service_carry_its_label_and_keep_others_away(service):
    for region in service.regions:
        group = nodes(service, region)
        assert group["Labels"] == {names.POOL_LABEL: names.pool(service)}
        taint = {"Key": names.POOL_LABEL, "Value": names.pool(service), "Effect": "NO_SCHEDULE"}
        assert group["Taints"] == [taint]
        assert "Taints" not in nodes(service, region, "PlatformNodes")


@pytest.mark.req("T32")
def test_there_are_nodes_for_all_instances_in_every_zone(service):
    for region in service.regions:
        scaling = nodes(service, region)["ScalingConfig"]
        holds = machines.held(service, machines.machine(service))
        most = service.autoscaling.max or 3 * names.replicas(service, region)
        assert holds >= 1
        assert scaling["MinSize"] >= region.zones
        assert scaling["MinSize"] * holds >= names.replicas(service, region)
        assert scaling["MaxSize"] * holds >= most + region.zones
        assert scaling["MinSize"] <= scaling["DesiredSize"] <= scaling["MaxSize"]


@pytest.mark.req("T32")
@pytest.mark.parametrize(("keys", "kind", "image"), [
    ("resources: {requests: {cpu: 0.5, memory: 512MiB}}", "c7i.large", "AL2023_x86_64_STANDARD"),
    ("resources: {requests: {cpu: 2, memory: 16GiB}, limits: {memory: 16GiB}}", "r7i.2xlarge",
     "AL2023_x86_64_STANDARD"),
    ("image: {platforms: [linux/arm64]}\nresources: {requests: {cpu: 0.5, memory: 512MiB}}",
     "c7g.large", "AL2023_ARM_64_STANDARD"),
    ("resources: {gpus: 1, requests: {cpu: 2, memory: 4GiB}}", "g6.xlarge",
     "AL2023_x86_64_NVIDIA"),
    ("resources: {gpus: 4, requests: {cpu: 2, memory: 4GiB}}", "g6.12xlarge",
     "AL2023_x86_64_NVIDIA"),
])  # fmt: skip
def test_machines_fit_what_an_instance_asks_for(keys, kind, image):
    given = spec(keys)
    group = nodes(given, given.regions[0])
    assert group["InstanceTypes"] == [kind] and group["AmiType"] == image


def test_logs_are_kept_at_least_as_long_as_the_spec_says(service):
    kept = {each["Properties"]["RetentionInDays"]
            for _, _, each in aws.everywhere(service, "Logs::LogGroup")}  # fmt: skip
    assert kept == {log_days(service)}
    assert log_days(service) * 86400 >= service.observability.keep_logs
    longer = spec("observability: {keep_logs: 31d}")
    assert log_days(longer) == 60


def node_class(service):
    (found,) = [
        each
        for artifact in karpenter.render(service)
        for each in artifact.objects()
        if each["kind"] == "EC2NodeClass"
    ]
    return found["spec"]


def tags_of(each):
    return {tag["Key"]: tag["Value"] for tag in each["Properties"].get("Tags", ())}


@pytest.mark.req("T32", "T111")
def test_what_node_pools_look_for_is_made_in_every_region(service):
    looks = node_class(service)
    for kind, field in (("Subnet", "subnet"), ("SecurityGroup", "securityGroup")):
        (wanted,) = [each["tags"] for each in looks[f"{field}SelectorTerms"]]
        for region in service.regions:
            found = [
                each
                for path, _, each in aws.everywhere(service, f"EC2::{kind}")
                if path.startswith(f"{region.name}/") and wanted.items() <= tags_of(each).items()
            ]
            assert len(found) == (region.zones if kind == "Subnet" else 1), (kind, region.name)


@pytest.mark.req("T32", "T124")
def test_nodes_of_both_makers_are_the_same_somebody_and_may_join_every_cluster(service):
    ((_, _, profile),) = aws.everywhere(service, "IAM::InstanceProfile")
    assert profile["Properties"]["InstanceProfileName"] == node_class(service)["instanceProfile"]
    assert profile["Properties"]["Roles"] == [{"Ref": "NodeRole"}]
    for region in service.regions:
        body = aws.template(service, region.name, "cluster")
        entries = aws.resources(body, "EKS::AccessEntry").values()
        (joins,) = [each for each in entries if each.get("Type") == "EC2_LINUX"]
        groups = aws.resources(body, "EKS::Nodegroup").values()
        assert {str(each["NodeRole"]) for each in groups} == {str(joins["PrincipalArn"])}
        passed = [s for p, _, s in rights(service)
                  if p.startswith(region.name) and "iam:PassRole" in s["Action"]]  # fmt: skip
        (only,) = passed
        assert only["Resource"] == {"Fn::ImportValue": f"{service.service}-cluster-NodeRole"}
        assert only["Condition"]["StringEquals"] == {"iam:PassedToService": "ec2.amazonaws.com"}


@pytest.mark.req("T32", "T48")
def test_every_node_and_the_control_plane_are_in_the_group_that_gateways_are_reached_by(service):
    for region in service.regions:
        body = aws.template(service, region.name, "cluster")
        assert body["Outputs"]["Group"]["Value"] == {"Ref": "NodeGroup"}
        for template in aws.resources(body, "EC2::LaunchTemplate").values():
            assert template["LaunchTemplateData"]["SecurityGroupIds"] == [{"Ref": "NodeGroup"}]
        (cluster,) = aws.resources(body, "EKS::Cluster").values()
        assert cluster["ResourcesVpcConfig"]["SecurityGroupIds"] == [{"Ref": "NodeGroup"}]
        (among,) = aws.resources(body, "EC2::SecurityGroupIngress").values()
        assert among["GroupId"] == among["SourceSecurityGroupId"] == {"Ref": "NodeGroup"}


@pytest.mark.req("T11", "T12", "T15")
def test_nodes_of_both_makers_are_told_the_same_before_their_kubelet_starts():
    exact = "{requests: {cpu: 4, memory: 8GiB}, limits: {cpu: 4, memory: 8GiB}, hugepages: 1GiB}"
    for given in (spec(), spec(f"resources: {exact}")):
        for region in given.regions:
            body = aws.template(given, region.name, "cluster")
            own = aws.resources(body, "EC2::LaunchTemplate")["OwnTemplate"]
            told = own["LaunchTemplateData"]["UserData"]["Fn::Base64"]
            assert told == node_class(given)["userData"]
            assert ("nr_hugepages" in told) == bool(given.resources.hugepages)
            (version,) = [str(nodes(given, region)["LaunchTemplate"]["Id"])]
            assert "OwnTemplate" in version


@pytest.mark.req("T32")
def test_nodes_are_of_one_release_of_the_version_that_the_cluster_has(service):
    alias = node_class(service)["amiSelectorTerms"]
    assert alias == [{"alias": f"al2023@{versions.EKS_NODES}"}]
    for region in service.regions:
        asked = aws.template(service, region.name, "cluster")["Parameters"]["KubernetesVersion"]
        assert asked["Default"] == versions.EKS


@pytest.mark.req("T32", "T124")
def test_karpenter_ends_and_changes_only_machines_of_its_own_cluster(service):
    for region in service.regions:
        role = aws.resources(aws.template(service, region.name, "access"), "IAM::Role")
        for each in aws.statements(role["KarpenterRole"]):
            if set(each["Action"]) & {"ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"}:
                tags = each["Condition"]["StringEquals"]
                assert list(tags) == [
                    f"aws:ResourceTag/kubernetes.io/cluster/{names.cluster(service, region)}"
                ]


# ---- rights --------------------------------------------------------------------------------------


def rights(service):
    for path, name, each in aws.everywhere(service, "IAM::Role"):
        for inline in each["Properties"].get("Policies", ()):
            for statement in inline["PolicyDocument"]["Statement"]:
                yield path, name, statement


@pytest.mark.req("T124", "T138")
def test_no_role_may_do_everything_or_change_who_may_do_what(service):
    for path, name, statement in rights(service):
        for action in statement["Action"]:
            prefix, _, verb = action.partition(":")
            assert prefix != "*" and verb != "*", (path, name, action)
            assert prefix not in ("sts", "organizations"), (path, name, action)
            assert prefix != "iam" or name == "KarpenterRole", (path, name, action)


@pytest.mark.req("T124")
def test_what_is_allowed_on_everything_is_looking_or_bound_to_a_mark(service):
    for path, name, statement in rights(service):
        if statement["Resource"] == "*" and "Condition" not in statement:
            verbs = {action.partition(":")[2] for action in statement["Action"]}
            assert all(v.startswith(("Describe", "List", "Get")) for v in verbs), (path, name)


@pytest.mark.req("T124")
def test_roles_of_pods_are_bound_to_one_account_each_and_trusted_only_from_this_account(service):
    bound = aws.everywhere(service, "EKS::PodIdentityAssociation")
    for region in service.regions:
        mine = [e["Properties"] for p, _, e in bound if p.startswith(f"{region.name}/")]
        roles = [each["RoleArn"]["Fn::GetAtt"][0] for each in mine]
        assert len(set(roles)) == len(roles)
        subjects = {(each["Namespace"], each["ServiceAccount"]) for each in mine}
        assert {("velero", "velero"), ("vault", "vault"), ("cert-manager", "cert-manager"),
                ("external-dns", "external-dns")} <= subjects  # fmt: skip
        body = aws.template(service, region.name, "access")
        for each in aws.resources(body, "IAM::Role").values():
            (trust,) = each["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
            assert "aws:SourceAccount" in trust["Condition"]["StringEquals"]


@pytest.mark.req("T123")
def test_backups_of_other_regions_are_read_and_never_written(reference):
    for region in reference.regions:
        roles = aws.resources(aws.template(reference, region.name, "access"), "IAM::Role")
        foreign = {names.bucket(reference, e) for e in names.others(reference, region)}
        for statement in aws.statements(roles["VeleroRole"]):
            if any(name in str(statement.get("Resource")) for name in foreign):
                assert not [a for a in statement["Action"] if "Put" in a or "Delete" in a]


@pytest.mark.req("T123", "T125")
def test_the_database_that_proves_backups_can_only_read_them(reference):
    (cluster,) = [
        json.loads(text)
        for each in objects(rendered(reference), "ConfigMap", "overlays/us-east")
        for name, text in each["data"].items()
        if name == "cluster.json"
    ]
    body = aws.template(reference, "us-east", "access")
    bound = aws.resources(body, "EKS::PodIdentityAssociation")["Restore"]
    assert bound["ServiceAccount"] == cluster["metadata"]["name"]
    role = aws.resources(body, "IAM::Role")["RestoreRole"]
    verbs = {a.partition(":")[2] for each in role["Policies"]
             for s in each["PolicyDocument"]["Statement"] for a in s["Action"]}  # fmt: skip
    assert verbs == {"ListBucket", "GetBucketLocation", "GetObject", "GetObjectVersion", "Decrypt"}


@pytest.mark.req("T138")
def test_certificates_are_proved_by_records_of_the_name_alone(reference):
    body = aws.template(reference, "us-east", "access")
    role = aws.resources(body, "IAM::Role")["CertManagerRole"]
    change = next(
        s for s in aws.statements(role) if "route53:ChangeResourceRecordSets" in s["Action"]
    )
    limits = change["Condition"]["ForAllValues:StringLike"]
    assert limits["route53:ChangeResourceRecordSetsRecordTypes"] == ["TXT"]
    named = limits["route53:ChangeResourceRecordSetsNormalizedRecordNames"]
    assert all(each.startswith("_acme-challenge.") for each in named)
    assert all(each.endswith(names.host(reference)) for each in named)
