"""Argo CD syncs what is rendered, in waves, within the spec's windows, with no more rights."""

from __future__ import annotations

import json
import posixpath
import re
from datetime import UTC, datetime, timedelta

import pytest
import upstream
import yaml
from delivered import artifact, rendered, spec, the
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.artifacts import versions
from holdfast.artifacts.catalog import artifacts
from holdfast.artifacts.delivery.applicationsets import PARTS
from holdfast.artifacts.gitops import arranged
from holdfast.artifacts.names import namespace
from holdfast.rollout.windows import blocked

WEEK = 7 * 24 * 3600
SYNC = re.compile(r"notifications[.]argoproj[.]io/subscribe[.](?P<event>[^.]+)[.](?P<to>[^.]+)")


@pytest.mark.req("T61", "T62", "T63", "T64")
def test_argo_cd_accepts_its_objects(service, rendered):
    upstream.assert_accepted(rendered, "delivery/argocd/")


@pytest.mark.req("T61")
def test_the_install_is_one_commit_and_one_digest_and_every_file_is_there(service):
    body = artifact(service, "argocd/kustomization.yaml").body
    fetched = [each for each in body["resources"] if "://" in each]
    assert [re.search("[0-9a-f]{40}", each)[0] for each in fetched] == [versions.ARGO_CD_COMMIT]
    assert body["images"][0]["digest"].startswith("sha256:")
    own = {file.artifact.name for file in rendered(service) if "/argocd/" in file.path}
    local = {each for each in body["resources"] if "://" not in each}
    patched = {each["path"] for each in body["patches"]}
    assert local | patched | {"kustomization.yaml"} == own


@pytest.mark.req("T61")
def test_nobody_gets_in_without_a_name_and_nobody_may_anything_by_default(service):
    settings = the(service, "ConfigMap", "argocd-cm")["data"]
    assert settings["admin.enabled"] == settings["users.anonymous.enabled"] == "false"
    assert settings["exec.enabled"] == "false"
    assert the(service, "ConfigMap", "argocd-rbac-cm")["data"]["policy.default"] == ""


@pytest.mark.req("T62")
def test_every_directory_that_is_synced_is_rendered(service, rendered):
    paths = {file.path for file in rendered}
    for name in (service.service, *(f"{service.service}-{part}" for part in PARTS)):
        elements = the(service, "ApplicationSet", name)["spec"]["generators"][0]["list"]["elements"]
        assert [e["region"] for e in elements].count(service.regions[0].name) == 1
        for element in elements:
            inside = element["path"].removeprefix(f"{service.delivery.path}/")
            assert f"{inside}/kustomization.yaml" in paths


@pytest.mark.req("T62")
@pytest.mark.parametrize("place", [".", "", "./"])
def test_in_a_repository_for_argo_cd_every_region_syncs_its_own_app(place):
    found = spec(f"delivery: {{path: '{place}'}}")
    paths = {artifact.path for artifact in arranged(artifacts(found), found)}
    for name in ("shop", *(f"shop-{part}" for part in PARTS)):
        elements = the(found, "ApplicationSet", name)["spec"]["generators"][0]["list"]["elements"]
        assert all(f"{each['path']}/kustomization.yaml" in paths for each in elements)
        assert name != "shop" or {e["path"] for e in elements} == {
            f"apps/{region.name}" for region in found.regions
        }


@pytest.mark.req("T62", "T73")
def test_regions_go_one_by_one_the_smallest_first_and_the_primary_last():
    found = spec(
        "replicas: 5\nregions: [{name: home, primary: true, cidr: 10.0.0.0/16},"
        "{name: large, cidr: 10.1.0.0/16, replicas: 9}, {name: small, cidr: 10.2.0.0/16}]"
    )
    strategy = the(found, "ApplicationSet", "shop")["spec"]["strategy"]
    assert strategy["type"] == "RollingSync"
    steps = [step["matchExpressions"] for step in strategy["rollingSync"]["steps"]]
    assert [each["values"] for (each,) in steps] == [["small"], ["large"], ["home"]]
    labels = the(found, "ApplicationSet", "shop")["spec"]["template"]["metadata"]["labels"]
    assert labels[steps[0][0]["key"]] == "{{ .region }}"
    parameters = the(found, "ConfigMap", "argocd-cmd-params-cm")["data"]
    assert parameters["applicationsetcontroller.enable.progressive.syncs"] == "true"


