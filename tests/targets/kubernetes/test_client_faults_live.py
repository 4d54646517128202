"""The client and its mirrors before a real API server that dies, forgets, storms and refuses."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from holdfast.runtime.clock import LoopClock
from holdfast.targets.base import Refused
from holdfast.targets.kubernetes.answers import Clashes
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.kinds import DEPLOYMENT, LEASE, Kind
from holdfast.targets.kubernetes.kubeconfig import from_files
from holdfast.targets.kubernetes.mirror import Mirror, Selection
from holdfast.targets.kubernetes.pace import Limits
from kubernetes_rig.api_server import Refused as Answered
from kubernetes_rig.faulty import BROKEN, BUSY, CUT, FORGOTTEN, FaultyProxy

pytestmark = pytest.mark.live
SPACE = "faults"
QUICK = Limits(pause_s=0.05, pause_s_max=0.5)


@pytest.fixture(scope="module")
def space(api_server):
    made(api_server, "v1", "Namespace", SPACE)
    return api_server


@pytest.fixture
def proxy(space):
    with FaultyProxy(space) as proxy:
        yield proxy


def made(server, version, kind, name, **more):
    place = {} if kind in ("Namespace", "ClusterRole") else {"namespace": SPACE}
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **place}, **more}
    return server.apply(body, dry=False)


def lease(name, holder="a", space=SPACE):
    metadata = {"name": name, "namespace": space, "labels": {"app": "faults"}}
    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return {**kind, "metadata": metadata, "spec": {"holderIdentity": holder}}


def told(story, folder, server, url="", token=""):
    """Runs ``story(client)`` with a client of the server, or of whoever stands before it."""
    more = {"token": token} if token else {}

    async def run():
        cluster = from_files([server.kubeconfig(folder, url, **more)], None)
        client = Client(cluster, LoopClock(), QUICK)
        try:
            return await story(client)
        finally:
            await client.aclose()

    return asyncio.run(run())


@contextlib.asynccontextmanager
async def mirrored(client):
    mirror = Mirror(client, LoopClock(), Selection(LEASE, SPACE, "app=faults"), lambda: None)
    mirror.open()
    try:
        yield mirror
    finally:
        await mirror.aclose()


async def sees(mirror, holds, within=20.0):
    async with asyncio.timeout(within):
        while not holds(await mirror.objects(within_s=within)):
            await asyncio.sleep(0.01)


def test_an_api_server_that_is_killed_and_comes_back_is_followed_on(space, tmp_path):
    async def story(client):
        async with mirrored(client) as mirror:
            await client.apply(lease("killed", "before"))
            await sees(mirror, lambda found: "killed" in found)
            lists = client.calls["list"]
            await asyncio.to_thread(space.restart)
            await client.apply(lease("killed", "after"))
            await sees(mirror, lambda found: found["killed"]["spec"]["holderIdentity"] == "after")
            return client.calls["list"] - lists

    assert told(story, tmp_path, space) <= 1


def test_a_watch_that_is_told_410_lists_once_and_sees_what_it_missed(proxy, space, tmp_path):
    async def story(client):
        async with mirrored(client) as mirror:
            await client.apply(lease("forgotten"))
            await sees(mirror, lambda found: "forgotten" in found)
            left = [1]

            def rule(call):
                if call.watch and left[0]:
                    left[0] -= 1
                    return FORGOTTEN
                return None

            lists = client.calls["list"]
            proxy.rule = lambda call: CUT if call.watch else None
            while proxy.watching:
                proxy.cut_watches()
                await asyncio.sleep(0.05)
            space.apply(lease("missed"), dry=False)
            proxy.rule = rule
            await sees(mirror, lambda found: "missed" in found)
            return left[0], client.calls["list"] - lists

    assert told(story, tmp_path, space, proxy.url) == (0, 1)


@pytest.mark.parametrize("fault", [BUSY, BROKEN, CUT], ids=["429", "500", "cut"])
def test_a_storm_that_passes_is_outlived(proxy, space, tmp_path, fault):
    left = [2]

    def rule(call):
        if call.method == "PATCH" and left[0]:
            left[0] -= 1
            return fault
        return None

    async def story(client):
        proxy.rule = rule
        return await client.apply(lease("stormy", f"{fault.status}"))

    stored = told(story, tmp_path, space, proxy.url)
    assert stored["spec"]["holderIdentity"] == f"{fault.status}"
    assert left == [0]


def test_whoever_else_manages_a_field_is_named_with_it(space, tmp_path):
    theirs = "?fieldManager=kubectl-edit&force=true"
    wanted = lease("shared", "theirs")
    space.ask("PATCH", space.place(wanted) + theirs, wanted, "apply-patch+yaml")

    async def story(client):
        with pytest.raises(Clashes) as clash:
            await client.apply(lease("shared", "ours"))
        await client.apply(lease("shared", "ours"), force=True)
        return clash.value

    clash = told(story, tmp_path, space)
    assert "kubectl-edit" in str(clash) and "holderIdentity" in str(clash)


def test_the_one_verb_that_a_role_lacks_is_named(space, tmp_path):
    made(space, "v1", "ServiceAccount", "limited")
    rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
              "verbs": ["get", "list", "watch", "create"]}]  # fmt: skip
    made(space, "rbac.authorization.k8s.io/v1", "Role", "limited", rules=rules)
    made(
        space,
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "limited",
        subjects=[{"kind": "ServiceAccount", "name": "limited", "namespace": SPACE}],
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited"},
    )
    path = f"/api/v1/namespaces/{SPACE}/serviceaccounts/limited/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = space.ask("POST", path, request)["status"]["token"]

    async def story(client):
        await client.list(LEASE, SPACE, "")
        with pytest.raises(Refused) as patch:
            await client.apply(lease("forbidden"))
        with pytest.raises(Refused) as watch:
            await client.list(DEPLOYMENT, SPACE, "")
        return patch.value, watch.value

    patch, watch = told(story, tmp_path, space, token=token)
    assert (patch.code, watch.code) == ("forbidden", "forbidden")
    assert f"the verb patch on leases.coordination.k8s.io in namespace {SPACE}" in str(patch)
    assert f"the verb list on deployments.apps in namespace {SPACE}" in str(watch)


def test_a_kind_that_no_crd_defines_is_said_to_be_missing(space, tmp_path):
    kind = Kind("never.example.com/v1", "Nothing", "nothings")

    async def story(client):
        with pytest.raises(Refused) as refused:
            await client.get(kind, SPACE, "x")
        return refused.value

    refused = told(story, tmp_path, space)
    assert refused.code == "kind-missing" and "install its CRDs" in str(refused)


def test_a_namespace_that_is_going_away_is_said_and_not_taken_for_a_missing_right(space, tmp_path):
    made(space, "v1", "Namespace", "going")
    finalised = {"metadata": {"finalizers": ["holdfast.dev/tests"]}}
    space.ask("PATCH", "/api/v1/namespaces/going", finalised, "merge-patch+json")
    with contextlib.suppress(Answered):
        space.ask("DELETE", "/api/v1/namespaces/going")

    async def story(client):
        with pytest.raises(Refused) as refused:
            await client.apply(lease("late", space="going"))
        return refused.value

    refused = told(story, tmp_path, space)
    assert "terminat" in str(refused) and "role lacks" not in str(refused), refused
