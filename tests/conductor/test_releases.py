"""What makes a release another release, and that a stored one comes back whole."""

import asyncio
from pathlib import Path

import pytest

from holdfast.conductor.releases import Releases, Stored, UnknownRelease
from holdfast.ledger import Ledger
from holdfast.spec.digest import make_release
from holdfast.spec.load import load_text
from holdfast.targets.base import Bundle

TEXT = "service: shop\nversion: v1\nrun: { command: python app.py --fast, config: [app.toml] }\n"


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "app.py").write_text("print(1)\n")
    (tmp_path / "app.toml").write_text("a = 1\n")
    return tmp_path


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger.open(tmp_path / "home" / "ledger.db", "holdfast/test")
    yield opened
    opened.close()


def digest(project, text=TEXT, version="v1"):
    return make_release(load_text(text), project, version).digest


@pytest.mark.parametrize("name", ["app.py", "app.toml"])
def test_an_edited_file_of_the_release_makes_another_release(project, name):
    before = digest(project)
    (project / name).write_text("changed\n")
    assert digest(project) != before


@pytest.mark.parametrize(
    "more",
    [
        "replicas: 7\n",
        "rollout: canary\n",
        "traffic: { port: 9999, retries: 1 }\n",
        "promises: { p99: 5ms }\n",
    ],
)
def test_size_traffic_and_policy_are_not_part_of_a_release(project, more):
    assert digest(project, TEXT + more) == digest(project)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("--fast", "--slow"),
        TEXT.replace("config:", "env: { A: b }, config:"),
        TEXT.replace("config:", "secrets: { K: 'env:K' }, config:"),
        TEXT + "traffic: { protocol: tcp }\n",
        TEXT + "probes: { ready: /ready }\n",
    ],
)
def test_program_environment_secrets_protocol_and_probes_are(project, text):
    assert digest(project, text) != digest(project)


def test_another_version_name_is_another_release(project):
    assert digest(project, version="v2") != digest(project)


def store(releases, project, text=TEXT, version=None):
    service = load_text(text)
    release = releases.identify(service, project, version)
    stored = Stored(Bundle(release, service, str(project)), text, str(project / "holdfast.yaml"))
    asyncio.run(releases.store(stored, "ann", 1.0))
    return stored


def test_a_stored_release_comes_back_whole_from_the_ledger(ledger, project):
    first = store(Releases(ledger, "shop"), project)
    again = Releases(ledger, "shop")
    assert again.get(first.release.id) == first
    assert Releases(ledger, "other").latest() is None


def test_storing_the_same_release_again_writes_nothing(ledger, project):
    releases = Releases(ledger, "shop")
    store(releases, project)
    size = ledger.size
    store(releases, project)
    assert ledger.size == size


def test_the_same_content_is_the_same_release_also_without_a_version_name(ledger, project):
    text = TEXT.replace("version: v1\n", "")
    releases = Releases(ledger, "shop")
    first = store(releases, project, text)
    assert first.release.version == "r1"
    assert store(releases, project, text).release == first.release
    (project / "app.py").write_text("print(2)\n")
    assert store(releases, project, text).release.version == "r2"


def test_a_release_is_found_by_id_digest_or_version_and_else_the_known_are_named(ledger, project):
    releases = Releases(ledger, "shop")
    one = store(releases, project, version="1.0")
    two = store(releases, project, version="2.0/beta")
    for word in (one.release.id, one.release.digest, one.release.digest[:8], "1.0"):
        assert releases.find(word) == one
    assert "/" not in two.release.id
    with pytest.raises(UnknownRelease, match=r"1\.0, 2\.0/beta"):
        releases.find("3.0")


def test_what_serves_under_a_name_from_the_command_line_is_not_deployed_again_without_it(
    ledger, project
):
    text = TEXT.replace("version: v1\n", "")
    releases = Releases(ledger, "shop")
    serving = store(releases, project, text, version="from-the-pipeline").release
    assert releases.identify(load_text(text), project, None, serving) == serving
    assert releases.identify(load_text(text), project, "v9", serving) != serving
    (project / "app.py").write_text("print(3)\n")
    assert releases.identify(load_text(text), project, None, serving) != serving
