"""Which copies give a moment back, and what may be deleted: decided without a database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.recovery.entries import (
    Base,
    Expired,
    Marker,
    Proof,
    Segment,
    Stored,
    lsn,
    lsn_text,
    segment_name,
    segment_number,
)
from holdfast.recovery.planning import (
    Target,
    behind,
    expirable,
    fold,
    gaps,
    plan_restore,
    whole_log,
)
from holdfast.recovery.trouble import Gap, Unreachable

pytestmark = pytest.mark.req("T122", "T124", "T125")

SIZE = 16 << 20


def stored(path):
    return Stored(path, 10, "0" * 64, 20)


def base(number, at=None, timeline=1):
    at = float(number * 10) if at is None else at
    start = number * SIZE + 40
    whole = stored(f"base/b{number}")
    stop = start + 300
    return Base(
        at, f"b{number}", at - 1, timeline, start, stop, SIZE, "15.18", "postgres", "7", whole
    )


def segment(number, timeline=1, until=0, at=None):
    name = segment_name(timeline, number, SIZE)
    return Segment(float(number * 10 + 9) if at is None else at, name, stored(f"log/{name}"), until)


def proof(number, *differences):
    return Proof(1.0, f"b{number}", "x", 1.0, 3, differences)


HISTORY = (base(1), *(segment(n) for n in range(1, 7)), base(4, at=42.0))


def test_the_latest_base_before_the_moment_is_taken_with_all_its_log():
    plan = plan_restore(fold(HISTORY), Target(time=60.0))
    assert plan.base.id == "b4"
    assert [s.name[-1] for s in plan.log] == ["4", "5", "6"]
    assert plan.reaches == 7 * SIZE
    assert plan_restore(fold(HISTORY), Target(time=30.0)).base.id == "b1"


def test_a_proven_base_is_preferred_to_a_later_one_that_nobody_restored():
    assert plan_restore(fold((*HISTORY, proof(1))), Target(time=60.0)).base.id == "b1"


def test_a_proof_that_found_a_difference_takes_the_honour_back():
    found = fold((*HISTORY, proof(1), proof(1, "row 7 is another")))
    assert found.proven == frozenset()


def test_a_gap_before_the_later_base_does_not_matter_to_it():
    found = fold(each for each in HISTORY if each != segment(3))
    assert plan_restore(found, Target(time=60.0)).base.id == "b4"
    with pytest.raises(Gap, match=segment_name(1, 3, SIZE)):
        plan_restore(found, Target(time=41.0, lsn=None))


def test_a_base_whose_own_log_is_missing_is_no_base():
    found = fold((base(1), segment(2)))
    with pytest.raises(Gap, match="not consistent: log is missing from 000000010000000000000001"):
        plan_restore(found, Target())


def test_a_segment_that_was_copied_half_full_ends_the_log_where_its_content_ends():
    found = fold((base(1), segment(1), segment(2, until=2 * SIZE + 77)))
    assert whole_log(found, found.bases[0])[1] == 2 * SIZE + 77
    with pytest.raises(Unreachable, match="ends at"):
        plan_restore(found, Target(lsn=2 * SIZE + 78))
    assert plan_restore(fold((*(base(1), segment(1)), segment(2))), Target(lsn=2 * SIZE + 78))


def test_the_log_goes_on_along_the_timeline_that_a_failover_began():
    second = Segment(50.0, "00000002.history", stored("log/h"))
    found = fold((base(1), segment(1), segment(2), second, segment(2, 2), segment(3, 2)))
    plan = plan_restore(found, Target())
    assert [s.name[:8] for s in plan.log] == ["00000001", "00000002", "00000002"]
    assert plan.histories == (second,)


def test_a_marker_leads_to_its_position_and_a_wrong_name_to_those_there_are():
    found = fold((*HISTORY, Marker(55.0, "before-v2", 1, 5 * SIZE)))
    assert plan_restore(found, Target(marker="before-v2")).base.id == "b4"
    with pytest.raises(Unreachable, match="latest are: before-v2"):
        plan_restore(found, Target(marker="v2"))


def test_without_a_base_the_person_is_told_how_to_make_one():
    with pytest.raises(Unreachable, match="holdfast backup run"):
        plan_restore(fold(()), Target())


def test_what_would_be_lost_now_is_the_time_since_the_log_was_stored():
    assert behind(fold(HISTORY), 75.0) == 6.0
    assert behind(fold(()), 75.0) is None


# ---- retention -----------------------------------------------------------------------------------


def test_the_only_proven_base_stays_however_old_and_so_does_its_log():
    found = fold((*HISTORY, proof(1)))
    assert expirable(found, 1e9, 1.0) == ()


def test_what_no_wanted_moment_needs_goes_with_its_log():
    found = fold((*HISTORY, proof(1), proof(4)))
    gone = expirable(found, 1e9, 1.0)
    assert gone == ("base/b1", *(f"log/{segment_name(1, n, SIZE)}" for n in (1, 2, 3)))
    after = fold((*HISTORY, proof(4), Expired(1e9, gone)))
    assert plan_restore(after, Target()).base.id == "b4"
    assert gaps(after, after.bases[0]) == ()


BASES = st.lists(
    st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=8, unique_by=lambda x: x[0]
)


@given(BASES, st.floats(0, 400), st.floats(0, 400))
def test_expiry_never_takes_a_moment_that_is_promised_nor_the_last_proven(bases, now, keep):
    log = [segment(n) for n in range(0, 40)]
    proofs = [proof(n) for n, shown in bases if shown]
    before = [*(base(n) for n, _shown in sorted(bases)), *log, *proofs]
    found = fold(before)
    after = fold((*before, Expired(now, expirable(found, now, keep))))
    if found.proven:
        assert after.proven & {each.id for each in after.bases}
    for moment in (now - keep, now - keep / 2, now):
        wanted = Target(time=min(moment, 390.0))
        try:
            plan_restore(found, wanted)
        except Unreachable:
            continue
        assert plan_restore(after, wanted)


@given(st.integers(1, 0xFFFF), st.integers(0, 1 << 40), st.sampled_from([1 << 20, SIZE, 1 << 30]))
def test_names_of_segments_and_log_positions_survive_a_round_trip(timeline, position, size):
    number = position // size
    assert segment_number(segment_name(timeline, number, size), size) == (timeline, number)
    assert lsn(lsn_text(position)) == position


@pytest.mark.parametrize("text", ["", "0", "G/0", "0/0/0", "-1/0"])
def test_what_is_no_log_position_is_refused(text):
    with pytest.raises(ValueError, match="wanted a log position"):
        lsn(text)
