"""The client of the API server: what it sends, what it repeats, and what it makes of answers."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.runtime.clock import LoopClock
from holdfast.targets.base import Refused, Unreachable
from holdfast.targets.kubernetes.answers import Changed, Clashes
from holdfast.targets.kubernetes.client import Client
from holdfast.targets.kubernetes.credentials import Fixed, TokenFile
from holdfast.targets.kubernetes.kinds import DEPLOYMENT, HTTP_ROUTE, POD
from holdfast.targets.kubernetes.kubeconfig import Cluster, Trust
from holdfast.targets.kubernetes.mirror import Mirror, Selection
from holdfast.targets.kubernetes.pace import Limits
from kubernetes_simulated.server import Server, serving

QUICK = Limits(pause_s=0.01, pause_s_max=0.05, answer_s=2.0)


def tell(story, credential=None, limits=QUICK, **server):
    """Runs ``story(server, client)``."""

    async def run():
        async with serving(Server(**server)) as api:
            known = credential or Fixed({})
            cluster = Cluster(api.url, "tests", "shop", Trust(), known)
            client = Client(cluster, LoopClock(), limits)
            try:
                return await story(api, client)
            finally:
                await client.aclose()

    return asyncio.run(run())


def deployment(name="shop", replicas=1, **metadata):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "shop"}, **metadata},
        "spec": {"replicas": replicas},
    }


def failing(times, status, headers=None):
    """The first ``times`` requests are answered like this."""
    left = [times]

    def fault(method, path):
        if left[0] == 0:
            return None
        left[0] -= 1
        return status, headers or {}, {"kind": "Status", "message": "not now"}

    return fault


def test_what_was_applied_is_found_and_what_was_not_is_none():
    async def story(api, client):
        await client.apply(deployment(replicas=3))
        found = await client.get(DEPLOYMENT, "shop", "shop")
        return found["spec"]["replicas"], await client.get(DEPLOYMENT, "shop", "other")

    assert tell(story) == (3, None)


def test_a_field_that_somebody_else_manages_is_a_clash_that_names_both():
    async def story(api, client):
        await client.apply(deployment(replicas=3))
        at = DEPLOYMENT.path("shop", "shop")
        found = api.store.objects[at]
        api.store.update(at, {**found, "spec": {"replicas": 9}}, "kubectl-edit")
        with pytest.raises(Clashes) as clash:
            await client.apply(deployment(replicas=4))
        forced = await client.apply(deployment(replicas=4), force=True)
        return clash.value.clashes, forced["spec"]["replicas"]

    clashes, forced = tell(story)
    assert [(c.manager, c.field) for c in clashes] == [("kubectl-edit", ".spec.replicas")]
    assert forced == 4


def test_a_write_over_a_state_that_is_no_longer_there_is_refused():
    async def story(api, client):
        before = await client.apply(deployment(replicas=1))
        await client.apply(deployment(replicas=2))
        stale = deployment(replicas=3, resourceVersion=before["metadata"]["resourceVersion"])
        with pytest.raises(Changed):
            await client.apply(stale)

    tell(story)


def test_a_list_of_many_pages_is_one_list():
    async def story(api, client):
        for number in range(1203):
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{number}"}}
            api.store.put(POD.path("shop", f"p{number}"), pod)
        found, _ = await client.list(POD, "shop", "")
        return len({each["metadata"]["name"] for each in found}), client.calls["list"]

    assert tell(story) == (1203, 3)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_stumbles_is_asked_again(status):
    async def story(api, client):
        api.faults.append(failing(2, status))
        return await client.get(DEPLOYMENT, "shop", "shop"), client.calls["get"]

    assert tell(story) == (None, 3)


def test_a_server_that_keeps_stumbling_is_unreachable_and_not_asked_for_ever():
    async def story(api, client):
        api.faults.append(failing(99, 503))
        with pytest.raises(Unreachable, match="503"):
            await client.get(DEPLOYMENT, "shop", "shop")
        return client.calls["get"]

    assert tell(story) == QUICK.tries


def test_the_pause_that_a_server_asks_for_is_kept():
    async def story(api, client):
        api.faults.append(failing(1, 429, {"Retry-After": "1"}))
        began = asyncio.get_running_loop().time()
        await client.get(DEPLOYMENT, "shop", "shop")
        return asyncio.get_running_loop().time() - began

    assert tell(story, limits=Limits(pause_s=0.01)) >= 1.0


def test_a_missing_right_is_named_by_verb_and_resource():
    said = ('deployments.apps "shop" is forbidden: User "jane" cannot patch resource '
            '"deployments" in API group "apps" in the namespace "shop"')  # fmt: skip

    async def story(api, client):
        api.faults.append(lambda *_: (403, {}, {"reason": "Forbidden", "message": said}))
        with pytest.raises(Refused) as refused:
            await client.apply(deployment())
        return refused.value.code, refused.value.detail, client.calls["patch"]

    code, detail, calls = tell(story)
    assert (code, calls) == ("forbidden", 1)
    assert "jane" in detail and "the verb patch on deployments.apps in namespace shop" in detail


def test_a_kind_that_the_cluster_does_not_serve_is_no_missing_object():
    async def story(api, client):
        with pytest.raises(Refused) as refused:
            await client.get(HTTP_ROUTE, "shop", "shop")
        return refused.value.code

    assert tell(story, unserved={"httproutes"}) == "kind-missing"


def test_nobody_at_the_address_is_unreachable():
    async def story(api, client):
        gone = Cluster("http://127.0.0.1:9", "tests", "shop", Trust(), Fixed({}))
        lonely = Client(gone, LoopClock(), QUICK)
        with pytest.raises(Unreachable):
            await lonely.get(DEPLOYMENT, "shop", "shop")
        await lonely.aclose()

    tell(story)


def test_no_more_requests_than_the_limits_allow():
    async def story(api, client):
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(client.get(DEPLOYMENT, "shop", "x") for _ in range(30)))
        return asyncio.get_running_loop().time() - began

    assert tell(story, limits=Limits(per_second=100.0, burst=10)) >= 0.19


def test_a_token_that_was_renewed_in_its_file_is_read_again_when_it_is_refused(tmp_path):
    path = tmp_path / "token"
    path.write_text("old")

    async def story(api, client):
        await client.get(DEPLOYMENT, "shop", "shop")
        path.write_text("new")
        api.tokens = {"new"}
        return await client.get(DEPLOYMENT, "shop", "shop")

    assert tell(story, TokenFile(path), tokens={"old"}) is None


# ---- mirrors


def following(story, **server):
    """Runs ``story(server, mirror)`` with a mirror of the deployments labelled app=shop."""

    async def run(api, client):
        mirror = Mirror(
            client, LoopClock(), Selection(DEPLOYMENT, "shop", "app=shop"), lambda: None
        )
        mirror.open()
        try:
            return await story(api, mirror)
        finally:
            await mirror.aclose()

    return tell(run, **server)


async def sees(mirror, holds):
    async with asyncio.timeout(10):
        while not holds(found := dict(await mirror.objects())):
            await asyncio.sleep(0.01)
    return found


def put(api, name, replicas=1):
    found = deployment(name, replicas)
    return api.store.put(DEPLOYMENT.path("shop", name), found)


def test_a_mirror_sees_what_comes_changes_and_goes_without_asking_again():
    async def story(api, mirror):
        put(api, "a")
        await sees(mirror, lambda o: set(o) == {"a"})
        put(api, "b")
        put(api, "a", 7)
        await sees(mirror, lambda o: set(o) == {"a", "b"} and o["a"]["spec"]["replicas"] == 7)
        api.store.remove(DEPLOYMENT.path("shop", "a"))
        await sees(mirror, lambda o: set(o) == {"b"})
        return len([each for each in api.heard if "watch" not in each.query])

    assert following(story) == 1


def test_a_watch_that_breaks_goes_on_where_it_was():
    async def story(api, mirror):
        put(api, "a")
        await sees(mirror, lambda o: set(o) == {"a"})
        for name in "bcd":
            api.cut()
            put(api, name)
            await sees(mirror, lambda o, name=name: name in o)
        return len([each for each in api.heard if "watch" not in each.query])

    assert following(story) == 1


def test_a_server_that_has_forgotten_the_past_is_asked_for_all_of_the_present():
    async def story(api, mirror):
        put(api, "a")
        await sees(mirror, lambda o: set(o) == {"a"})
        api.faults.append(failing(1, 500))
        api.store.remove(DEPLOYMENT.path("shop", "a"))
        put(api, "b")
        api.store.compact()
        await sees(mirror, lambda o: set(o) == {"b"})

    following(story)


def test_a_server_that_ends_each_watch_at_once_is_not_asked_without_a_pause():
    async def story(api, mirror):
        await sees(mirror, lambda o: not o)
        for _ in range(200):
            api.store.end_watches()
            await asyncio.sleep(0.002)
        return len([each for each in api.heard if "watch" in each.query])

    assert following(story) < 80


def test_what_cannot_be_listed_is_said_and_never_an_empty_world():
    async def story(api, mirror):
        with pytest.raises(Refused) as refused:
            await mirror.objects(within_s=2.0)
        return refused.value.code

    assert following(story, unserved={"deployments"}) == "kind-missing"
