"""Rollouts on a real API server while everything around them goes wrong."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from holdfast.artifacts.kubernetes.admission.demands import policies
from holdfast.artifacts.kubernetes.admission.policy import objects
from holdfast.conductor.wiring import Conductor
from holdfast.rollout.model import Ending, Release
from holdfast.targets.base import Bundle, Refused
from holdfast.targets.kubernetes import wanted
from holdfast.targets.kubernetes.marks import HASH, object_name
from kubernetes_rig.api_server import Refused as Answered
from kubernetes_rig.controllers import until
from kubernetes_rig.faulty import BROKEN, BUSY, FORGOTTEN, Fault
from kubernetes_rig.nodes import CRASHES, NO_CONFIG, NO_IMAGE, READY, Fate
from kubernetes_rig.stage import held

pytestmark = pytest.mark.live
ROLLING = "{strategy: rolling, max_surge: 1, max_unavailable: 0, drain: 0s}"


@pytest.fixture(autouse=True)
def rolling(shop):
    shop.rollout, shop.replicas = ROLLING, 4


async def under_way(shop, conductor, version="2.0.0", pace=0.3):
    """A rollout that has begun to replace instances; one takes ``pace`` seconds to get ready."""
    station = await shop.deployed(conductor, "1.0.0")
    shop.agent.rule = lambda pod: Fate(ready_after=pace)
    shop.observer.begin()
    outcome = await shop.deploy(conductor, version)
    await shop.comes(lambda: ready_of(shop, outcome.release.id) >= 1, lambda: str(held(station)))
    return station, outcome.release.id


def ready_of(shop, release):
    hashed = object_name("", release).removeprefix("-")
    return shop.agent.ready(**{HASH: hashed})


async def finished_whole(shop, station):
    await shop.ended(station, Ending.PROMOTED)
    assert shop.observer.fewest_ready >= shop.replicas
    assert shop.observer.most_wanted <= shop.replicas + 1


def test_an_api_server_killed_under_way_delays_and_breaks_nothing(shop):
    async def story(conductor):
        station, _ = await under_way(shop, conductor)
        await asyncio.to_thread(shop.server.restart)
        await finished_whole(shop, station)

    shop.run(story)


@pytest.mark.parametrize("fault", [BUSY, BROKEN], ids=["429", "500"])
def test_a_storm_of_refusals_under_way_delays_and_breaks_nothing(shop, fault):
    async def story(conductor):
        station, _ = await under_way(shop, conductor)
        turn = itertools.count()
        shop.proxy.rule = lambda call: fault if next(turn) % 3 else None
        await asyncio.sleep(1.5)
        shop.proxy.rule = lambda call: None
        await finished_whole(shop, station)

    shop.run(story)


def test_watches_that_are_told_410_under_way_miss_nothing(shop):
    async def story(conductor):
        station, _ = await under_way(shop, conductor)
        left = [5]

        def rule(call):
            if call.watch and left[0]:
                left[0] -= 1
                return FORGOTTEN
            return None

        shop.proxy.rule = rule
        shop.proxy.cut_watches()
        await finished_whole(shop, station)

    shop.run(story)


def test_whoever_scales_a_deployment_under_way_is_named_and_the_rollout_waits(shop):
    async def story(conductor):
        station, new = await under_way(shop, conductor, pace=1.5)
        path = f"/apis/apps/v1/namespaces/{shop.name}/deployments/{object_name(shop.name, new)}"
        scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 3}}
        scaled["metadata"] = {"name": object_name(shop.name, new)}
        query = "?fieldManager=somebody-else&force=true"
        shop.server.ask("PATCH", path + query, scaled, "apply-patch+yaml")
        await shop.comes(lambda: "somebody-else" in str(held(station)), lambda: str(held(station)))
        assert shop.observer.fewest_ready >= shop.replicas

    shop.run(story)


def test_a_conductor_whose_lease_was_taken_writes_nothing_more(shop):
    async def story(conductor):
        # Slow enough that orders are left when the renewal, every four seconds, finds the thief.
        station, _ = await under_way(shop, conductor, pace=3.0)
        path = f"/apis/coordination.k8s.io/v1/namespaces/{shop.name}/leases/holdfast-{shop.name}"
        lease = shop.server.ask("GET", path)
        lease["spec"] |= {"holderIdentity": "a thief", "leaseTransitions": 7}
        shop.server.ask("PUT", path, lease)
        await shop.comes(lambda: "Lease" in str(held(station)), lambda: str(held(station)), 30)
        shop.proxy.calls.clear()
        await asyncio.sleep(1.0)
        return [call for call in shop.proxy.calls if call.method in ("PATCH", "DELETE")]

    assert shop.run(story) == []
    assert shop.observer.fewest_ready >= shop.replicas


def test_a_conductor_that_dies_after_every_fact_is_followed_by_one_that_goes_on(shop):
    """Dies: no lease is let go, no watch is closed politely, nothing is said."""

    async def story():
        async with shop.conducted() as conductor:
            await shop.deployed(conductor, "1.0.0")
            shop.observer.begin()
            await shop.deploy(conductor, "2.0.0")
        deaths = 0
        while True:
            conductor = await Conductor.open(shop.home)
            station, size = conductor.stations[shop.name], conductor.works.ledger.size
            if station.state.running is None:
                await conductor.close()
                return deaths
            # What opening recorded is in the size: the next fact is the rollout's.
            await shop.comes(
                lambda c=conductor, s=size: (
                    c.works.ledger.size > s + 1 or c.stations[shop.name].state.running is None
                ),
                lambda s=station: str(held(s)),
            )
            deaths += 1
            await killed(conductor)

    deaths = asyncio.run(story())
    assert deaths >= 2
    assert shop.observer.fewest_ready >= shop.replicas
    assert shop.observer.most_wanted <= shop.replicas + 1


async def killed(conductor):
    """What is left when the process is gone: files are closed, and nobody says goodbye."""
    for station in conductor.stations.values():
        target = station._have.target
        station._running.cancel()
        parts, target._opened = target._opened, None
        if parts is not None:
            if parts.hold._task is not None:
                parts.hold._task.cancel()
            await parts.sight.aclose()
            await parts.client.aclose()
    conductor.stations.clear()
    await conductor.close()


def test_a_namespace_deleted_under_way_is_said(shop):
    async def story(conductor):
        station, _ = await under_way(shop, conductor)
        shop.server.ask("DELETE", f"/api/v1/namespaces/{shop.name}")
        words = ("namespace", "not-found", "not found", "terminated")
        await shop.comes(
            lambda: any(word in str(held(station)) for word in words), lambda: str(held(station))
        )
        return held(station)

    assert shop.run(story)


def test_a_gateway_api_that_the_cluster_does_not_serve_is_refused_before_anything_moves(shop):
    missing = Fault(404, body={"kind": "Status", "reason": "NotFound",
                    "message": "the server could not find the requested resource"})  # fmt: skip
    shop.proxy.rule = lambda call: missing if "httproutes" in call.path else None

    async def story(conductor):
        with pytest.raises(Refused) as refused:
            await shop.deploy(conductor, "1.0.0")
        return refused.value

    refused = shop.run(story)
    assert refused.code == "kind-missing" and "HTTPRoute" in str(refused)
    assert shop.observer.most_wanted == 0 if shop.observer.moments else True


def test_the_verb_that_our_role_lacks_is_named_before_anything_moves(shop):
    who = f'User "system:serviceaccount:{shop.name}:x"'
    said = f'deployments.apps is forbidden: {who} cannot patch resource "deployments"'
    lacking = Fault(403, body={"kind": "Status", "reason": "Forbidden", "message": said})
    refused = ("PATCH", "deployments")
    shop.proxy.rule = lambda c: lacking if (c.method, c.resource) == refused else None

    async def story(conductor):
        with pytest.raises(Refused) as refused:
            await shop.deploy(conductor, "1.0.0")
        return refused.value

    said = str(shop.run(story))
    assert "the verb patch on deployments.apps" in said and shop.name in said


def test_a_release_that_a_policy_forbids_is_refused_in_the_policys_own_words(shop):
    stored = [each for policy in policies(shop.service("1.0.0"))
              for each in objects(shop.service("1.0.0"), policy)]  # fmt: skip
    for each in stored:
        shop.server.apply(each, dry=False)

    async def story(conductor):
        bad = wanted.deployment(bundle(shop, "latest"), 1, 0)
        await asyncio.to_thread(until, lambda: denied(shop, bad), "policies count", 60)
        with pytest.raises(Refused) as refused:
            await shop.deploy(conductor, "latest")
        station = await shop.deployed(conductor, "1.0.0")
        return refused.value, station.state.proven

    try:
        refused, proven = shop.run(story)
    finally:
        for each in stored:
            shop.server.ask("DELETE", shop.server.place(each))
    assert refused.code == "admission-denied"
    assert "ValidatingAdmissionPolicy" in str(refused)
    assert "one that means another image tomorrow" in str(refused)
    assert [release.version for release in proven] == ["1.0.0"]


def bundle(shop, version):
    return Bundle(Release(version, version, version), shop.service(version))


def denied(shop, document):
    """Policies take effect a moment after they are stored."""
    try:
        shop.server.apply(document)
    except Answered:
        return True
    return False


@pytest.mark.parametrize(
    ("fate", "code"),
    [(NO_IMAGE, "image-pull"), (CRASHES, "crash-loop"), (NO_CONFIG, "config-missing")],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_instances_that_cannot_start_end_the_rollout_with_their_reason(shop, fate, code):
    shop.agent.rule = lambda pod: (
        fate if "2.0.0" in pod["spec"]["containers"][0]["image"] else READY
    )

    async def story(conductor):
        station = await shop.deployed(conductor, "1.0.0")
        shop.observer.begin()
        await shop.deploy(conductor, "2.0.0")
        await shop.ended(station, Ending.REVERTED)
        return station.state.rollout.reason

    reason = shop.run(story)
    assert code in reason or fate.waiting in reason, reason
    assert shop.observer.fewest_ready >= shop.replicas
    until(lambda: len(shop.agent.pods()) == shop.replicas, "the failed instances are gone", 20)
