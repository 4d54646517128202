"""What stays in a registry: examples, and what holds for every repository."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.supply.registry.retention import Policy, Version, judge
from holdfast.supply.registry.versions import doomed

DAY_S = 86400.0
NOW = 1000 * DAY_S
DIGESTS = [f"sha256:{each:064x}" for each in range(8)]

versions = st.lists(
    st.builds(
        Version,
        tag=st.sampled_from(["v1", "v2", "v3", "v4", "v5", "latest", "lts-1"]),
        digest=st.sampled_from(DIGESTS),
        created=st.sampled_from([0.0, 1.0, 500 * DAY_S, 990 * DAY_S, 999 * DAY_S]),
        refers=st.lists(st.sampled_from(DIGESTS), max_size=2).map(tuple),
    ),
    unique_by=lambda version: version.tag,
)
policies = st.builds(
    Policy,
    keep=st.integers(1, 4),
    keep_for_s=st.sampled_from([0.0, 20 * DAY_S]),
    protected=st.sampled_from([(), ("lts-*",)]),
    deployed=st.frozensets(st.sampled_from(["v1", "v4", *DIGESTS]), max_size=3),
)


@pytest.mark.req("T24")
@given(versions, policies)
def test_nothing_that_is_deployed_protected_young_or_kept_is_deleted(found, policy):
    verdicts = judge(found, policy, NOW)
    assert sorted(each.version.tag for each in verdicts) == sorted(each.tag for each in found)
    gone = set(doomed(verdicts))
    assert not gone & policy.deployed
    for version in found:
        young = version.created and NOW - version.created < policy.keep_for_s
        if young or version.tag in policy.deployed or not version.created:
            assert version.digest not in gone
    for each in verdicts:
        if each.stays:
            assert not gone & {each.version.digest, *each.version.refers}


@pytest.mark.req("T24")
@given(versions, policies)
def test_pruning_twice_is_pruning_once(found, policy):
    first = judge(found, policy, NOW)
    left = [each.version for each in first if each.stays]
    assert doomed(judge(left, policy, NOW)) == []


def test_the_newest_stay_however_old_they_are():
    old = [Version(f"v{n}", DIGESTS[n], n * DAY_S) for n in range(1, 6)]
    verdicts = judge(old, Policy(2, DAY_S), NOW)
    assert [each.version.tag for each in verdicts if each.stays] == ["v5", "v4"]
    assert doomed(verdicts) == [DIGESTS[3], DIGESTS[2], DIGESTS[1]]


@pytest.mark.req("T22", "T24")
def test_a_signature_lives_as_long_as_its_image():
    images = [Version("v1", DIGESTS[1], 1.0), Version("v2", DIGESTS[2], 2.0)]
    signed = [
        Version(f"sha256-{each.digest[7:]}.sig", f"sha256:{'a' * 63}{place}", 3.0)
        for place, each in enumerate(images)
    ]
    verdicts = judge([*images, *signed], Policy(1, 0.0), NOW)
    assert set(doomed(verdicts)) == {DIGESTS[1], signed[0].digest}
