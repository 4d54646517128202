"""RBAC: nobody may do more than the work needs, and no account has a token lying about."""

from __future__ import annotations

import pytest
from kube_objects import objects, the

READS = {"get", "list", "watch"}


def rules(service):
    for role in objects(service, "Role"):
        for rule in role["rules"]:
            yield role["metadata"]["name"], rule


@pytest.mark.req("T58")
def test_no_role_has_a_wildcard_or_reads_secrets_or_gives_itself_rights(service):
    for name, rule in rules(service):
        said = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "*" not in said, name
        assert not {"secrets", "serviceaccounts/token", "pods/exec"} & set(rule["resources"]), name
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"]), name
        assert "rbac.authorization.k8s.io" not in rule["apiGroups"], name


@pytest.mark.req("T58")
def test_nothing_is_granted_in_the_whole_cluster(service):
    assert objects(service, "ClusterRoleBinding") == []


@pytest.mark.req("T58")
def test_viewers_only_look_and_operators_touch_one_workload(service):
    viewer = the(service, "Role", f"{service.service}-viewer")
    assert {verb for rule in viewer["rules"] for verb in rule["verbs"]} == READS
    for rule in the(service, "Role", f"{service.service}-operator")["rules"]:
        alone = rule.get("resourceNames") == [service.service]
        assert alone or rule["resources"] == ["pods/eviction"]


@pytest.mark.req("T58")
def test_every_role_is_bound_to_somebody_and_every_binding_to_a_role(service):
    roles = {each["metadata"]["name"] for each in objects(service, "Role")}
    bound = {each["roleRef"]["name"] for each in objects(service, "RoleBinding")}
    assert roles == bound
    accounts = {each["metadata"]["name"] for each in objects(service, "ServiceAccount")}
    for binding in objects(service, "RoleBinding"):
        assert binding["subjects"]
        for subject in binding["subjects"]:
            assert subject["kind"] == "Group" or subject["name"] in accounts


@pytest.mark.req("T59")
def test_no_account_mounts_a_token_not_even_the_default_one(service):
    found = objects(service, "ServiceAccount")
    assert {each["metadata"]["name"] for each in found} >= {"default", service.service}
    assert all(each["automountServiceAccountToken"] is False for each in found)
