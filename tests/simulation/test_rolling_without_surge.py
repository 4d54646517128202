"""A rolling update that may not go above its replicas must neither stall nor strand (seed 81)."""

import pytest
from playground import HEALTHY, Stage, service, virtual

from holdfast.rollout.commands import Abort
from holdfast.targets.simulated import Behaviour


@pytest.mark.req("T36")
@pytest.mark.parametrize("replicas", [2, 3, 5, 10])
@virtual
async def test_it_ends_promoted_and_keeps_all_but_one_serving(replicas):
    spec = service(replicas, "rolling", max_surge=0, max_unavailable=1)
    stage = await Stage(spec).with_v1()
    await stage.deploy("v2")
    assert await stage.ended(120.0) == "promoted"
    assert stage.watch.ready_least >= replicas - 1
    assert stage.watch.ready_most <= replicas
    assert stage.watch.starved == 0


@virtual
async def test_a_single_replica_is_replaced_by_starting_first():
    spec = service(1, "rolling", max_surge=0, max_unavailable=1)
    stage = await Stage(spec).with_v1()
    await stage.deploy("v2")
    assert await stage.ended(120.0) == "promoted"
    assert (stage.watch.ready_least, stage.watch.ready_most) == (1, 2)
    assert stage.watch.errors == 0


@pytest.mark.parametrize("replicas", [2, 3, 5, 10])
@virtual
async def test_it_can_be_taken_back_from_the_middle(replicas):
    spec = service(replicas, "rolling", max_surge=0, max_unavailable=1)
    stage = await Stage(spec, v2=Behaviour(**HEALTHY)).with_v1()
    await stage.deploy("v2")
    await stage.step(1)
    await stage.post.command(Abort("ann"))
    assert await stage.ended(60.0) == "reverted"
    assert stage.watch.ready_least >= replicas - 1
    assert stage.weights() == {"v1": 100}
