"""Runbooks: one for every alert, and no command in one that names what is not there."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from family import HOSTILE, rendered, spec

from holdfast.artifacts import alerts
from holdfast.artifacts.catalog import render
from holdfast.artifacts.metrics import exporter
from holdfast.artifacts.names import namespace
from holdfast.artifacts.promql import metrics
from holdfast.artifacts.resilience.runbooks.catalog import existing
from holdfast.artifacts.resilience.runbooks.page import commands
from holdfast.cli import SECTIONS

PROCEDURES = {
    "region-loss", "failover", "failback", "rollback", "secret-rotation", "restore-cluster",
    "restore-to-a-second",
}  # fmt: skip
VERBS = {"status", "history", "doctor", "approve", "abort", "up", "render"}
#: What kubectl calls a kind -> the kind, for those whose names the set knows.
KINDS = {
    "deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet",
    "hpa": "HorizontalPodAutoscaler", "scaledobject": "ScaledObject", "pdb": "PodDisruptionBudget",
    "vpa": "VerticalPodAutoscaler", "certificate": "Certificate", "externalsecret":
    "ExternalSecret", "cluster": "Cluster", "pooler": "Pooler", "kafka": "Kafka",
    "kafkatopic": "KafkaTopic", "redisreplication": "RedisReplication", "redissentinel":
    "RedisSentinel", "tenant": "Tenant", "canary": "Canary", "service": "Service",
    "resourcequota": "ResourceQuota",
}  # fmt: skip
#: Made by operators or charts out of objects of the set.
MADE = {
    ("StatefulSet", "prometheus-holdfast"): ("Prometheus", "holdfast"),
    ("StatefulSet", "alertmanager-holdfast"): ("Alertmanager", "holdfast"),
}
OTHERS = {("Deployment", "flagger")}  # installed beside the set
PLATFORM = {"monitoring", "tracing", "logging", "argocd", "cert-manager", "velero",
            "flagger-system"}  # fmt: skip


@pytest.fixture(scope="module")
def whole(service):
    """The whole set, other families included."""
    return render(service)


@pytest.fixture(scope="module")
def pages(whole):
    """File name without its ending -> text."""
    found = [f for f in whole if f.path.startswith("resilience/runbooks/")]
    return {f.artifact.name.removesuffix(".md"): f.data.decode() for f in found}


@pytest.mark.req("T130")
def test_every_alert_has_a_page_and_every_page_but_the_procedures_has_an_alert(service, pages):
    wanted = {alert.page for alert in existing(service)}
    assert {a.name for a in alerts.alerts(service)} <= {a.name for a in existing(service)}
    assert wanted <= set(pages)
    assert set(pages) - wanted <= PROCEDURES


@pytest.mark.req("T130")
def test_every_page_says_what_to_look_at_what_to_do_how_to_verify_and_whom_to_call(pages):
    for name, page in pages.items():
        titles = re.findall(r"^## (.*)$", page, re.M)
        assert titles == ["What it means", "Look", "Act", "Verify", "Call"], name
        for body in re.split(r"^## .*$", page, flags=re.M)[1:]:
            assert len(body.strip()) > 3, name
        assert commands(page), f"{name} has nothing to copy"


@pytest.mark.req("T130")
def test_every_command_is_read_by_a_shell(pages, tmp_path):
    for name, page in pages.items():
        script = tmp_path / f"{name}.sh"
        script.write_text("\n".join(commands(page)))
        read = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True)
        assert read.returncode == 0, f"{name}: {read.stderr}"


@pytest.mark.req("T130")
def test_every_variable_of_a_command_was_set_before_it(pages):
    given = {"REDIS_PASSWORD", "PATH"}
    for name, page in pages.items():
        known = set(given)
        for command in commands(page):
            used = set(re.findall(r"(?<![\\$])\$\{?([A-Z_]+)", command))
            assert used <= known, f"{name}: {used - known} in {command}"
            known |= set(re.findall(r"^([A-Z]+)=", command))


@pytest.mark.req("T130")
def test_every_object_that_a_command_names_is_in_the_set(service, whole, pages):
    exists = {
        (each["kind"], each["metadata"]["name"])
        for found in whole
        for each in found.artifact.objects()
        if "kind" in each and "name" in each.get("metadata", {})
    }
    wanted = set()
    for name, page in pages.items():
        for command in commands(page):
            for kind, named in objects_named(command):
                wanted.add((name, kind, named))
    assert len(wanted) > 20
    for name, kind, named in sorted(wanted):
        plain = named.removesuffix("-primary") if ("Canary", service.service) in exists else named
        known = {(kind, named), (kind, plain), MADE.get((kind, named))} & exists
        scratch = kind == "Cluster" and named.endswith("-db-restored")
        assert known or scratch or (kind, named) in OTHERS, f"{name} names {kind} {named}"


def objects_named(command):
    """Kind and name of what kubectl is told, in the forms ``kind/name`` and ``kind name``."""
    kinds = "|".join(KINDS)
    for kind, named in re.findall(rf"\b({kinds})/([a-z0-9][a-z0-9-]*)", command):
        yield KINDS[kind], named
    verbs = r"(?:get|describe|patch|delete|annotate|create)"
    for kind, named in re.findall(rf"\b{verbs} ({kinds}) ([a-z0-9][a-z0-9-]*)", command):
        yield KINDS[kind], named


@pytest.mark.req("T130")
def test_every_namespace_of_a_command_is_the_service_s_or_the_platform_s(service, pages):
    known = PLATFORM | {namespace(service), f"{namespace(service)}-restored"}
    for name, page in pages.items():
        used = set(re.findall(r"(?<= -n )([a-z0-9-]+)", page))
        assert used <= known, f"{name}: {used - known}"


@pytest.mark.req("T130")
def test_every_metric_that_a_page_asks_for_is_exported_or_recorded(service, whole, pages):
    recorded = set(
        re.findall(
            r"^\s*-? ?record: (\S+)$",
            "\n".join(f.data.decode() for f in whole if "/rules/" in f.path or "rules" in f.path),
            re.M,
        )
    )
    asked = 0
    for name, page in pages.items():
        for command in commands(page):
            if "promtool query instant" in command:
                query = shlex.split(command)[-1]
                for metric in metrics(query):
                    asked += 1
                    known = metric in recorded if ":" in metric else exporter(metric, service)
                    assert known, f"{name} asks for {metric}"
    assert asked > 10


@pytest.mark.req("T130")
def test_links_between_pages_lead_somewhere(pages):
    for name, page in pages.items():
        for target in re.findall(r"\]\(([^)]+)\.md\)", page):
            assert target in pages, f"{name} refers to {target}"


@pytest.mark.req("T130")
def test_only_verbs_of_holdfast_that_exist_are_named(pages):
    assert {verb for words in SECTIONS.values() for verb in words} >= VERBS
    for page in pages.values():
        for command in commands(page):
            for verb in re.findall(r"(?:^|&& )holdfast (\w+)", command):
                assert verb in VERBS


@pytest.mark.req("T126", "T127", "T128")
def test_the_promise_of_a_region_s_loss_is_the_spec_s():
    given = spec("resilience: {backup: {rto: 7m, rpo: 20s, keep: 45d}}")
    found = {f.artifact.name: f.data.decode() for f in rendered(given)}
    assert "within 7m, at most 20s of history" in found["region-loss.md"]
    assert "More than 20s" in found["failover.md"]
    assert "last 1080h" in found["restore-to-a-second.md"]


@pytest.mark.req("T128")
def test_failover_goes_from_the_primary_to_another_region_with_and_without_the_old_one(reference):
    found = {f.artifact.name: f.data.decode() for f in rendered(reference)}
    page = found["failover.md"]
    assert "REGION=us-east " in page and "TARGET=eu-west " in page
    assert "demotionToken" in page and "promotionToken" in page


@pytest.mark.req("T130")
def test_hostile_text_stays_inside_its_quotes():
    given = spec(f"probes: {{ready: /{'x' * 20}}}")
    probe = given.probes.ready.model_copy(update={"path": f"/{HOSTILE}"})
    probes = given.probes.model_copy(update={"ready": probe})
    text = next(
        f.data.decode()
        for f in rendered(given.model_copy(update={"probes": probes}))
        if f.artifact.name == "most-requests-fail.md"
    )
    (asked,) = [c for c in commands(text) if c.startswith("curl")]
    assert shlex.split(asked)[-1].startswith("https://shop.example.com/%27%22%0A%60%24%28touch")
