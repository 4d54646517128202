"""``examples/11-kubernetes`` as far as a machine without a kubelet can: read, taken, followed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from holdfast.artifacts.installation.definition import definition
from holdfast.conductor.release_object import spec_text
from holdfast.spec.load import load_text
from kubernetes_rig.api_server import Server

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "11-kubernetes"
RELEASE = yaml.safe_load((EXAMPLE / "release.yaml").read_text())


def test_the_release_is_the_spec_file_in_its_long_form():
    by_file = load_text((EXAMPLE / "holdfast.yaml").read_text())
    by_release = load_text(spec_text(RELEASE))
    assert by_release.kubernetes.namespace == "shop"
    assert by_release.model_copy(update={"kubernetes": by_file.kubernetes}) == by_file


@pytest.mark.live
def test_an_api_server_takes_the_release_strictly(api_server: Server):
    api_server.apply(definition(), dry=False)
    api_server.wait_for("holdfast.dev/v1alpha1/Release")
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    api_server.apply(space, dry=False)
    assert api_server.apply(RELEASE)["spec"] == RELEASE["spec"] | {"target": "kubernetes"}


def test_the_workflow_is_one_that_actionlint_accepts(tmp_path: Path):
    lint = shutil.which("actionlint")
    if lint is None:
        pytest.skip("no actionlint here")
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    shutil.copy(EXAMPLE / "deploy.yml", folder)
    done = subprocess.run([lint, folder / "deploy.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
