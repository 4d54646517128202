"""A target in virtual time: the same five verbs, any misfortune on demand, thousands a minute."""

from holdfast.targets.simulated.behaviour import Behaviour, Fate, Misfortune, Traffic, Weather
from holdfast.targets.simulated.loop import Deadlock, VirtualClock, VirtualLoop, run_virtually
from holdfast.targets.simulated.world import World

__all__ = [
    "Behaviour",
    "Deadlock",
    "Fate",
    "Misfortune",
    "Traffic",
    "VirtualClock",
    "VirtualLoop",
    "Weather",
    "World",
    "run_virtually",
]
