"""Orders in a simulated cluster: whose they are, what they cost, and what other hands did."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.rollout.model import Release, Route, Scale
from holdfast.runtime.clock import LoopClock
from holdfast.spec.model import Service
from holdfast.targets.base import Bundle, Fault, Refused, TargetError
from holdfast.targets.kubernetes import marks
from holdfast.targets.kubernetes.clients import Clients
from holdfast.targets.kubernetes.credentials import Fixed
from holdfast.targets.kubernetes.kinds import AUTOSCALER, LEASE
from holdfast.targets.kubernetes.kubeconfig import Cluster as Access_
from holdfast.targets.kubernetes.kubeconfig import Trust
from holdfast.targets.kubernetes.lease import DURATION_S
from holdfast.targets.kubernetes.target import Access, KubernetesTarget
from kubernetes_simulated.cluster import CRASHES, Cluster, running


class Skewed(LoopClock):
    """A clock that a test moves forward."""

    def __init__(self):
        self.ahead = 0.0

    def now(self):
        return super().now() + self.ahead


class Stage:
    def __init__(self, cluster):
        self.cluster, self.targets = cluster, []
        self.clock = Skewed()

    def open(self, holder="jane"):
        there = Access_(self.cluster.server.url, "tests", "shop", Trust(), Fixed({}))
        target = KubernetesTarget(Access(holder, Clients(self.clock, lambda _: there)), self.clock)
        self.targets.append(target)
        return target

    async def serving(self, replicas=2, holder="jane"):
        target = self.open(holder)
        await target.prepare(bundle("v1"))
        await target.perform(Scale("v1", replicas, 1))
        await self.until(target, lambda look: look.fleets and look.fleets[0].ready == replicas)
        await target.perform(Route((("v1", 100),), 1))
        await self.until(target, lambda look: dict(look.weights) == {"v1": 100})
        return target

    async def until(self, target, holds):
        async with asyncio.timeout(10):
            while not holds(look := await target.observe()):
                await asyncio.sleep(0.01)
        return look

    def edit(self, plural, spec, manager="kate"):
        """Somebody changes a part of ``spec`` of the only object of its kind."""
        at, found = self.cluster.all(plural)[0]
        return self.cluster.store.update(at, {**found, "spec": found["spec"] | spec}, manager)


def bundle(version):
    given = {"service": "shop", "run": "serve", "image": "registry.test/shop"}
    return Bundle(Release(version, version.ljust(64, "0"), version), Service.model_validate(given))


def tell(story):
    async def run():
        async with running(Cluster()) as cluster:
            stage = Stage(cluster)
            try:
                return await story(stage)
            finally:
                for target in stage.targets:
                    await target.aclose()

    return asyncio.run(run())


async def refused(order):
    with pytest.raises(Refused) as error:
        await order
    return error.value


# ---- who may


def test_a_lease_that_somebody_holds_is_not_taken_and_one_that_was_let_go_is():
    async def story(stage):
        first = await stage.serving()
        second = stage.open("tom")
        said = await refused(second.prepare(bundle("v2")))
        await first.aclose()
        await second.prepare(bundle("v2"))
        return said, stage.cluster.one("leases", "holdfast-shop")["spec"]

    said, lease = tell(story)
    assert said.code == "held" and "jane conducts this service" in said.detail
    assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("tom", 1)


def test_the_lease_of_a_dead_holder_is_taken_after_its_duration_was_watched():
    async def story(stage):
        dead = {
            "apiVersion": LEASE.version, "kind": "Lease",
            "metadata": {"name": "holdfast-shop", "namespace": "shop"},
            "spec": {"holderIdentity": "dead", "leaseDurationSeconds": DURATION_S,
                     "renewTime": "2000-01-01T00:00:00.000000Z", "leaseTransitions": 3},
        }  # fmt: skip
        stage.cluster.store.put(LEASE.path("shop", "holdfast-shop"), dead)
        target = stage.open()
        said = await refused(target.prepare(bundle("v1")))
        stage.clock.ahead += DURATION_S + 1
        await target.prepare(bundle("v1"))
        return said.code

    assert tell(story) == "held"


def test_a_holder_that_comes_back_takes_its_own_lease_at_once():
    async def story(stage):
        target = await stage.serving()
        await target.prepare(bundle("v2"))
        again = stage.open("jane")  # as after kill -9: nobody let go
        await again.prepare(bundle("v2"))
        return stage.cluster.one("leases", "holdfast-shop")["spec"]["leaseTransitions"]

    assert tell(story) == 0


def test_orders_of_a_holder_whose_lease_was_stolen_are_refused_and_change_nothing():
    async def story(stage):
        old = await stage.serving()
        at, found = stage.cluster.all("leases")[0]
        stolen = found["spec"] | {"holderIdentity": "tom", "leaseTransitions": 1}
        stage.cluster.store.put(at, {**found, "spec": stolen})
        new = stage.open("tom")
        await new.prepare(bundle("v1"))
        await new.perform(Scale("v1", 3, 1))
        said = await refused(old.perform(Scale("v1", 9, 1)))
        return said.code, stage.cluster.all("deployments")[0][1]["spec"]["replicas"]

    assert tell(story) == ("stale-generation", 3)


def test_a_lease_that_cannot_be_renewed_ends_and_orders_are_refused():
    async def story(stage):
        target = await stage.serving()
        stage.clock.ahead += DURATION_S + 1
        return (await refused(target.perform(Scale("v1", 3, 1)))).code

    assert tell(story) == "lease-lost"


# ---- what they cost


def test_orders_that_are_repeated_cost_no_request():
    async def story(stage):
        target = await stage.serving()
        before = dict(target.calls)
        for _ in range(20):
            await target.perform(Scale("v1", 2, 1))
            await target.perform(Route((("v1", 100),), 1))
        return before == dict(target.calls)

    assert tell(story)


def test_a_rollout_costs_a_bounded_number_of_requests():
    async def story(stage):
        target = await stage.serving()
        before = sum(target.calls.values())
        await target.prepare(bundle("v2"))
        await target.perform(Scale("v2", 2, 1))
        await stage.until(target, lambda look: look.fleets[-1].ready == 2)
        for share in (5, 25, 50):
            await target.perform(Route((("v1", 100 - share), ("v2", share)), 1))
        await target.perform(Route((("v2", 100),), 1))
        await stage.until(target, lambda look: dict(look.weights) == {"v2": 100})
        await target.perform(Scale("v1", 0, 1, idle=True))
        return sum(target.calls.values()) - before

    assert tell(story) <= 32


# ---- other hands


def test_a_hand_that_was_quicker_than_the_look_is_named_and_not_overwritten():
    async def story(stage):
        target = await stage.serving()
        stage.edit("deployments", {"replicas": 7})
        said = await refused(target.perform(Scale("v1", 3, 1)))
        return said, stage.cluster.all("deployments")[0][1]["spec"]["replicas"]

    said, replicas = tell(story)
    assert (said.code, replicas) == ("conflict", 7)
    assert "kate manages .spec.replicas" in said.detail


def test_what_the_engine_orders_although_it_knows_of_the_hand_is_done():
    async def story(stage):
        target = await stage.serving()
        stage.edit("deployments", {"replicas": 7})
        look = await stage.until(target, lambda look: look.drift)
        await target.perform(Scale("v1", 3, 1))
        await stage.until(target, lambda look: not look.drift and look.fleets[0].size == 3)
        return look.drift

    assert "kate" in tell(story)


def test_what_was_put_back_is_no_drift_and_may_be_changed_again():
    async def story(stage):
        target = await stage.serving()
        stage.edit("deployments", {"replicas": 7})
        await stage.until(target, lambda look: look.drift)
        stage.edit("deployments", {"replicas": 2})
        await stage.until(target, lambda look: not look.drift)
        await target.perform(Scale("v1", 4, 1))
        return stage.cluster.all("deployments")[0][1]["spec"]["replicas"]

    assert tell(story) == 4


def test_weights_that_were_edited_and_put_back_may_be_moved_again():
    async def story(stage):
        target = await stage.serving()
        await target.prepare(bundle("v2"))
        rules = stage.cluster.one("httproutes", "shop")["spec"]["rules"]
        at = next(at for at, each in stage.cluster.all("httproutes") if at.endswith("/shop"))

        def edited(backends):
            found = stage.cluster.store.objects[at]
            spec = found["spec"] | {"rules": [rules[0] | {"backendRefs": backends}]}
            stage.cluster.store.update(at, {**found, "spec": spec}, "kate")

        edited([{"name": "elsewhere", "weight": 1}])
        look = await stage.until(target, lambda look: look.drift)
        edited(rules[0]["backendRefs"])
        await stage.until(target, lambda each: not each.drift)
        await target.perform(Route((("v1", 50), ("v2", 50)), 1))
        await stage.until(target, lambda each: dict(each.weights) == {"v1": 50, "v2": 50})
        return look.drift

    assert "kate" in tell(story)


@pytest.mark.parametrize(
    ("steer", "plural"), [("gateway", "httproutes"), ("istio", "virtualservices")]
)
def test_a_cluster_without_the_kind_of_the_route_is_refused_before_anything_moves(steer, plural):
    async def story(stage):
        stage.cluster.server.unserved = {plural}
        plain = bundle("v1")
        steered = plain.service.kubernetes.model_copy(update={"steer": steer})
        spec = plain.service.model_copy(update={"kubernetes": steered})
        said = await refused(stage.open().prepare(Bundle(plain.release, spec)))
        return said.code, stage.cluster.all("deployments")

    assert tell(story) == ("kind-missing", [])


def test_what_an_autoscaler_added_is_neither_drift_nor_taken_back():
    async def story(stage):
        target = await stage.serving()
        name = marks.object_name("shop", "v1")
        follows = {"scaleTargetRef": {"kind": "Deployment", "name": name}}
        made = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop"}, "spec": follows}
        stage.cluster.store.put(AUTOSCALER.path("shop", "shop"), made)
        stage.edit("deployments", {"replicas": 5}, "kube-controller-manager")
        await stage.until(target, lambda look: look.fleets[0].ready == 5)
        look = await target.observe()
        await target.perform(Scale("v1", 2, 1))
        await asyncio.sleep(0.1)
        return look.drift, stage.cluster.all("deployments")[0][1]["spec"]["replicas"]

    assert tell(story) == (None, 5)


def autoscaled(version):
    plain = bundle(version)
    given = {"service": "shop", "run": "serve", "image": "registry.test/shop",
             "replicas": 2, "autoscaling": 9}  # fmt: skip
    return Bundle(plain.release, Service.model_validate(given))


def test_an_autoscaler_follows_the_stable_release_alone_with_a_floor_that_is_frozen_meanwhile():
    async def story(stage):
        target = stage.open()
        seen = []

        def scaler():
            spec = stage.cluster.one("horizontalpodautoscalers", "shop")["spec"]
            seen.append((spec["scaleTargetRef"]["name"], spec["minReplicas"]))

        for version in ("v1", "v2"):
            await target.prepare(autoscaled(version))
        await target.perform(Scale("v1", 2, 1))
        await stage.until(target, lambda look: look.fleets and look.fleets[0].ready == 2)
        await target.perform(Route((("v1", 100),), 1))
        scaler()
        stage.edit("deployments", {"replicas": 6}, "kube-controller-manager")
        await stage.until(target, lambda look: look.fleets[0].ready == 6)
        await target.perform(Scale("v2", 2, 1))  # sized by the load that the stable one has
        look = await stage.until(target, lambda look: look.fleets[-1].ready == 6)
        scaler()
        await target.perform(Route((("v2", 100),), 1))
        scaler()
        return seen, look.drift

    seen, drift = tell(story)
    first, second = (marks.object_name("shop", version) for version in ("v1", "v2"))
    assert seen == [(first, 2), (first, 6), (second, 2)]
    assert drift is None


# ---- what goes wrong


def test_a_route_that_no_gateway_takes_is_never_called_acknowledged():
    async def story(stage):
        target = await stage.serving()
        await target.prepare(bundle("v2"))
        await target.perform(Scale("v2", 1, 1))
        await stage.until(target, lambda look: look.fleets[-1].ready == 1)
        stage.cluster.program_s = None
        await target.perform(Route((("v1", 50), ("v2", 50)), 1, needs=(("v2", 1),)))
        await asyncio.sleep(0.2)
        weights = dict((await target.observe()).weights)
        said = await refused(target.perform(Scale("v2", 0, 1, idle=True)))
        return weights, said.code

    assert tell(story) == ({"v1": 100}, "carries-traffic")


def test_what_a_gateway_refuses_is_said_in_its_words():
    async def story(stage):
        target = await stage.serving()
        stage.cluster.refuses = "NotAllowedByListeners"
        await target.prepare(bundle("v2"))
        await target.perform(Route((("v1", 50), ("v2", 50)), 1))
        return (await stage.until(target, lambda look: look.drift)).drift

    assert "NotAllowedByListeners" in tell(story)


def test_a_successor_knows_what_was_acknowledged_before_the_route_on_its_way():
    async def story(stage):
        target = await stage.serving()
        await target.prepare(bundle("v2"))
        stage.cluster.program_s = None
        await target.perform(Route((("v2", 100),), 1))
        await target.aclose()
        again = stage.open()
        await again.prepare(bundle("v2"))
        return (await again.observe()).weights

    assert tell(story) == (("v1", 100),)


def test_no_room_for_more_pods_is_a_failure_with_the_quotas_words():
    async def story(stage):
        target = await stage.serving()
        stage.cluster.pods_max = 3
        await target.prepare(bundle("v2"))
        await target.perform(Scale("v2", 5, 1))
        look = await stage.until(target, lambda look: look.fleets[-1].failure)
        return look.fleets[-1].failure

    failure = tell(story)
    assert failure.code == "quota" and "exceeded quota" in failure.detail


def test_the_last_words_of_a_container_come_with_its_failure():
    async def story(stage):
        target = await stage.serving()
        stage.cluster.fate = lambda pod: CRASHES if marks.release_of(pod) == "v2" else None
        await target.prepare(bundle("v2"))
        logs = {f"{marks.object_name('shop', 'v2')}-rs-{n}": "boot\nKeyError: DB" for n in range(9)}
        stage.cluster.server.logs = logs
        await target.perform(Scale("v2", 1, 1))
        look = await stage.until(target, lambda look: look.fleets[-1].failure)
        return look.fleets[-1].failure

    failure = tell(story)
    assert (failure.code, failure.log_tail[-1]) == ("crash-loop", "KeyError: DB")


def test_a_server_that_is_gone_is_an_error_and_never_an_empty_world():
    async def story(stage):
        target = await stage.serving()
        stage.cluster.server.faults.append(lambda *_: (503, {}, {"message": "starting"}))
        stage.cluster.server.cut()
        assert (await target.observe()).fleets  # a short silence is bridged
        await asyncio.sleep(0.3)
        stage.clock.ahead += 11
        with pytest.raises(TargetError):
            await target.observe()

    tell(story)


def test_another_namespace_would_be_another_service():
    async def story(stage):
        target = await stage.serving()
        other = bundle("v2")
        moved = other.service.model_copy(
            update={"kubernetes": other.service.kubernetes.model_copy(update={"namespace": "x"})}
        )
        return (await refused(target.prepare(Bundle(other.release, moved)))).code

    assert tell(story) == "target-changed"


def test_a_killed_replica_is_replaced():
    async def story(stage):
        target = await stage.serving()
        before = {pod["metadata"]["name"] for _, pod in stage.cluster.all("pods")}
        async with target.suffer(Fault("kill-replica", "v1")):
            await stage.until(target, lambda look: look.fleets[0].ready < 2)
        await stage.until(target, lambda look: look.fleets[0].ready == 2)
        after = {pod["metadata"]["name"] for _, pod in stage.cluster.all("pods")}
        return before == after

    assert not tell(story)


def test_services_of_one_cluster_share_one_client_until_the_last_lets_go():
    async def story(stage):
        there = Access_(stage.cluster.server.url, "tests", "shop", Trust(), Fixed({}))
        clients = Clients(stage.clock, lambda _: there)
        first, second = clients.borrow(None), clients.borrow(None)
        await clients.give_back(first)
        await second.get(LEASE, "shop", "none")
        await clients.give_back(second)
        return first is second, clients.borrow(None) is first

    assert tell(story) == (True, False)
