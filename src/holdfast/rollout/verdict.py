"""The five verdicts: a canary against its control, tested on counts at every look.

The test is anytime-valid (Lindon & Malek, "Anytime-Valid Inference for Multinomial Count Data",
NeurIPS 2022), so looking each second costs nothing. Per bin, ``n`` requests and ``x`` bad ones on
each arm and ``w`` the new release's share of the requests; for each ratio ``r`` of ``RATIOS``

    theta = r*w / (r*w + 1 - w)
    logLR += x_new*ln(theta/theta0) + x_old*ln((1-theta)/(1-theta0))

with ``theta0`` the same at the tolerated ratio: what is tolerated is never counted against the
release. ``E`` is a mean of ``exp(logLR)``; under the null it exceeds ``metrics / alpha`` with a
chance of at most ``alpha / metrics``, however often one looks. Three choices are our own:

- a bin is closed once both arms have a request in it (a rule on requests only, so the test stays
  valid); at one request a minute there would otherwise be no bin with two arms, ever.
- ``E`` also averages over the moment the fault begins (``LATER`` of the mass), so that ten clean
  minutes do not have to be unlearned before a late fault is seen.
- ``E`` averages three views, which is valid whatever their dependence: the comparison; the new
  release alone in intervals without control traffic (weight 100, first deploy); and, during
  warm-up, only whether errors exceed ``sick_rate`` (a cold cache is excused, an outage is not).

PASS has its own evidence: a Beta(1, 8.43/p) mixture against "the rate is p or more", chosen so that
332 clean requests show less than 1 % at 95 % and 3,327 less than 0.1 %. Where the control is itself
near ``error_rate_max``, PASS means "less than twice the control's rate" (see ``_passable``).

``dispersion`` (see ``rollout/dispersion.py``) tempers every likelihood ratio to the power 1/phi. It
makes a bursty service's test slower, and approximate rather than strictly valid.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite

from holdfast.rollout.evidence import (
    NONE,
    Arms,
    Process,
    alone,
    clean_requests_needed,
    compare,
    fixed,
    wilson,
)
from holdfast.rollout.model import (
    Counts,
    Evidence,
    JudgePolicy,
    Mark,
    ReleaseId,
    Sample,
    Source,
    Verdict,
)

SHARES = (0.9, 0.05, 0.05)  # of the comparison, the new release alone, and the warm-up
__all__ = ["Tally", "absorb", "clean_requests_needed", "judge", "restart"]

PASS_RATIO = 2.0  # a service that always has errors passes below this ratio to its control
PAIRED = 20  # the control is compared over the same time while it has 1/20 of the traffic
RECENT_S = 10.0  # how far back "the control is bad too" looks
RECENT_REQUESTS = 20  # and further back than that until the control has so many requests
RECENT_MAX = 32  # intervals kept at most
SICK_BAD_MIN = 5  # fewer bad requests than this are no common cause


@dataclass(frozen=True, slots=True)
class Trial:
    """All that is known about one metric."""

    total: Arms = NONE  # judged counts of the whole rollout
    window: Arms = NONE  # judged counts of this step: what PASS is made of
    whole: Arms = NONE  # the same, common cause included: what repair mode is judged by
    open: Arms = NONE  # the bin that still lacks a request on one arm
    cold: Arms = NONE  # counts of the warm-up
    cold_shared: Arms = NONE  # of the warm-up, common cause: counts in repair mode alone
    compared: Process = field(default_factory=Process)
    alone: Process = field(default_factory=Process)


@dataclass(frozen=True, slots=True)
class Interval:
    """One recent look, for "is the control bad right now?"."""

    seconds: float
    arms: tuple[Arms, ...]  # by metric, as in ``policy.metrics``


@dataclass(frozen=True, slots=True)
class Tally:
    """What has been seen of a rollout so far. Starts as ``Tally()``; grows by ``absorb``."""

    trials: tuple[Trial, ...] = ()  # by metric, as in ``policy.metrics``
    exposed_s: float = 0.0  # since the new release got its first request
    recent: tuple[Interval, ...] = ()
    source: Source = Source.OK
    frozen: bool = False  # the last look was common cause
    control: bool = True  # False: there is no old release to compare with


# ---- growing ------------------------------------------------------------------------------------


def absorb(
    tally: Tally, policy: JudgePolicy, sample: Sample, new: ReleaseId, old: ReleaseId | None
) -> Tally:
    """Fold one interval in. A look at a silent or stale source teaches nothing but that."""
    if sample.source is not Source.OK:
        return replace(tally, source=sample.source)
    assert isfinite(sample.seconds) and sample.seconds >= 0, sample
    counts, control = sample.arm(new), sample.arm(old) if old is not None else Counts()
    arms = tuple(_arms(metric, counts, control) for metric in policy.metrics)
    recent = _remember(tally.recent, Interval(sample.seconds, arms))
    frozen = _common_cause(policy, recent, arms)
    exposed = tally.exposed_s > 0 or counts.requests > 0
    cold = not exposed or tally.exposed_s < policy.warm_up_s
    exposed_s = tally.exposed_s + sample.seconds if exposed else 0.0
    trials = tally.trials or (Trial(),) * len(policy.metrics)
    if tally.frozen and not frozen:
        trials = tuple(replace(trial, window=NONE, open=NONE) for trial in trials)
    learn = (_chill if frozen else _warm_up) if cold else _suspend if frozen else _learn
    by_metric = zip(trials, policy.metrics, arms, strict=True)
    trials = tuple(t if m == NONE else learn(t, policy, name, m) for t, name, m in by_metric)
    return Tally(trials, exposed_s, recent, Source.OK, frozen, old is not None)


def restart(tally: Tally, cold: bool = False) -> Tally:
    """A fresh window: a new step, or a conductor that took over.

    What PASS is made of starts at zero, because each rung must be earned at its own weight (or the
    evidence of 5 % would climb the whole ladder at once). Evidence *against* the release is kept:
    it is valid across weights, and a fault must not be forgiven by climbing. The warm-up is the
    first exposure of the new release and is not repeated, because ten blind seconds at 50 % cost
    more users than a cold start; with ``cold=True`` (instances were added that never served) it is.
    A common cause goes on until a look shows its end: a new step is no reason to blame for it.
    """
    trials = tuple(replace(t, window=NONE, whole=NONE, open=NONE) for t in tally.trials)
    exposed_s = 0.0 if cold else tally.exposed_s
    return replace(tally, trials=trials, exposed_s=exposed_s)


def _arms(metric: str, new: Counts, old: Counts) -> Arms:
    return Arms(*_requests_and_bad(metric, new), *_requests_and_bad(metric, old))


def _requests_and_bad(metric: str, counts: Counts) -> tuple[int, int]:
    bad = counts.errors if metric == "errors" else counts.slow
    assert counts.requests >= 0 and bad >= 0, counts
    # The two counters are not read at the same instant: bad ones may run ahead by a few.
    return max(counts.requests, bad), bad


def _warm_up(trial: Trial, policy: JudgePolicy, metric: str, more: Arms) -> Trial:
    return replace(trial, cold=trial.cold + more)


def _chill(trial: Trial, policy: JudgePolicy, metric: str, more: Arms) -> Trial:
    return replace(trial, cold_shared=trial.cold_shared + more)


def _suspend(trial: Trial, policy: JudgePolicy, metric: str, more: Arms) -> Trial:
    return replace(trial, open=NONE, whole=trial.whole + more)


def _learn(trial: Trial, policy: JudgePolicy, metric: str, more: Arms) -> Trial:
    bin_, compared, lone = trial.open + more, trial.compared, trial.alone
    if bin_.new_requests and bin_.old_requests:
        if bin_.new_bad or bin_.old_bad:
            logs = compare(policy.ratio_tolerated, policy.dispersion, bin_)
            # Only the control's errors lower the evidence, so only after them it starts anew.
            compared = compared.grow(logs, start=bin_.old_bad > 0)
        bin_ = NONE
    if more.new_requests and not more.old_requests:
        limit = _limit(policy, metric, trial.total + trial.cold)
        logs = alone(limit, policy.dispersion, more.new_requests, more.new_bad)
        lone = lone.grow(logs, start=True)
    return Trial(
        total=trial.total + more,
        window=trial.window + more,
        whole=trial.whole + more,
        open=bin_,
        cold=trial.cold,
        cold_shared=trial.cold_shared,
        compared=compared,
        alone=lone,
    )


# ---- is the control bad right now? --------------------------------------------------------------


def _remember(recent: tuple[Interval, ...], last: Interval) -> tuple[Interval, ...]:
    """At least ``RECENT_S``, and further back until the control has ``RECENT_REQUESTS``."""
    empty = not any(a.new_requests or a.old_requests for a in last.arms)
    if recent and (empty or recent[-1].seconds < 0.25):
        arms = tuple(a + b for a, b in zip(recent[-1].arms, last.arms, strict=True))
        last, recent = Interval(recent[-1].seconds + last.seconds, arms), recent[:-1]
    seconds, requests = last.seconds, last.arms[0].old_requests
    keep = len(recent)
    while keep and (seconds < RECENT_S or requests < RECENT_REQUESTS):
        keep -= 1
        seconds += recent[keep].seconds
        requests += recent[keep].arms[0].old_requests
    return (*recent[max(keep, len(recent) - RECENT_MAX + 1) :], last)


def _common_cause(
    policy: JudgePolicy, recent: tuple[Interval, ...], last: tuple[Arms, ...]
) -> bool:
    """The control is sick on some metric and the new release is not shown to be better.

    A new release that is well while the control is sick is the fix: it is judged, not frozen.
    """
    for index, metric in enumerate(policy.metrics):
        if sum([interval.arms[index].old_bad for interval in recent]) < SICK_BAD_MIN:
            continue
        window = sum((interval.arms[index] for interval in recent), NONE)
        sick = policy.sick_rate
        if metric == "slow":
            sick = max(sick, min(2 * policy.slow_rate_max, 0.9))
        now = last[index]
        sudden = now.old_requests >= RECENT_REQUESTS
        if any(_shared(seen, sick) for seen in ((now, window) if sudden else (window,))):
            return True
    return False


def _shared(seen: Arms, sick: float) -> bool:
    if seen.old_bad < sick * seen.old_requests or not seen.old_bad:
        return False
    enough = seen.new_requests >= SICK_BAD_MIN
    return not (enough and seen.new_bad < sick / 2 * seen.new_requests)


# ---- judging ------------------------------------------------------------------------------------


def judge(tally: Tally, policy: JudgePolicy, repair: bool = False) -> Verdict:
    """The verdict now. ``repair``: the control is broken, so only absolute rates count.

    FAIL outranks a silent source, because evidence does not vanish with the metric store. Common
    cause outranks FAIL: an outage that both share must freeze the rollout and blame nobody.
    """
    absolute = repair or not tally.control
    trials = tally.trials or (Trial(),) * len(policy.metrics)
    bound = len(policy.metrics) / policy.alpha
    evidence = tuple(
        _evidence(metric, trial, _against(trial, policy, metric, absolute, repair), bound)
        for metric, trial in zip(policy.metrics, trials, strict=True)
    )
    if tally.frozen and not absolute and tally.source is Source.OK:
        return Verdict(Mark.COMMON_CAUSE, _say_common(tally, policy), 0, evidence)
    worst = max(evidence, key=lambda e: e.e_value)
    if worst.e_value >= bound:
        return Verdict(Mark.FAIL, _say_fail(worst, absolute, policy), 0, evidence)
    if tally.source is not Source.OK:
        return Verdict(Mark.SOURCE_DOWN, _say_source(tally.source), 0, evidence)
    return _enough(tally, policy, absolute, repair, evidence)


def _evidence(metric: str, trial: Trial, e_value: float, bound: float) -> Evidence:
    seen = trial.total + trial.cold
    return Evidence(
        metric, seen.new_bad, seen.new_requests, seen.old_bad, seen.old_requests, e_value, bound
    )


def _against(trial: Trial, policy: JudgePolicy, metric: str, absolute: bool, repair: bool) -> float:
    """E against the release: the weighted mean of the views that apply."""
    compared, lone, warm_up = SHARES
    seen = trial.cold + trial.cold_shared if repair else trial.cold
    cold = _cold(seen, policy) if metric == "errors" else 1.0
    if not absolute:
        values = compared * trial.compared.value + lone * trial.alone.value
        return values + warm_up * cold
    if repair:
        seen = trial.whole
        logs = alone(_rate_max(policy, metric), policy.dispersion, seen.new_requests, seen.new_bad)
        value = fixed(logs)
    else:
        value = trial.alone.value
    return (compared + lone) * value + warm_up * cold


def _cold(cold: Arms, policy: JudgePolicy) -> float:
    """Even a cold release must not fail more often than ``sick_rate``."""
    if not cold.new_bad:
        return 0.0 if cold.new_requests else 1.0
    logs = alone(policy.sick_rate, policy.dispersion, cold.new_requests, cold.new_bad)
    return fixed(logs)


# ---- PASS ---------------------------------------------------------------------------------------


def _enough(
    tally: Tally, policy: JudgePolicy, absolute: bool, repair: bool, evidence: tuple[Evidence, ...]
) -> Verdict:
    trials = tally.trials or (Trial(),) * len(policy.metrics)
    said: list[str] = []
    needed = 0
    for metric, trial in zip(policy.metrics, trials, strict=True):
        seen = trial.whole if repair else trial.window
        rate = _rate_max(policy, metric) if absolute else _passable(policy, metric, trial)
        more = clean_requests_needed(
            rate, policy.confidence, seen.new_requests, seen.new_bad, policy.dispersion
        )
        needed = max(needed, more)
        said.append(_say_progress(metric, seen, rate, policy.confidence, more))
    if needed:
        return Verdict(Mark.INSUFFICIENT, "; ".join(said), needed, evidence)
    return Verdict(Mark.PASS, "; ".join(said), 0, evidence)


def _rate_max(policy: JudgePolicy, metric: str) -> float:
    return policy.error_rate_max if metric == "errors" else policy.slow_rate_max


def _passable(policy: JudgePolicy, metric: str, trial: Trial) -> float:
    """The rate PASS must stay below.

    ``error_rate_max``, unless the control has *surely* (lower bound) more than half of that: a
    service with 2 % errors as its normal state could never pass an absolute 1 %, and a release with
    the same 2 % is no regression. Then it is twice the control's rate, but never above half of
    ``sick_rate``: nobody passes by comparison with a ruin. The control is seen over the same time
    as the new release, except where it has next to no traffic left (weight 100).
    """
    absolute, seen = _rate_max(policy, metric), trial.window
    if PAIRED * seen.old_requests < seen.new_requests:
        seen = trial.total + trial.cold
    if seen.old_bad < SICK_BAD_MIN:
        return absolute
    low, _ = wilson(seen.old_bad / policy.dispersion, seen.old_requests / policy.dispersion)
    ratio = max(PASS_RATIO, policy.ratio_tolerated)
    return max(absolute, min(ratio * low, policy.sick_rate / 2))


def _limit(policy: JudgePolicy, metric: str, seen: Arms) -> float:
    """The rate the new release may surely have when it runs alone: FAIL is above it.

    What the control did while it had traffic excuses as much (upper bound, tolerated ratio).
    """
    absolute = _rate_max(policy, metric)
    if not seen.old_requests:
        return absolute
    _, high = wilson(seen.old_bad / policy.dispersion, seen.old_requests / policy.dispersion)
    return max(absolute, min(policy.ratio_tolerated * high, 0.9))


# ---- saying it ----------------------------------------------------------------------------------


def _rate(bad: int, requests: int) -> str:
    return f"{bad} of {requests} ({100 * bad / requests:.3g} %)" if requests else "0 requests"


def _say_fail(worst: Evidence, absolute: bool, policy: JudgePolicy) -> str:
    said = f"{worst.metric}: the new release has {_rate(worst.new_bad, worst.new_requests)}"
    if absolute:
        said += f", more than the {100 * _rate_max(policy, worst.metric):.3g} % that are promised"
    else:
        said += f", the control {_rate(worst.old_bad, worst.old_requests)}"
    chance = len(policy.metrics) / worst.e_value
    return (
        f"{said}; a healthy release looks like this with a chance below {chance:.2g}"
        f" (E {worst.e_value:.3g}, bound {worst.bound:.3g})"
    )


def _say_common(tally: Tally, policy: JudgePolicy) -> str:
    told = []
    for index, metric in enumerate(policy.metrics):
        seen = sum((interval.arms[index] for interval in tally.recent), NONE)
        told.append(
            f"{metric}: the control has {_rate(seen.old_bad, seen.old_requests)},"
            f" the new release {_rate(seen.new_bad, seen.new_requests)}"
        )
    span = sum(interval.seconds for interval in tally.recent)
    return (
        f"{'; '.join(told)} in the last {span:.3g} s; the cause is shared, so nothing is blamed or"
        f" moved until the control fails less than {100 * policy.sick_rate:.3g} % of the time"
    )


def _say_source(source: Source) -> str:
    how = "does not answer" if source is Source.DOWN else "repeats old counters"
    return f"the metric source {how}; the verdict resumes with its next fresh counters"


def _say_progress(metric: str, seen: Arms, rate: float, confidence: float, more: int) -> str:
    said = f"{metric}: {_rate(seen.new_bad, seen.new_requests)} on the new release"
    claim = f"fewer than {100 * rate:.3g} % at {100 * confidence:.3g} % confidence"
    if not more:
        return f"{said} show {claim}"
    return f"{said}; {more} more clean requests show {claim}"
