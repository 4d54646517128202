"""The report is one valid page that fetches nothing, and says exactly what was measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from holdfast.drills import catalog, plots
from holdfast.drills.promises import QUIET, Noise, catalogue
from holdfast.drills.record import Record, Window
from holdfast.drills.report import Report, to_html
from holdfast.drills.scenes import Scene, timeline
from holdfast.drills.session import ENGINE_PROMISES
from holdfast.drills.stage import Fact, Outcome
from holdfast.drills.telling import table

N, START = 6000, 100.0
PROMISES = catalogue(ENGINE_PROMISES)
VOID = {"meta", "br", "path", "use", "rect", "link", "img", "hr", "input"}


def record_of(lost: int = 0) -> Record:
    """Six seconds: v1, from second 2 on v2, from 4 to 5 some v3, which is taken back."""
    intended = np.arange(N) / 1000
    who = np.where(intended < 2, 1, 2).astype(np.uint8)
    who[4000:5000:20] = 3
    kind = np.zeros(N, np.uint8)
    kind[4000 : 4000 + lost] = 1
    done = intended + np.random.default_rng(1).gamma(2, 0.0005, N)
    facts = {"wake_at": [0.0], "wake_lag_ms": [0.1], "loop": "test"}
    plan = {"rate": 1000.0, "rows": 1000}
    names = ("ok", "http-500"), ("", "v1", "v2", "v3")
    return Record(START, intended, intended, done, kind, who, *names, plan, facts)


def outcome(asked: float, ended: float, ending: str, *facts: Fact) -> Outcome:
    ladder = [{"weight": 50}, {"weight": 100}]
    started = Fact(asked + 0.01, "Started", {"plan": {"ladder": ladder}})
    end = Fact(ended, "Finished", {"ending": ending, "reason": "so it was"})
    return Outcome(asked, ended, ending, "so it was", (started, *facts, end))


def scenes_of() -> tuple[Scene, ...]:
    good = outcome(102.0, 102.4, "promoted", Fact(102.2, "WeightReached", {"step": 0}))
    revert = {"code": "verdict", "reason": "<b>5 % & more</b>", "by": "engine"}
    bad = outcome(104.0, 105.1, "reverted", Fact(104.98, "RevertOrdered", revert))
    return (
        Scene("steady", Window(100, 102), None, "", "v1"),
        Scene("rolling", Window(102, 103), good, "promoted", "v2", tuple(timeline(good))),
        Scene("bad: errors", Window(104, 105.5), bad, "reverted", "v3", tuple(timeline(bad))),
    )


def report_of(lost: int = 0, noise: Noise = QUIET) -> Report:
    record, scenes = record_of(lost), scenes_of()
    findings = (
        catalog.deploy_time(PROMISES["P1"], "d", scenes, noise),
        catalog.rollback_time(PROMISES["P2"], "d", record, scenes[2:], noise),
        catalog.lost_requests(PROMISES["P3"], "d", record, scenes, noise),
        catalog.latency(PROMISES["P6"], "d", record, scenes, noise),
        catalog.throughput(replace(PROMISES["P7"], bound=0.99e6), "d", record, scenes, noise),
        catalog.budget(PROMISES["P8"], "d", record, noise),
    )
    act = catalog.Act("d", "A title", record, scenes, findings)
    return Report((act,), {"processors": "2 x <test>"}, "make demo", 6.0, made_at=0.0)


class Page(HTMLParser):
    """Checks nesting, collects ids and everything that could be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.referred: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self._look(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def _look(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "href", "action") and value:
                (self.referred if value.startswith("#") else self.fetched).append(value)
            self.referred += [f"#{each}" for each in re.findall(r"url\(#([^)]+)\)", value or "")]


@pytest.fixture(scope="module")
def page_text() -> str:
    return to_html(report_of())


def test_the_page_names_no_other_place_to_fetch_from(page_text: str) -> None:
    page = Page()
    page.feed(page_text)
    assert page.fetched == []
    assert "//" not in re.sub(r"<style>.*?</style>", "", page_text, flags=re.DOTALL)
    assert "@import" not in page_text and "<script" not in page_text


def test_the_page_is_well_formed_and_its_ids_are_unique_and_found(page_text: str) -> None:
    page = Page()
    page.feed(page_text)
    assert page.wrong == [] and page.open == []
    assert len(page.ids) == len(set(page.ids)) > 20
    assert {each[1:] for each in page.referred} <= set(page.ids)


def test_ink_follows_the_paper_in_dark_and_light(page_text: str) -> None:
    assert "prefers-color-scheme: dark" in page_text
    assert "currentColor" in page_text and "#0f1e2d" not in page_text


def test_every_drawing_is_described_for_those_who_cannot_see_it(page_text: str) -> None:
    assert page_text.count("<svg") == page_text.count('role="img" aria-label="') == 2


def test_words_of_others_are_escaped(page_text: str) -> None:
    assert "<b>5 %" not in page_text and "&lt;b&gt;5 % &amp; more" in page_text
    assert "2 x &lt;test&gt;" in page_text


def test_the_same_findings_make_the_same_bytes() -> None:
    assert to_html(report_of()) == to_html(report_of())


@pytest.mark.parametrize(
    "lost, noise, code, says",
    [
        (0, QUIET, 0, "All 6 promises held."),
        (1, QUIET, 1, "2 of 6 promises were broken."),
        (0, Noise(held_rate=0.5), 5, "6 of 6 measurements say nothing."),
    ],
)
def test_the_banner_and_the_exit_code_say_the_same(
    lost: int, noise: Noise, code: int, says: str
) -> None:
    report = report_of(lost, noise)
    assert report.code == code
    assert says in to_html(report)


def test_json_has_every_finding_and_no_number_json_does_not_know() -> None:
    report = report_of()
    empty = replace(report.acts[0].findings[0], measured=float("inf"))
    act = replace(report.acts[0], findings=(empty, *report.acts[0].findings[1:]))
    text = json.dumps(replace(report, acts=(act,)).as_json(), allow_nan=False)
    document = json.loads(text)
    assert [f["promise"] for f in document["findings"]] == ["P1", "P2", "P3", "P6", "P7", "P8"]
    assert document["findings"][0]["measured"] is None
    assert document["acts"][0]["load"]["requests"] == N


def test_the_way_back_is_measured_to_the_last_answer_of_the_bad_version() -> None:
    record, bad = record_of(), scenes_of()[2]
    found = catalog.rollback_time(PROMISES["P2"], "d", record, [bad], QUIET)
    last = record.last_answer("v3")
    assert last is not None and bad.trigger == 104.98
    assert found.measured == pytest.approx(max(0.0, last - 104.98))


def test_the_story_says_scene_by_scene_what_happened_and_what_users_lost(page_text: str) -> None:
    story = re.sub(r"<[^>]+>", "", page_text.split('class="story">')[1].split("</ol>")[0])
    assert "rolling of v2: promoted after 400 ms; 0 of 1,000 requests failed, p99 " in story
    assert "bad: errors of v3: reverted after 1.1 s" in story and "Why: so it was." in story


def test_no_moment_of_going_back_is_drawn_for_a_version_that_fell_silent_long_before() -> None:
    bad = scenes_of()[2]
    late = Fact(109.0, "RevertOrdered", {"code": "crash-loop", "reason": "dead", "by": "engine"})
    scene = replace(bad, outcome=outcome(104.0, 109.1, "reverted", late))
    assert plots.draw_way_back("x", record_of(), scene, {"v3": "#000000"}) is None
    assert plots.draw_way_back("x", record_of(), bad, {"v3": "#000000"}) is not None


def test_a_long_list_of_versions_does_not_push_the_drawing_away() -> None:
    names = plots._names({f"v{n}": "#000000" for n in range(30)})
    assert len([name for name in names if not name.startswith("_")]) == 12


def test_a_deploy_that_was_not_promoted_breaks_the_deployment_promise() -> None:
    scene = replace(scenes_of()[1], outcome=outcome(102.0, 102.4, "reverted"))
    found = catalog.deploy_time(PROMISES["P1"], "d", [scene], QUIET)
    assert found.mark == "broken" and found.evidence["not promoted"] == ["rolling"]


def test_a_bad_version_that_was_let_in_breaks_the_promise_however_fast() -> None:
    scene = replace(scenes_of()[2], outcome=outcome(104.0, 104.1, "promoted"))
    found = catalog.refusals(PROMISES["T76"], "d", [scene], QUIET)
    assert found.mark == "broken" and found.evidence["let in"] == ["bad: errors: promoted"]


@pytest.mark.req("P3")
@pytest.mark.parametrize("kind, mark", [("timeout", "void"), ("reset", "broken")])
def test_a_busy_machine_voids_lost_requests_only_when_all_ran_out_of_time(
    kind: str, mark: str
) -> None:
    record = replace(record_of(lost=3), kinds=("ok", kind))
    busy = Noise(foreign=0.5)
    assert catalog.lost_requests(PROMISES["P3"], "d", record, [], busy).mark == mark
    assert catalog.lost_requests(PROMISES["P3"], "d", record, [], QUIET).mark == "broken"


@pytest.mark.req("P7")
def test_throughput_counts_right_answers_when_they_arrive_and_the_worse_part_is_told() -> None:
    whole = catalog.throughput(PROMISES["P7"], "d", record_of(), scenes_of(), QUIET)
    lossy = catalog.throughput(PROMISES["P7"], "d", record_of(lost=500), scenes_of(), QUIET)
    late = record_of()
    late.done[2000:3000] += 10.0  # asked while rolling, answered long after
    slow = catalog.throughput(PROMISES["P7"], "d", late, scenes_of(), QUIET)
    assert whole.measured == pytest.approx(1e6, rel=0.003)
    assert lossy.measured == pytest.approx(1e6 * (2500 - 500) / 2500, rel=0.003)
    assert slow.measured == pytest.approx(1e6 * (2500 - 1000) / 2500, rel=0.003)


def test_the_table_on_a_terminal_is_aligned_and_explains_what_is_not_kept() -> None:
    lines = table(report_of(lost=3).findings).splitlines()
    broken = next(i for i, line in enumerate(lines) if line.startswith("P3"))
    assert lines[broken].endswith("broken")
    assert "http-500" in lines[broken + 1]
    ends = {len(line.rsplit("  ", 1)[0]) for line in lines if line.startswith("P")}
    assert len(ends) == 1