@pytest.mark.req("T63", "T64")
def test_what_drifts_is_healed_what_is_gone_is_pruned_last_and_failures_are_retried(service):
    names = [service.service, *(f"{service.service}-{part}" for part in PARTS)]
    for name in names:
        policy = the(service, "ApplicationSet", name)["spec"]["template"]["spec"]["syncPolicy"]
        assert policy["automated"] == {"prune": True, "selfHeal": True, "allowEmpty": False}
        assert "PruneLast=true" in policy["syncOptions"]
        below = name != service.service  # an operator may come later, a release ends in time
        assert policy["retry"]["limit"] < 0 if below else policy["retry"]["limit"] > 0
        assert ("SkipDryRunOnMissingResource=true" in policy["syncOptions"]) is below


@pytest.mark.req("T64")
def test_the_number_of_replicas_is_left_to_the_autoscaler_and_all_else_is_healed(service, rendered):
    spec = the(service, "ApplicationSet", service.service)["spec"]["template"]["spec"]
    (ignored,) = spec["ignoreDifferences"]
    assert ignored["jsonPointers"] == ["/spec/replicas"]
    assert "RespectIgnoreDifferences=true" in spec["syncPolicy"]["syncOptions"]
    kinds = {(o.get("kind"), o["metadata"].get("name")) for f in rendered
             for o in f.artifact.objects() if "metadata" in o}  # fmt: skip
    assert (ignored["kind"], ignored["name"]) in kinds


def synced(rendered, folder):
    """The objects that a kustomization of the set lists, directly or by others."""
    files = {file.path: file.artifact for file in rendered}
    for said in files[f"{folder}/kustomization.yaml"].body["resources"]:
        path = posixpath.normpath(f"{folder}/{said}")
        if path in files:
            yield from ((path, each) for each in files[path].objects())
        else:
            yield from synced(rendered, path)


def kind_of(each):
    return each["apiVersion"].rpartition("/")[0], each["kind"]


def listed(project, field):
    return {(each["group"], each["kind"]) for each in project["spec"].get(field, ())}


@pytest.mark.req("T61", "T63")
def test_the_service_may_sync_each_of_its_kinds_and_none_by_a_star(service, rendered):
    project = the(service, "AppProject", service.service)
    fields = ("namespaceResourceWhitelist", "clusterResourceWhitelist")
    permitted = {kind for field in fields for kind in listed(project, field)}
    for path, each in synced(rendered, f"kubernetes/overlays/{service.regions[0].name}"):
        hint = f"{path}: {kind_of(each)} belongs into SERVICE_KINDS of delivery/projects.py"
        assert kind_of(each) in permitted, hint
        assert each["metadata"].get("namespace", namespace(service)) == namespace(service), path
    assert "*" not in {word for kind in permitted for word in kind}


@pytest.mark.req("T61", "T63")
@pytest.mark.parametrize("part", PARTS)
def test_what_is_below_the_service_may_be_synced_to_the_namespaces_it_is_in(
    service, rendered, part
):
    project = the(service, "AppProject", f"{service.service}-platform")
    places = {each["namespace"] for each in project["spec"]["destinations"]}
    permitted = listed(project, "clusterResourceWhitelist")
    for path, each in synced(rendered, PARTS[part].replace("*", service.regions[0].name)):
        place = each["metadata"].get("namespace")
        hint = f"{path}: {place or kind_of(each)} is missing in delivery/projects.py"
        assert place in places if place else kind_of(each) in permitted, hint
    assert "*" not in {word for kind in permitted for word in kind} | places


@pytest.mark.req("T61", "T62", "T63")
def test_a_second_service_of_a_cluster_brings_its_own_parts_and_nothing_shared():
    second = spec("delivery: {platform: false}")
    sets = [
        each["metadata"]["name"] for file in rendered(second)
        for each in file.artifact.objects() if each.get("kind") == "ApplicationSet"
    ]  # fmt: skip
    assert sets == ["shop", "shop-observability", "shop-resilience"]
    body = artifact(second, "argocd/kustomization.yaml").body
    assert body["resources"] == ["namespace.yaml", "projects.yaml", "applicationsets.yaml"]
    here = {file.path for file in rendered(second) if "/argocd/" in file.path}
    assert here == {
        f"delivery/argocd/{name}" for name in ("kustomization.yaml", *body["resources"])
    }


@pytest.mark.req("T63")
def test_the_service_reaches_its_own_namespace_and_repository_only(service):
    project = the(service, "AppProject", service.service)["spec"]
    assert len(project["sourceRepos"]) == 1
    places = {(each["name"], each["namespace"]) for each in project["destinations"]}
    assert places == {(region.name, namespace(service)) for region in service.regions}


