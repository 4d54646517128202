"""Push, list, prune and copy against real registries, with a wire cut in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import registries
from registries import image, noise, registry

pytest.importorskip("httpx2", reason="httpx2 is not installed: holdfast[supply]")
pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

SPEC = """
service: shop
version: v1
run: python shop.py
image: {{repository: '{host}/team/shop', keep: 2, keep_for: 10d}}
"""


class Desk:
    """A directory with a spec, and the command in it."""

    def __init__(self, directory: Path, host: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "holdfast.yaml").write_text(SPEC.format(host=host))
        self.directory, self.host = directory, host
        self.environment = {**os.environ, "HOME": str(directory)}
        self.environment.pop("XDG_CACHE_HOME", None)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "holdfast.cli", "registry", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), cwd=self.directory, env=self.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def told(self, *words: str) -> dict:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def push(self, name: str, layers: list[bytes], tag: str, days_old: float = 0.0) -> str:
        digest = image(self.directory / name, layers, days_old)
        self.told("push", tag, "--image", name)
        return digest

    def tags(self) -> set[str]:
        return {each["tag"] for each in self.told("list")["versions"]}


@pytest.fixture
def desk(tmp_path):
    with registry(tmp_path / "registry") as host:
        yield Desk(tmp_path / "desk", host)


@pytest.mark.req("T21")
def test_what_is_pushed_is_listed_and_not_sent_again(desk):
    digest = image(desk.directory / "a", [noise(9 * 2**20), noise(10)])
    dry = desk.told("push", "--image", "a", "--dry-run")
    assert dry["dry_run"] and desk.tags() == set()
    first = desk.told("push", "--image", "a")
    assert first["digest"] == digest and first["tags"] == ["v1"]
    assert first["sent"][0]["uploaded"] == 3 and first["sent"][0]["bytes"] > 9 * 2**20
    (listed,) = desk.told("list")["versions"]
    assert (listed["tag"], listed["digest"]) == ("v1", digest)
    again = desk.told("push", "v1", "latest", "--image", "a")
    assert all(each["uploaded"] == 0 and each["there"] == 3 for each in again["sent"])
    assert desk.tags() == {"v1", "latest"}


@pytest.mark.req("T21")
def test_layers_of_a_sibling_are_mounted_and_not_sent(desk):
    layer = noise(3 * 2**20)
    desk.push("a", [layer], "v1")
    image(desk.directory / "b", [layer, noise(9)])
    other = f"{desk.host}/team/other"
    told = desk.told("push", "--image", "b", "--repository", other, "--mount-from", "team/shop")
    assert told["sent"][0]["mounted"] == 1 and told["sent"][0]["bytes"] < 2**20


@pytest.mark.req("T21")
def test_another_program_pulls_what_was_pushed(desk, tmp_path):
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed: apt-get install skopeo")
    desk.push("a", [noise(2000)], "v1")
    source = f"docker://{desk.host}/team/shop:v1"
    command = ["skopeo", "copy", "--src-tls-verify=false", source, f"oci:{tmp_path / 'pulled'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.req("T21")
def test_a_password_is_needed_kept_secret_and_read_only_from_a_private_file(tmp_path):
    with registry(tmp_path / "registry", registries.HTPASSWD) as host:
        desk = Desk(tmp_path / "desk", host)
        image(desk.directory / "a", [noise(10)])
        nobody = desk.run("push", "--image", "a")
        assert nobody.returncode == 4 and "401" in nobody.stderr
        path = registries.login(tmp_path / "auth.json", host, "ann", "open sesame")
        assert desk.run("push", "--image", "a", "--auth", str(path)).returncode == 0
        path.chmod(0o640)
        loose = desk.run("list", "--auth", str(path))
        assert loose.returncode == 4 and "chmod 600" in loose.stderr
        wrong = registries.login(tmp_path / "wrong.json", host, "ann", "open barley")
        refused = desk.run("list", "--auth", str(wrong))
        assert refused.returncode == 4
        assert "barley" not in refused.stderr + refused.stdout


@pytest.mark.req("T24")
def test_pruning_deletes_the_old_and_keeps_deployed_new_young_and_protected(desk):
    for tag, age in (("v1", 400), ("v2", 300), ("v3", 200), ("lts-1", 350), ("v8", 5), ("v9", 1)):
        desk.push(tag, [noise(100), tag.encode()], tag, days_old=age)
    twin = desk.push("v7", [noise(100)], "v7", days_old=100)
    desk.told("push", "also-v7", "--image", "v7")
    words = ("prune", "--protect", "lts-*", "--deployed", twin)
    dry = desk.told(*words, "--dry-run")
    assert dry["deleted"] == [] and len(desk.tags()) == 8
    why = {each["tag"]: each["why"] for each in dry["versions"]}
    assert why["v1"] == "deployed" and why["lts-1"] == "protected by its name"
    assert why["v9"] == "one of the newest 2"
    told = desk.told(*words)
    gone = {each["tag"] for each in told["versions"] if not each["stays"]}
    assert gone == {"v2", "v3"} and len(told["deleted"]) == 2
    assert desk.tags() == {"v1", "lts-1", "v7", "also-v7", "v8", "v9"}
    assert desk.told(*words)["deleted"] == []


@pytest.mark.req("T25")
@pytest.mark.parametrize("politely", [True, False], ids=["between two pieces", "inside a piece"])
def test_a_copy_that_was_killed_goes_on_and_is_the_same(desk, tmp_path, politely):
    digest = desk.push("a", [noise(8 * 2**20), noise(24 * 2**20)], "v1")
    with registry(tmp_path / "mirror") as far:
        wire = registries.Wire(int(far.rpartition(":")[2]), politely)
        wire.limit = 22 * 2**20
        words = desk.command("sync", "--to", wire.host)
        running = subprocess.Popen(words, cwd=desk.directory, env=desk.environment)
        try:
            assert wire.cut.wait(60), "the wire was not cut"
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait()
        mirror = ("--repository", f"{far}/team/shop")
        assert desk.told("list", *mirror)["versions"] == [], "half an image has a tag"
        wire.limit = 2**60
        (copied,) = desk.told("sync", "--to", wire.host)["copies"]
        assert copied["change"] == "copied" and copied["there"] == 1
        # This registry forgets an upload that was cut inside a piece; then that blob starts again.
        assert copied["resumed"] == int(politely)
        assert copied["bytes"] < (13 if politely else 25) * 2**20, "it began from the start"
        (there,) = desk.told("list", *mirror)["versions"]
        assert there["digest"] == digest == copied["digest"]
        (again,) = desk.told("sync", "--to", wire.host)["copies"]
        assert again["change"] == "same"
        wire.close()


@pytest.mark.req("T25")
def test_a_dry_run_copies_nothing_and_says_what_it_would(desk, tmp_path):
    desk.push("a", [noise(10)], "v1")
    with registry(tmp_path / "mirror") as far:
        (copied,) = desk.told("sync", "--to", far, "--dry-run")["copies"]
        assert copied["change"] == "would copy"
        assert desk.told("list", "--repository", f"{far}/team/shop")["versions"] == []


@pytest.mark.req("T25")
def test_bytes_that_changed_in_the_source_never_reach_the_copy(desk, tmp_path):
    layer = noise(5000)
    desk.push("a", [layer], "v1")
    (stored,) = [
        path
        for path in (tmp_path / "registry" / "data").rglob("data")
        if path.is_file() and layer in path.read_bytes()
    ]
    data = bytearray(stored.read_bytes())
    data[700] ^= 1
    stored.write_bytes(bytes(data))
    with registry(tmp_path / "mirror") as far:
        done = desk.run("sync", "--to", far)
        assert done.returncode == 1 and "other bytes" in done.stderr
        assert "Traceback" not in done.stderr
        assert desk.told("list", "--repository", f"{far}/team/shop")["versions"] == []


def test_a_registry_that_nobody_answers_for_is_one_sentence(desk):
    done = desk.run("list", "--repository", f"127.0.0.1:{registries.free_port()}/a")
    assert done.returncode == 1 and done.stderr.startswith("error: 127.0.0.1:")
    assert "Traceback" not in done.stderr
