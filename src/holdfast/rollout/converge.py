"""What the world should look like (``desire``) and which part of it is safe now (``converge``).

Every safety rule about traffic and fleets lives here, so no strategy can forget one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.rollout.model import (
    Ending,
    FleetSeen,
    Hold,
    HoldCode,
    Observation,
    Order,
    ReleaseId,
    Route,
    Scale,
    Strategy,
)
from holdfast.rollout.state import Phase, RolloutState, ServiceState

Weights = dict[ReleaseId, int]


@dataclass(frozen=True, slots=True)
class Desired:
    """Wanted sizes and weights. ``weights`` is empty when nothing can or should carry traffic."""

    sizes: dict[ReleaseId, int]
    weights: Weights
    holds: tuple[Hold, ...] = ()


# ---- desire -------------------------------------------------------------------------------------


def desire(state: ServiceState, seen: Observation) -> Desired:
    run = state.running
    if state.retired:
        return Desired({f.release: 0 for f in seen.fleets}, {})
    if run is None:
        plain = _at_rest(state, seen)
    elif run.phase is Phase.REVERTING:
        plain = _going_back(state, run, seen)
    else:
        plain = _going_up(state, run, seen)
    return _refuge(state, plain, seen)


def _at_rest(state: ServiceState, seen: Observation) -> Desired:
    last = state.rollout
    if last is not None and last.ending is Ending.STRANDED:
        return _stranded(state, last, seen)
    if state.stable is None:
        return Desired({f.release: 0 for f in seen.fleets}, {})
    sizes = {f.release: 0 for f in seen.fleets}
    sizes[state.stable.id] = state.replicas
    if state.warm is not None:
        sizes[state.warm.release.id] = state.replicas
    return Desired(sizes, {state.stable.id: 100})


def _stranded(state: ServiceState, last: RolloutState, seen: Observation) -> Desired:
    """Nothing is proven: keep both sides alive and traffic where it is answered."""
    sides = [r.id for r in (last.plan.old, last.plan.new) if r is not None]
    sizes = {f.release: 0 for f in seen.fleets} | dict.fromkeys(sides, state.replicas)
    weights = {r: w for r, w in seen.weights if r in sides and w > 0}
    return Desired(sizes, _rescale(weights) if weights else {sides[0]: 100})


def _going_up(state: ServiceState, run: RolloutState, seen: Observation) -> Desired:
    new, home = run.plan.new.id, run.plan.old
    sizes = {f.release: 0 for f in seen.fleets}
    wanted = run.needed(state.replicas)
    weight = _rising_weight(state, run, seen, wanted)
    if home is None:
        return Desired({**sizes, new: wanted}, {new: 100} if weight > 0 else {})
    old = home.id
    if run.plan.strategy is Strategy.ROLLING and not run.plan.rollback:
        new_size, old_size = _rolling_sizes(state, run, seen, wanted)
        sizes |= {new: new_size, old: old_size}
    else:
        sizes |= {new: wanted, old: state.replicas}  # the stable floor is frozen
    return Desired(sizes, _lightened(state, run, seen, _split(new, old, weight)))


def _lightened(
    state: ServiceState, run: RolloutState, seen: Observation, weights: Weights
) -> Weights:
    """A release that was superseded half-way keeps what the old one cannot carry yet."""
    assert run.plan.old is not None, "only an old release takes traffic back"
    old = run.plan.old.id
    others = {r: w for r, w in sorted(seen.weights) if r not in (run.plan.new.id, old) and w > 0}
    ready = seen.fleet(old).ready
    able = 100 * (ready + run.plan.limits.max_unavailable) // max(1, state.replicas) if ready else 0
    excess = weights.get(old, 0) - max(able, seen.weight(old))
    for release, weight in others.items():
        share = min(weight, excess) if seen.fleet(release).ready else 0
        if share > 0:
            excess -= share
            weights = {**weights, release: share, old: weights[old] - share}
    return {release: weight for release, weight in weights.items() if weight > 0}


def _split(new: ReleaseId, old: ReleaseId, weight: int) -> Weights:
    return {r: w for r, w in ((new, weight), (old, 100 - weight)) if w > 0}


def _rising_weight(state: ServiceState, run: RolloutState, seen: Observation, wanted: int) -> int:
    """The step's weight once its fleet is whole; until then what the step before had."""
    before = run.plan.ladder[run.step - 1].weight if run.step > 0 else 0
    ready = seen.fleet(run.plan.new.id).ready
    acked = seen.weight(run.plan.new.id)
    if run.phase is Phase.SETTLING:
        return 100
    held = run.paused_at is not None or seen.drift is not None
    most = min(acked, run.rung.weight) if held else run.rung.weight
    if ready >= wanted and (ready > 0 or state.replicas == 0):
        return most
    if run.plan.strategy is not Strategy.ROLLING or run.plan.rollback:
        return before
    # Rolling: traffic follows readiness, so the old fleet can shrink before the rung is whole.
    # Without room above, what may be unavailable is what lets the last old instances go.
    share = min(100, 100 * ready // max(1, state.replicas - _lent(run)))
    return min(most, share) if ready else 0


def _surge(state: ServiceState, run: RolloutState) -> int:
    """Room above. Where all may be unavailable one is started first: nobody asked for an outage."""
    limits = run.plan.limits
    return max(limits.max_surge, 1 if state.replicas <= limits.max_unavailable else 0)


def _lent(run: RolloutState) -> int:
    """Instances a rolling update without surge works with: those that may be unavailable."""
    limits = run.plan.limits
    rolling = run.plan.strategy is Strategy.ROLLING and limits.max_surge == 0
    return limits.max_unavailable if rolling else 0


def _rolling_sizes(
    state: ServiceState, run: RolloutState, seen: Observation, wanted: int
) -> tuple[int, int]:
    """New and old size with at most ``max_surge`` above and ``max_unavailable`` below."""
    assert run.plan.old is not None, "rolling replaces something"
    limits, total = run.plan.limits, state.replicas
    new, old = seen.fleet(run.plan.new.id), seen.fleet(run.plan.old.id)
    ceiling = total + _surge(state, run)
    needed = total - limits.max_unavailable - new.ready
    # Growing back because new instances fell ill stays below the ceiling as well.
    needed = min(needed, max(_active(old), ceiling - _active(new)))
    old_size = max(needed, total - wanted, 0)
    # The old fleet may be about to grow, too: after a change of the wanted number of replicas.
    room = max(0, ceiling - max(old.size, old_size))
    return min(wanted, max(room, _active(new))), old_size


def _going_back(state: ServiceState, run: RolloutState, seen: Observation) -> Desired:
    sizes = {f.release: 0 for f in seen.fleets}
    new, home = run.plan.new.id, run.plan.old
    if home is None:
        return Desired({**sizes, new: 0}, {})
    fleet, acked = seen.fleet(home.id), seen.weight(home.id)
    weight = _back_weight(state, run, fleet, acked)
    kept = max(0, math.ceil(state.replicas * (100 - min(weight, acked)) / 100) - _lent(run))
    if run.plan.strategy is not Strategy.ROLLING and acked < 100 and state.replicas > 0:
        # Whole until its traffic has left: a weight not yet acknowledged may still arrive.
        kept = _active(seen.fleet(new))
    size = state.replicas
    if run.plan.strategy is Strategy.ROLLING:
        room = state.replicas + _surge(state, run) - seen.fleet(new).size
        size = min(state.replicas, max(room, _active(fleet)))
    # What is taken back never grows, even when a late acknowledgement gives it more traffic.
    sizes |= {home.id: size, new: min(kept, _active(seen.fleet(new)))}
    return Desired(sizes, _split(new, home.id, 100 - weight))


def _back_weight(state: ServiceState, run: RolloutState, home: FleetSeen, acked: int) -> int:
    """Never on an under-sized version, never less than it has: in proportion to who is ready."""
    enough = max(1, state.replicas - run.plan.limits.max_unavailable)
    if home.ready >= enough or state.replicas == 0:
        return 100
    return max(acked, 100 * home.ready // max(1, state.replicas)) if home.ready else acked


def _refuge(state: ServiceState, plain: Desired, seen: Observation) -> Desired:
    """Traffic goes to whoever can answer: plan or not, newer or older."""
    dead = {r for r in plain.weights if seen.fleet(r).ready == 0}
    if not dead:
        return plain
    able = {r: w for r, w in plain.weights.items() if r not in dead}
    if not able:
        choice = _shelter(state, plain, seen)
        if choice is None:
            return _nobody(plain, seen)
        able = {choice: 100}
    weights = _rescale(able)
    names = ", ".join(sorted(dead))
    hold = Hold(HoldCode.REFUGE, f"{names} cannot answer: traffic is on {', '.join(weights)}")
    sizes = dict(plain.sizes)
    for release in weights:
        sizes[release] = max(sizes.get(release, 0), seen.fleet(release).ready)
    return Desired(sizes, weights, (hold,))


def _shelter(state: ServiceState, plain: Desired, seen: Observation) -> ReleaseId | None:
    """Who else is ready: the stable first, then the warm one, then the most ready."""
    ready = {f.release: f.ready for f in seen.fleets if f.ready > 0}
    for proven in (state.stable, state.warm.release if state.warm else None):
        if proven is not None and proven.id in ready:
            return proven.id
    return max(sorted(ready), key=lambda r: ready[r], default=None)


def _nobody(plain: Desired, seen: Observation) -> Desired:
    """Nobody is ready: moving weights would help nobody, so they stay as they are."""
    return Desired(plain.sizes, {r: w for r, w in seen.weights if w > 0})


def _rescale(weights: Weights) -> Weights:
    total = sum(weights.values())
    scaled = {r: 100 * w // total for r, w in weights.items()}
    first = max(sorted(scaled), key=lambda r: scaled[r])
    scaled[first] += 100 - sum(scaled.values())
    return scaled


# ---- converge -----------------------------------------------------------------------------------


def converge(
    state: ServiceState, desired: Desired, seen: Observation
) -> tuple[tuple[Order, ...], tuple[Hold, ...]]:
    """Desired minus observed, as far as it is safe at this moment."""
    if seen.drift is not None and not _must_act(state):
        return (), (Hold(HoldCode.DRIFT, seen.drift),) if state.running is None else ()
    orders: list[Order] = [*_growth(state, desired, seen)]
    route = _route(state, desired, seen)
    if route is not None:
        orders.append(route)
    shrink, holds = _shrinkage(state, desired, seen)
    return (*orders, *shrink), (*desired.holds, *holds)


def _must_act(state: ServiceState) -> bool:
    """Taking back and taking down win over not fighting a foreign hand."""
    run = state.running
    return state.retired or (
        run is not None and (run.phase is Phase.REVERTING or run.plan.rollback)
    )


def _active(fleet: FleetSeen) -> int:
    return fleet.starting + fleet.ready + fleet.failed


def _growth(state: ServiceState, desired: Desired, seen: Observation) -> list[Order]:
    return [
        Scale(release, size, state.generation)
        for release, size in sorted(desired.sizes.items())
        if size > _active(seen.fleet(release))
    ]


def _route(state: ServiceState, desired: Desired, seen: Observation) -> Route | None:
    acked = {r: w for r, w in seen.weights if w > 0}
    run = state.running
    # On the way back a route is sent even when the weights look right already: an older one may
    # still be on its way to the data plane, and this one takes its place.
    going_back = run is not None and run.phase is Phase.REVERTING
    going_back = going_back and any(seen.fleet(r).ready for r in desired.weights)
    if not desired.weights or (desired.weights == acked and not going_back):
        return None
    assert sum(desired.weights.values()) == 100, desired.weights
    # A release that gains traffic must still be ready at the moment of acting.
    needs = tuple((r, 1) for r, w in sorted(desired.weights.items()) if w > acked.get(r, 0))
    return Route(tuple(sorted(desired.weights.items())), state.generation, needs)


def _shrinkage(
    state: ServiceState, desired: Desired, seen: Observation
) -> tuple[list[Order], list[Hold]]:
    orders: list[Order] = []
    holds: list[Hold] = []
    for release, size in sorted(desired.sizes.items()):
        fleet = seen.fleet(release)
        if size >= _active(fleet):
            continue
        floor = _floor(state, seen, release, desired)
        if floor > size:
            detail = f"{release} still carries {seen.weight(release)} % of the traffic"
            holds.append(Hold(HoldCode.DRAINING, detail))
        if max(size, floor) < _active(fleet):
            idle = max(size, floor) == 0 and not state.retired and state.replicas > 0
            orders.append(Scale(release, max(size, floor), state.generation, idle))
    return orders, holds


def _floor(state: ServiceState, seen: Observation, release: ReleaseId, desired: Desired) -> int:
    """Instances a fleet keeps while it carries traffic: what its weight needs, as acknowledged."""
    if state.retired or state.replicas == 0:
        return 0
    weight = seen.weight(release)
    if weight == 0:
        return 0
    run = state.running
    spare = run.plan.limits.max_unavailable if run is not None else 0
    # Weights are whole percent: of three instances the one that may go leaves 67 %, not 66.7 %.
    share = math.ceil(state.replicas * (weight if weight == 100 else weight - 1) / 100) - spare
    fleet = seen.fleet(release)
    others = sum(f.ready for f in seen.fleets if f.release != release)
    if fleet.ready == 0 and others > 0 and desired.weights.get(release, 0) == 0:
        return 0  # nobody answers there and its traffic is on its way to somebody who does
    return max(1, share)