def test_approvers_may_go_back_and_may_not_change_applications(service):
    for role in the(service, "AppProject", service.service)["spec"]["roles"]:
        assert {policy.split(", ")[3] for policy in role["policies"]} == {"get", "sync"}
        groups = [each.replace(":", "/") for each in role.get("groups", [])]
        assert groups == list(service.delivery.approvers)


def active(window, moment):
    """Whether a sync window is open: its cron line fired less than its length ago."""
    minute, hour, day, month, weekdays = window["schedule"].split()
    length = timedelta(minutes=int(window["duration"].removesuffix("m")))
    at = moment.replace(hour=int(hour), minute=int(minute), second=0)
    for back in range(length.days + 2):
        fired = at - timedelta(days=back)
        fits = day in ("*", str(fired.day)) and month in ("*", str(fired.month))
        weekday = str((fired.weekday() + 1) % 7)  # cron's Sunday is 0
        fits = fits and (weekdays == "*" or weekday in weekdays.split(","))
        if fits and fired <= moment < fired + length:
            return True
    return False


def may_sync(windows, moment):
    """Argo CD's rule: a deny that is open wins; where there are allows, one must be open."""
    allows = [w for w in windows if w["kind"] == "allow"]
    denied = any(active(w, moment) for w in windows if w["kind"] == "deny")
    return not denied and (not allows or any(active(w, moment) for w in allows))


CALENDAR = spec("""rollout:
  windows:
    - {days: [mon, tue, thu], start: "09:30", end: "17:00"}
    - {days: [sat, sun], start: "22:00", end: "24:00"}
  freezes:
    - {start: 2026-12-20T00:00:00Z, end: 2027-01-02T08:00:00Z, reason: end of the year}
    - {start: "2026-11-26T09:00:00+01:00", end: "2026-11-26T12:00:00+01:00"}
""")


@pytest.mark.req("T64")
@settings(max_examples=400, deadline=None)
@given(st.integers(0, 8 * WEEK // 60))
def test_argo_cd_may_sync_exactly_when_a_rollout_may_start(minutes):
    moment = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=minutes)
    windows = the(CALENDAR, "AppProject", "shop")["spec"]["syncWindows"]
    assert may_sync(windows, moment) == (blocked(CALENDAR, moment.timestamp()) is None)


@pytest.mark.req("T64", "T65")
def test_no_window_ever_blocks_a_person_who_goes_back():
    windows = the(CALENDAR, "AppProject", "shop")["spec"]["syncWindows"]
    assert len(windows) == 4
    assert all(each["manualSync"] and each["timeZone"] == "UTC" for each in windows)
    assert windows[2]["description"] == "end of the year"


@pytest.mark.req("T64")
def test_every_subscription_has_its_trigger_template_and_service(service):
    data = the(service, "ConfigMap", "argocd-notifications-cm")["data"]
    template = the(service, "ApplicationSet", service.service)["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    assert {SYNC.fullmatch(each)["to"] for each in annotations} == {"slack-url", "pagerdutyv2"}
    for each in annotations:
        event, to = SYNC.fullmatch(each).groups()
        (trigger,) = yaml.safe_load(data[f"trigger.{event}"])
        said = yaml.safe_load(data[f"template.{event}"])
        assert trigger["send"] == [event]
        assert "pagerdutyv2" in said if to == "pagerdutyv2" else to in said["webhook"]
        assert f"service.{to}" in data or f"service.webhook.{to}" in data


@pytest.mark.req("T64")
def test_addresses_and_keys_of_notifications_are_references_that_the_secret_holds(service):
    data = the(service, "ConfigMap", "argocd-notifications-cm")["data"]
    asked = set(re.findall(r"\$([a-z-]+)", "".join(v for k, v in data.items() if "service" in k)))
    secret = the(service, "ExternalSecret")
    assert secret["spec"]["target"]["name"] == "argocd-notifications-secret"
    assert asked == {each["secretKey"] for each in secret["spec"]["data"]}


def test_texts_of_the_spec_are_parameters_and_never_templates():
    branch, path = "{{ .x }}", "a/{{ fail }}"
    found = spec()
    delivery = found.delivery.model_copy(update={"branch": branch, "path": path})
    for part in ("shop", "shop-platform"):
        body = the(found.model_copy(update={"delivery": delivery}), "ApplicationSet", part)["spec"]
        assert "{{ fail" not in json.dumps(body["template"])
        assert body["template"]["spec"]["source"]["targetRevision"] == "{{ .revision }}"
        assert body["generators"][0]["list"]["elements"][0]["revision"] == branch
