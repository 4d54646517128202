"""The faults of ``behaviour.FAULTS``, begun and ended on a world."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from holdfast.rollout.model import ReleaseId
from holdfast.targets.base import Fault, RawCounts
from holdfast.targets.simulated.behaviour import FAULTS, Misfortune

if TYPE_CHECKING:
    from holdfast.targets.simulated.fleet import Fleet
    from holdfast.targets.simulated.world import World


class Trouble:
    """What is wrong with one world right now."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.metrics_down = False
        self.frozen_counters: Mapping[ReleaseId, RawCounts] | None = None
        self.deaf = False
        self.nack = False
        self.slow_ack_s = 0.0
        self.drift: str | None = None
        self.jump: Callable[[float], None] = lambda seconds: None

    def schedule(self, misfortune: Misfortune) -> None:
        fault, world = misfortune.fault, self._world
        world.alarms.at(misfortune.at, lambda now: self.begin(fault, now))
        if math.isfinite(misfortune.until):
            world.alarms.at(misfortune.until, lambda now: self.end(fault, now))

    def begin(self, fault: Fault, now: float) -> None:
        if fault.kind not in FAULTS:
            raise ValueError(f"unknown fault {fault.kind!r}, wanted one of {', '.join(FAULTS)}")
        if not self._to_instances(fault, now):
            self._set(fault, True, now)

    def end(self, fault: Fault, now: float) -> None:
        self._set(fault, False, now)

    def _fleets(self, subject: str) -> list[Fleet]:
        fleets = self._world.fleets
        if not subject:
            return list(fleets.values())
        return [fleets[subject]] if subject in fleets else []

    def _to_instances(self, fault: Fault, now: float) -> bool:
        """Faults that happen to instances and have no end of their own."""
        fleets = self._fleets(fault.subject)
        match fault.kind:
            case "kill-replica":
                for fleet in fleets[:1]:
                    fleet.kill_some(max(1, int(fault.amount)), now)
            case "hang-replica":
                for fleet in fleets[:1]:
                    fleet.hang(fault.amount or 1.0, now)
            case "kill-fleet":
                for fleet in fleets:
                    fleet.kill_some(fleet.size, now)
            case "lose-fleet":
                for fleet in fleets:
                    fleet.lose(now)
            case _:
                return False
        return True

    def _set(self, fault: Fault, on: bool, now: float) -> None:
        """Faults that are a state: on, then off again."""
        world, plane = self._world, self._world.plane
        match fault.kind:
            case "metrics-down":
                self.metrics_down = on
            case "metrics-frozen":
                self.frozen_counters = plane.counters() if on else None
            case "counter-reset":
                plane.reset_counters()
            case "no-traffic" | "burst":
                plane.factor = (fault.amount if fault.kind == "burst" else 0.0) if on else 1.0
                plane.spread(world.fleets, now)
            case "shared-outage":
                plane.outage = fault.amount if on else 0.0
            case "quota":
                self._quota(fault.amount if on else math.inf, now)
            case "slow-start":
                world.shop.slow_start_s = fault.amount if on else 0.0
            case _:
                self._set_control(fault, on)

    def _quota(self, quota: float, now: float) -> None:
        """More room lets every fleet that waits for it grow."""
        world = self._world
        world.shop.quota = quota
        for fleet in world.fleets.values():
            if math.isinf(quota) and fleet.wanted > fleet.size:
                fleet.scale(fleet.wanted, fleet.wanted, now)

    def _set_control(self, fault: Fault, on: bool) -> None:
        """Faults between the conductor and the target."""
        match fault.kind:
            case "nack":
                self.nack = on
            case "slow-ack":
                self.slow_ack_s = fault.amount if on else 0.0
            case "deaf":
                self.deaf = on
            case "clock-jump":
                self.jump(fault.amount if on else -fault.amount)
            case "drift":
                self._move_by_hand(fault.subject, on)

    def _move_by_hand(self, subject: ReleaseId, on: bool) -> None:
        """Somebody moves all traffic by hand, and puts it back at the end."""
        world = self._world
        if on:
            self._before = dict(world.plane.weights)
            self.drift = f"route changed outside: everything to {subject}"
            if subject in world.fleets:
                world.plane.route({subject: 100}, world.fleets)
        elif self.drift is not None:
            self.drift = None
            world.plane.route(self._before, world.fleets)
