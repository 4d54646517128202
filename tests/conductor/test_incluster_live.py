"""Two conductors in a cluster, as their own service account: a real API server and PostgreSQL."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.artifacts.installation.objects import objects
from holdfast.artifacts.installation.wish import Installation
from holdfast.conductor.client import ApiError, Client
from holdfast.ledger import Archive, Intact
from holdfast.ledger.keys import new_identity, write_secret
from kubernetes_rig.api_server import Refused, Server
from postgres_rig import PostgresServer

pytestmark = pytest.mark.live
SPACE, TEAM = "hf-live", "team-live"
_PODS = ("Deployment", "PodDisruptionBudget", "NetworkPolicy")  # no kubelet runs them here

NEEDLESS = (
    ("", "secrets", "get"), ("", "pods", "create"), ("", "pods", "delete"),
    ("holdfast.dev", "releases", "update"), ("rbac.authorization.k8s.io", "clusterroles", "patch"),
)  # fmt: skip


@dataclass
class Cluster:
    """The API as its administrator, and what a pod of the conductor would be given."""

    server: Server
    folder: Path
    url: str
    token: str

    def start(self, pod: str, listen: str = "127.0.0.1:0") -> subprocess.Popen[bytes]:
        home = self.folder / pod
        home.mkdir()
        env = {
            **os.environ, "KUBECONFIG": str(self.server.kubeconfig(home, token=self.token)),
            "POD_NAME": pod, "POD_NAMESPACE": SPACE, "HOLDFAST_HOME": str(home / "home"),
            "HOLDFAST_KEYS": str(self.folder / "keys"), "HOLDFAST_POSTGRES": self.url,
        }  # fmt: skip
        words = [sys.executable, "-m", "holdfast.cli", "conductor", "--in-cluster",
                 "--listen", listen]  # fmt: skip
        with (home / "log").open("wb") as log:
            return subprocess.Popen(words, env=env, stdout=log, stderr=log)

    def caller(self, name: str, verbs: list[str]) -> str:
        """A service account with these verbs on Releases, and a token of it for Holdfast."""
        self.server.apply({"apiVersion": "v1", "kind": "ServiceAccount",
                           "metadata": {"name": name, "namespace": TEAM}}, dry=False)  # fmt: skip
        rbac, metadata = "rbac.authorization.k8s.io/v1", {"name": f"hf-{name}"}
        if verbs:
            rule = {"apiGroups": ["holdfast.dev"], "resources": ["releases"], "verbs": verbs}
            role = {"apiVersion": rbac, "kind": "ClusterRole", "metadata": metadata}
            self.server.apply(role | {"rules": [rule]}, dry=False)
            subject = {"kind": "ServiceAccount", "name": name, "namespace": TEAM}
            aim = {"apiGroup": rbac.partition("/")[0], "kind": "ClusterRole", "name": f"hf-{name}"}
            bound = {"roleRef": aim, "subjects": [subject]}
            binding = {"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": metadata}
            self.server.apply(binding | bound, dry=False)
        return self.token_of(name, "holdfast")

    def token_of(self, name: str, audience: str) -> str:
        path = f"/api/v1/namespaces/{TEAM}/serviceaccounts/{name}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                 "spec": {"audiences": [audience]}}  # fmt: skip
        return self.server.ask("POST", path, asked)["status"]["token"]

    def log(self, pod: str) -> str:
        return (self.folder / pod / "log").read_text()

    def apply(self, name: str, **spec: Any) -> None:
        run = {"command": "app", "env": {"SIMULATED_START_S": "0.3"}}
        self.server.apply(
            {
                "apiVersion": "holdfast.dev/v1alpha1",
                "kind": "Release",
                "metadata": {"name": name, "namespace": spec.pop("space", TEAM)},
                "spec": {"service": name, "target": "simulated", "run": run, "replicas": 2,
                         "traffic": {"port": 8080}, "rollout": {"strategy": "rolling"}} | spec,
            },
            dry=False,
        )  # fmt: skip

    def status(self, name: str, space: str = TEAM) -> dict[str, Any]:
        path = f"/apis/holdfast.dev/v1alpha1/namespaces/{space}/releases/{name}"
        return self.server.ask("GET", path).get("status", {})

    def expect(self, look: Callable[[], Any], seconds: float = 60.0) -> Any:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := look():
                return found
            time.sleep(0.1)
        logs = {path.parent.name: path.read_text()[-3000:] for path in self.folder.glob("*/log")}
        raise AssertionError(json.dumps(logs, indent=1))

    def events(self, name: str) -> list[tuple[str, str]]:
        """Reasons and messages of the events about one Release."""
        uid = self.server.ask(
            "GET", f"/apis/holdfast.dev/v1alpha1/namespaces/{TEAM}/releases/{name}"
        )["metadata"]["uid"]
        found = self.server.ask("GET", f"/api/v1/namespaces/{TEAM}/events")["items"]
        return [(e["reason"], e["message"]) for e in found if e["involvedObject"]["uid"] == uid]

    def serving(self, name: str, version: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            seen = self.status(name)
            return seen if (seen.get("phase"), seen.get("stable")) == ("Serving", version) else None

        return self.expect(look)


@pytest.fixture(scope="module")
def cluster(
    api_server: Server, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("incluster")
    wish = Installation(f"example.com/holdfast@sha256:{'0' * 64}", SPACE)
    for made in objects(wish):
        if made["kind"] not in _PODS:
            api_server.apply(made, dry=False)
    api_server.wait_for("holdfast.dev/v1alpha1/Release")
    for space in (TEAM, "team-other"):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
        api_server.apply(body, dry=False)
    path = f"/api/v1/namespaces/{SPACE}/serviceaccounts/holdfast-conductor/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = api_server.ask("POST", path, asked)["status"]["token"]
    (folder / "keys").mkdir()
    write_secret(folder / "keys" / "log.pem", new_identity())
    yield Cluster(api_server, folder, postgres_server.schema_url(), token)


def test_the_one_that_stands_by_goes_on_where_the_killed_one_was(cluster: Cluster):
    pods = [cluster.start("pod-a")]
    try:
        cluster.expect(lambda: "serving as" in cluster.log("pod-a"))
        pods.append(cluster.start("pod-b"))
        cluster.expect(lambda: "standing by: pod-a conducts" in cluster.log("pod-b"))

        cluster.apply("shop", version="v1")
        first = cluster.serving("shop", "v1")
        assert first["ready"] == "2/2" and first["message"].startswith("promoted")
        conditions = {each["type"]: each["status"] for each in first["conditions"]}
        assert conditions == {"Accepted": "True", "Available": "True", "Progressing": "False"}

        # A canary that needs a person: it stands, and its status says so.
        steps = [{"weight": 20, "approvals": 1, "max": "300s"}, {"weight": 100}]
        cluster.apply("shop", version="v2", rollout={"strategy": "canary", "steps": steps})
        cluster.expect(lambda: cluster.status("shop").get("traffic") == "20 %")
        assert cluster.status("shop")["phase"] == "Progressing"
        rollout = cluster.status("shop")["rollout"]

        # kubectl describe lists what happened.
        cluster.expect(lambda: [w for w, _ in cluster.events("shop")].count("Started") == 2)
        assert ("Finished", "promoted: all steps passed for v1") in cluster.events("shop")

        # What cannot be deployed says why, in the object.
        cluster.apply("shop", version="v2", space="team-other")
        cluster.expect(lambda: cluster.status("shop", "team-other").get("phase") == "Refused")
        assert f"{TEAM}/shop" in cluster.status("shop", "team-other")["message"]
        down = {"strategy": "canary", "steps": [{"weight": 50}, {"weight": 20}]}
        cluster.apply("wrong", version="v1", rollout=down)
        cluster.expect(lambda: cluster.status("wrong").get("phase") == "Refused")
        assert "rollout.steps" in cluster.status("wrong")["message"]

        pods[0].kill()
        pods[0].wait()
        cluster.expect(lambda: "serving as" in cluster.log("pod-b"))
        cluster.expect(lambda: cluster.status("shop").get("traffic") == "20 %")
        assert cluster.status("shop")["rollout"] == rollout, "the same rollout goes on"
        cluster.apply("shop", version="v1")  # and the new one takes orders
        cluster.serving("shop", "v1")
        assert "forbidden" not in (cluster.log("pod-a") + cluster.log("pod-b")).lower()
    finally:
        for pod in pods:
            pod.terminate()
        codes = [pod.wait(30) for pod in pods]
    assert codes[1] == 0, cluster.log("pod-b")
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{SPACE}/leases/holdfast-conductor"
    assert cluster.server.ask("GET", lease)["spec"].get("holderIdentity", "") == "", "given back"
    with Archive.read(cluster.folder / "pod-b" / "home" / "ledger.db") as archive:
        assert isinstance(archive.verify(), Intact)
        authors = {json.loads(e.body).get("by") for e in archive.replay("shop")}
        assert f"holdfast by Release {TEAM}/shop" in authors


def test_the_cluster_knows_who_calls_and_its_roles_say_what_they_may(cluster: Cluster):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    tokens = {who: cluster.caller(who, verbs) for who, verbs in (
        ("reader", ["get"]), ("pipeline", ["get", "patch"]), ("stranger", []))}  # fmt: skip
    tokens["elsewhere"] = cluster.token_of("pipeline", "vault")
    pod = cluster.start("pod-c", address)
    try:
        cluster.expect(lambda: "serving as" in cluster.log("pod-c"))
        spec = "service: known\ntarget: simulated\nrun: app\nreplicas: 0\n"
        found = {}
        for who, token in tokens.items():
            client = Client(address, token)
            for act in (client.services, lambda c=client: c.deploy("known", spec)):
                try:
                    act()
                    found.setdefault(who, []).append(200)
                except ApiError as error:
                    found.setdefault(who, []).append(error.status)
        assert found == {"reader": [200, 403], "pipeline": [200, 200], "stranger": [401, 401],
                         "elsewhere": [401, 401]}  # fmt: skip
        (added,) = [e for e in Client(address, tokens["reader"]).history("known")
                    if e["kind"] == "ReleaseStored"]  # fmt: skip
        assert "system:serviceaccount:team-live:pipeline" in json.dumps(added)
    finally:
        pod.terminate()
        pod.wait(30)


def test_the_account_may_not_do_what_it_has_no_reason_for(cluster: Cluster):
    for group, resource, verb in NEEDLESS:
        body = {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": f"system:serviceaccount:{SPACE}:holdfast-conductor",
                     "resourceAttributes": {"group": group, "resource": resource, "verb": verb,
                                            "namespace": TEAM}},
        }  # fmt: skip
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        try:
            allowed = cluster.server.ask("POST", path, body)["status"]["allowed"]
        except Refused as refused:
            raise AssertionError(resource) from refused
        assert allowed is False, (resource, verb)
