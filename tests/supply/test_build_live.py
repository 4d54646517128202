"""``holdfast build`` with a real builder and a real compiler, from nothing that is downloaded."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import workshop

zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed: holdfast[supply]")
pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


class Workshop:
    """A project, a store of its own, and the command that builds the one in the other."""

    def __init__(self, directory: Path) -> None:
        self.environment = workshop.storage(directory)
        self.builder = workshop.builder(directory, self.environment)
        self.base = workshop.base(directory, self.environment)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.project = workshop.project(directory / "project", port=self.port)

    def build(self, *more: str) -> subprocess.CompletedProcess[str]:
        images = ["--build-arg", f"BUILDER={self.builder}"]
        if not any(word.startswith("BASE=") for word in more):
            images += ["--build-arg", f"BASE={self.base}"]
        command = [sys.executable, "-m", "holdfast.cli", "build", "--builder", "buildah"]
        return subprocess.run(
            [*command, *images, *more], cwd=self.project, env=self.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    workshop.need("buildah", "gcc", "make", "dpkg-query")
    found = Workshop(tmp_path_factory.mktemp("workshop"))
    first = found.build()
    assert first.returncode == 0, first.stdout + first.stderr
    yield found
    # buildah leaves its overlays mounted, and then nobody can remove the directory.
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if (mounted := line.split()[1]).startswith(str(found.project.parent)):
            subprocess.run(["umount", "-l", mounted], check=False)


def layout_of(place: Workshop) -> tuple[dict, dict, Path]:
    """Manifest, configuration and blobs of the built image."""
    root = place.project / "build" / "image"
    blobs = root / "blobs" / "sha256"

    def read(descriptor: dict) -> dict:
        return json.loads((blobs / descriptor["digest"].partition(":")[2]).read_bytes())

    (top,) = json.loads((root / "index.json").read_bytes())["manifests"]
    manifest = read(top)
    return manifest, read(manifest["config"]), blobs


def unpacked(place: Workshop, directory: Path) -> Path:
    manifest, _, blobs = layout_of(place)
    for layer in manifest["layers"]:
        path = blobs / layer["digest"].partition(":")[2]
        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            archive.extractall(directory, filter="tar")
    return directory


@pytest.mark.req("T1", "T4", "T5", "T6")
def test_the_image_is_small_compressed_with_zstd_without_root_and_without_a_shell(place):
    done = place.build("--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (platform,) = told["platforms"]
    assert told["broken"] == [] and platform["shells"] == []
    assert platform["user"] == "65532:65532"
    assert platform["unpacked"] < 2_000_000
    manifest, about, _ = layout_of(place)
    assert {each["mediaType"] for each in manifest["layers"]} == {
        "application/vnd.oci.image.layer.v1.tar+zstd"
    }
    assert about["config"]["Entrypoint"] == ["/app/tiny"]
    assert about["config"]["StopSignal"] == "SIGTERM"
    assert about["config"]["Labels"]["org.opencontainers.image.version"] == "1.0.0"


@pytest.mark.req("T4")
def test_the_program_in_the_image_is_static_and_stripped(place, tmp_path):
    program = unpacked(place, tmp_path / "root") / "app" / "tiny"
    told = subprocess.run(["readelf", "-lS", program], capture_output=True, text=True, check=True)
    assert "INTERP" not in told.stdout and ".symtab" not in told.stdout


@pytest.mark.req("T6", "T7")
def test_it_answers_as_nobody_on_a_read_only_root(place, tmp_path):
    runc = shutil.which("runc", path=workshop._PATH)
    if runc is None:
        pytest.skip("runc is not installed: apt-get install runc")
    root = unpacked(place, tmp_path / "bundle" / "rootfs")
    _, about, _ = layout_of(place)
    (root / "proc").mkdir(exist_ok=True)
    bundle = root.parent
    (bundle / "config.json").write_text(json.dumps(runtime(about["config"])))
    name = f"holdfast-{place.port}"
    state = ["--root", str(tmp_path / "state")]
    running = subprocess.Popen([runc, *state, "run", "-b", str(bundle), name])
    try:
        assert answer(place.port, running) == "hello uid=65532 root=read-only\n"
    finally:
        subprocess.run([runc, *state, "kill", name, "TERM"], capture_output=True, check=False)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        subprocess.run([runc, *state, "delete", "-f", name], capture_output=True, check=False)


def runtime(config: dict) -> dict:
    """What Kubernetes asks of a runtime for this pod: opencontainers/runtime-spec."""
    uid, gid = map(int, config["User"].split(":"))
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": uid, "gid": gid},
            "args": config["Entrypoint"] + (config.get("Cmd") or []),
            "env": config["Env"],
            "cwd": config["WorkingDir"],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": each} for each in ("pid", "mount", "ipc", "uts")]},
    }


def answer(port: int, running: subprocess.Popen) -> str:
    """The body of one request, as soon as somebody answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert running.poll() is None, "it ended by itself"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as asked:
                asked.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                said = b"".join(iter(lambda: asked.recv(4096), b""))
                return said.decode().partition("\r\n\r\n")[2]
        except OSError:
            time.sleep(0.05)
    raise AssertionError("nobody answered")


@pytest.mark.req("T3")
def test_a_change_of_the_source_alone_compiles_no_dependency_again(place):
    source = place.project / "main.c"
    source.write_text(source.read_text() + "/* changed */\n")
    done = place.build()
    assert done.returncode == 0, done.stderr
    assert "-o tiny" in done.stderr, "the source was not compiled"
    assert "greeting.c -o" not in done.stderr, "the dependency was compiled again"
    dependency = place.project / "third_party" / "greeting.c"
    dependency.write_text(dependency.read_text() + "/* changed */\n")
    assert "greeting.c -o" in place.build().stderr


@pytest.mark.req("T5")
def test_an_image_over_its_budget_fails_and_names_the_largest_layers(place):
    spec = place.project / "holdfast.yaml"
    written = spec.read_text()
    try:
        spec.write_text(written.replace("language:", "budget: 100KB, language:"))
        done = place.build()
        told = json.loads(place.build("--json").stdout)
    finally:
        spec.write_text(written)
    assert done.returncode == 1
    (said,) = [line for line in done.stdout.splitlines() if "broken" in line]
    assert "budget of 0.1 MB" in said and "largest layers: 0." in said and "COPY" in said
    assert [each["code"] for each in told["broken"]] == ["over-budget"]


@pytest.mark.req("T1")
def test_an_image_with_a_shell_fails_and_names_it(place):
    done = place.build("--build-arg", f"BASE={place.builder}", "--json", "-o", "build/other")
    assert done.returncode == 1
    codes = {each["code"]: each["detail"] for each in json.loads(done.stdout)["broken"]}
    assert "/usr/bin/dash" in codes["shell"] or "/bin/dash" in codes["shell"]


@pytest.mark.req("T28")
def test_the_image_of_the_tests_is_another_target_of_the_same_source(place):
    done = place.build("--target", "testing", "-o", "build/testing", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["broken"] == [], "only what serves is held against promises"


def test_a_build_that_fails_says_so_and_keeps_the_image_of_before(place):
    before = (place.project / "build" / "image" / "index.json").read_bytes()
    source = place.project / "main.c"
    written = source.read_text()
    try:
        source.write_text("int main(void) { return nothing; }\n")
        done = place.build()
    finally:
        source.write_text(written)
    assert done.returncode == 1 and "buildah build ended with" in done.stderr
    assert "Traceback" not in done.stderr
    assert (place.project / "build" / "image" / "index.json").read_bytes() == before
