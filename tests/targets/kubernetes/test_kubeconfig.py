"""Which cluster, and who we are there: every way a kubeconfig may say it."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import textwrap

import pytest
import yaml

from holdfast.targets.base import Refused
from holdfast.targets.kubernetes.credentials import ExecPlugin, Plugin
from holdfast.targets.kubernetes.kubeconfig import in_cluster, locate


def written(tmp_path, user=None, name="config", **more):
    body = {
        "clusters": [{"name": "prod", "cluster": {"server": "https://api:6443"}}],
        "users": [{"name": "jane", "user": user or {}}],
        "contexts": [
            {"name": "work", "context": {"cluster": "prod", "user": "jane", "namespace": "shop"}}
        ],
        "current-context": "work",
        **more,
    }
    path = tmp_path / name
    path.write_text(yaml.safe_dump(body))
    return {"KUBECONFIG": str(path)}


def proof(environ, context=None):
    return asyncio.run(locate(context, environ).credential.proof())


def test_the_current_context_says_cluster_namespace_and_token(tmp_path):
    environ = written(tmp_path, {"token": "secret"})
    found = locate(None, environ)
    assert (found.server, found.context, found.namespace) == ("https://api:6443", "work", "shop")
    assert proof(environ).headers == {"Authorization": "Bearer secret"}


def test_the_first_file_that_says_a_thing_wins_and_others_add_to_it(tmp_path):
    first = written(tmp_path, {"token": "first"}, name="a")["KUBECONFIG"]
    (tmp_path / "b").write_text(yaml.safe_dump({
        "users": [{"name": "jane", "user": {"token": "second"}}],
        "contexts": [{"name": "other", "context": {"cluster": "prod", "user": "jane"}}],
    }))  # fmt: skip
    environ = {"KUBECONFIG": f"{first}:{tmp_path / 'b'}"}
    assert proof(environ, "other").headers == {"Authorization": "Bearer first"}
    assert locate("other", environ).namespace == "default"


@pytest.mark.parametrize(
    ("user", "headers"),
    [
        ({"username": "u", "password": "p"}, {"Authorization": "Basic dTpw"}),
        ({"tokenFile": "token"}, {"Authorization": "Bearer from-file"}),
        ({}, {}),
    ],
)
def test_other_proofs_become_headers(tmp_path, user, headers):
    (tmp_path / "token").write_text("from-file\n")
    assert proof(written(tmp_path, user)).headers == headers


def test_certificates_stand_in_the_file_or_beside_it(tmp_path):
    (tmp_path / "jane.crt").write_text("CERTIFICATE")
    key = base64.b64encode(b"KEY").decode()
    user = {"client-certificate": "jane.crt", "client-key-data": key}
    found = proof(written(tmp_path, user))
    assert (found.certificate, found.key) == ("CERTIFICATE", "KEY")


@pytest.mark.parametrize(
    ("change", "context", "said"),
    [
        ({}, "nowhere", "no context 'nowhere'; it has work"),
        ({"current-context": ""}, None, "no current-context"),
        ({"clusters": []}, None, "no cluster 'prod'; it has none"),
        ({"users": [{"name": "jane", "user": {"auth-provider": {"name": "gcp"}}}]}, None, "exec"),
        ({"users": [{"name": "jane", "user": {"client-key": "gone.key"}}]}, None, "gone.key"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(tmp_path, change, context, said):
    environ = written(tmp_path, **change)
    with pytest.raises(Refused) as refused:
        locate(context, environ)
    assert refused.value.code == "no-access"
    assert said in refused.value.detail and str(tmp_path) in refused.value.detail


@pytest.mark.parametrize("text", ["- a list", "a: [", "\x00"])
def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path, text):
    (tmp_path / "config").write_text(text)
    with pytest.raises(Refused, match="config"):
        locate(None, {"KUBECONFIG": str(tmp_path / "config")})


def test_a_pod_speaks_as_its_service_account(tmp_path):
    for name, text in {"token": "t", "ca.crt": "", "namespace": "shop\n"}.items():
        (tmp_path / name).write_text(text)
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    found = in_cluster(environ, tmp_path)
    assert (found.server, found.namespace) == ("https://[fd00::1]:443", "shop")


# ---- plugins


class Wall:
    """A wall clock that a test sets."""

    def __init__(self):
        self.at = 1_000_000.0

    def now(self):
        return self.at

    def wall(self):
        return self.at


def plugin(tmp_path, program):
    path = tmp_path / "plugin.py"
    path.write_text(textwrap.dedent(program))
    return Plugin("client.authentication.k8s.io/v1", (sys.executable, str(path)), hint="install it")


COUNTING = """
    import json, os, pathlib
    count = pathlib.Path(__file__).with_suffix(".count")
    number = int(count.read_text()) + 1 if count.exists() else 1
    count.write_text(str(number))
    told = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
    status = {"token": f"token-{number}", "expirationTimestamp": "1970-01-12T13:50:00Z"}
    said = {"apiVersion": told["apiVersion"], "kind": "ExecCredential", "status": status}
    print(json.dumps(said))
"""


def test_a_plugin_is_asked_again_only_when_its_token_ends_or_is_refused(tmp_path):
    wall = Wall()  # the token ends 200 seconds from here
    source = ExecPlugin(plugin(tmp_path, COUNTING), wall)

    async def story():
        seen = [await source.proof(), await source.proof()]
        wall.at += 180
        seen.append(await source.proof())
        source.forget()
        seen.append(await source.proof())
        return [each.headers["Authorization"].rpartition("-")[2] for each in seen]

    assert asyncio.run(story()) == ["1", "1", "2", "3"]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit('no login')", "no login"),
        ("print('hello')", "no ExecCredential"),
        (f"print({json.dumps(json.dumps({'kind': 'ExecCredential', 'status': {}}))})", "neither"),
    ],
)
def test_a_plugin_that_fails_is_named_with_how_to_get_it(tmp_path, program, said):
    with pytest.raises(Refused, match=said) as refused:
        asyncio.run(ExecPlugin(plugin(tmp_path, program), Wall()).proof())
    assert "install it" in refused.value.detail


def test_a_plugin_that_is_not_installed_is_named(tmp_path):
    missing = Plugin("client.authentication.k8s.io/v1", (str(tmp_path / "gone"),))
    with pytest.raises(Refused, match="cannot be run"):
        asyncio.run(ExecPlugin(missing, Wall()).proof())
