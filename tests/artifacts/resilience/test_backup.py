"""Backups: kept as long as the spec says, in two regions, and proved by a restore."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
import upstream
from family import objects, rendered, spec, the

from holdfast.artifacts import names
from holdfast.artifacts.alerts import ALERTS
from holdfast.artifacts.check import schema, written

POSTGRES = "resilience: {database: postgres}"


@pytest.mark.req("T121", "T122", "T123", "T124", "T125")
def test_every_backup_object_is_accepted_by_its_own_schema(service):
    upstream.assert_accepted(rendered(service), "resilience/backup", "resilience/overlays")


@pytest.mark.req("T121", "T123")
@pytest.mark.parametrize(("every", "keep"), [("1d", "30d"), ("6h", "45d"), ("90m", "36h")])
def test_how_often_and_how_long_is_the_spec_s(every, keep):
    given = spec(f"resilience: {{backup: {{every: {every}, keep: {keep}}}}}")
    backup = given.resilience.backup
    for each in (*objects(given, "Schedule", "overlays"), *objects(given, "ScheduledBackup")):
        assert each["spec"]["schedule"] == f"@every {names.duration(backup.every)}"
    for each in objects(given, "Schedule", "overlays"):
        hours, minutes, seconds = map(int, re.findall(r"\d+", each["spec"]["template"]["ttl"]))
        assert hours * 3600 + minutes * 60 + seconds == backup.keep
    for store in objects(given, "ObjectStore"):
        days = int(store["spec"]["retentionPolicy"].removesuffix("d"))
        assert backup.keep <= days * 86400 < backup.keep + 86400


@pytest.mark.req("T123", "T124")
def test_every_region_writes_to_its_own_bucket_and_to_another_one(service):
    for region in service.regions:
        below = f"overlays/{region.name}"
        places = {x["metadata"]["name"]: x["spec"] for x in
                  objects(service, "BackupStorageLocation", below)}  # fmt: skip
        assert {x["objectStorage"]["bucket"] for x in places.values()} == {
            names.bucket(service, each) for each in service.regions
        }
        written = set()
        for schedule in objects(service, "Schedule", below):
            where = places[schedule["spec"]["template"]["storageLocation"]]
            assert where["accessMode"] == "ReadWrite"
            written.add(where["config"]["region"])
        assert region.cloud in written and len(written) == 2


@pytest.mark.req("T124")
def test_nothing_is_written_without_a_key_and_no_credential_is_named(service):
    for each in objects(service, "BackupStorageLocation"):
        assert each["spec"]["config"]["kmsKeyId"].startswith("alias/")
        assert "credential" not in each["spec"]
    for each in objects(service, "ObjectStore"):
        said = each["spec"]["configuration"]
        assert said["wal"]["encryption"] == said["data"]["encryption"] == "aws:kms"
        assert said["s3Credentials"] == {"inheritFromIAMRole": True}


@pytest.mark.req("T121")
def test_a_lost_region_takes_no_volume_with_it(service):
    for each in objects(service, "Schedule", "overlays"):
        template = each["spec"]["template"]
        assert template["snapshotMoveData"] is True
        assert template["includedNamespaces"] == [names.namespace(service)]
    assert the(service, "VolumeSnapshotClass")["deletionPolicy"] == "Retain"


def test_names_of_buckets_fit_whatever_the_service_is_called():
    long = spec().model_copy(update={"service": "a" * 46})
    found = {names.bucket(long, region) for region in long.regions}
    assert len(found) == 3
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", each) for each in found)


# ---- the proof by restore ------------------------------------------------------------------------


def pod(given):
    cron = the(given, "CronJob", f"{given.service}-restore-check")["spec"]
    return cron["jobTemplate"]["spec"]["template"]["spec"]


def scripts(given):
    containers = [*pod(given)["initContainers"], *pod(given)["containers"]]
    return {each["name"]: each["command"][-1] for each in containers}


def variables(given, container):
    containers = [*pod(given)["initContainers"], *pod(given)["containers"]]
    (found,) = [each for each in containers if each["name"] == container]
    return {each["name"]: each["value"] for each in found["env"] if "value" in each}


@pytest.mark.req("T125")
def test_what_is_restored_is_the_region_s_own_archive_and_it_archives_nothing():
    given = spec(POSTGRES)
    for region in given.regions:
        found = the(given, "ConfigMap", "shop-restore-check", f"overlays/{region.name}")
        cluster = json.loads(found["data"]["cluster.json"])
        (source,) = cluster["spec"]["externalClusters"]
        assert cluster["spec"]["bootstrap"]["recovery"]["source"] == source["name"]
        assert source["plugin"]["parameters"]["barmanObjectName"] == f"shop-db-{region.name}"
        assert "connectionParameters" not in source and "plugins" not in cluster["spec"]
        assert cluster["metadata"]["name"] == variables(given, "make")["SCRATCH"]
        live = the(given, "Cluster", "shop-db", f"overlays/{region.name}")["spec"]
        assert cluster["spec"]["storage"] == live["storage"]


@pytest.mark.req("T125")
def test_the_scratch_database_of_the_check_is_accepted_as_a_cluster():
    known = upstream.schemas()
    given = spec(POSTGRES)
    found = the(given, "ConfigMap", "shop-restore-check", "overlays/us-east")
    cluster = json.loads(found["data"]["cluster.json"])

    assert schema.check([written.read("a.json", json.dumps(cluster))], known) == []


@pytest.mark.req("T125")
def test_whoever_checks_may_remove_the_scratch_database_and_no_other():
    given = spec(POSTGRES)
    rules = the(given, "Role", "shop-restore-check")["rules"]
    for rule in rules:
        assert rule["resources"] == ["clusters"] and "*" not in rule["verbs"]
        if rule["verbs"] != ["create"]:
            assert rule["resourceNames"] == [variables(given, "clean")["SCRATCH"]]
    assert pod(given)["automountServiceAccountToken"] is False
    (check,) = [c for c in pod(given)["initContainers"] if c["name"] == "check"]
    assert "token" not in {mount["name"] for mount in check["volumeMounts"]}


@pytest.mark.req("T125", "T127")
@pytest.mark.parametrize(
    ("restored", "missing", "broken", "code", "says"),
    [
        (0, 30, False, 0, "30 s of history missing"),
        (0, 61, False, 1, "61 s are missing, at most 60 s"),
        (0, 30, True, 1, "a page or an index is broken"),
        (1, 0, False, 1, "did not become ready"),
    ],
)
def test_the_check_says_no_to_what_is_missing_broken_or_late(
    tmp_path, restored, missing, broken, code, says
):
    """The script itself, with stand-ins for the two programs that ask databases."""
    result = tmp_path / "result"
    result.mkdir()
    for name, value in (("restored", restored), ("begun", 5000), ("ready", 5100)):
        (result / name).write_text(f"{value}\n")
    programs = {
        "psql": f'case "$1" in *host=*) echo 4000;; *) echo $((4000 - {missing}));; esac',
        "pg_amcheck": f"exit {int(broken)}",
    }
    for name, line in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    given = spec(POSTGRES)
    script = scripts(given)["check"].replace("/result/", f"{result}/")
    environment = {**variables(given, "check"), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, "the scratch database would never be removed"
    assert (result / "code").read_text().strip() == str(code)
    assert says in ran.stdout + ran.stderr


@pytest.mark.req("T125")
def test_the_scripts_have_no_findings():
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("shellcheck is not installed")
    for name, script in scripts(spec(POSTGRES)).items():
        ran = subprocess.run([checker, "-s", "sh", "-"], input=script, text=True,
                             capture_output=True, check=False)  # fmt: skip
        assert ran.returncode == 0, f"{name}: {ran.stdout}"


@pytest.mark.req("T125", "T126")
def test_somebody_hears_of_a_restore_that_did_not_work():
    assert "RestoreUnproven" in {alert.name for alert in ALERTS}
    promised = int(variables(spec("resilience: {backup: {rto: 2m}}"), "make")["LONGEST"])
    assert promised == 12 * 120
