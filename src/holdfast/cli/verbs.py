"""What the one-word commands share: pick the service, give the order, say the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast.cli import printing
from holdfast.cli.options import Where
from holdfast.cli.reach import pick_service, reach

if TYPE_CHECKING:
    from holdfast.conductor.client import Client, OutcomeDoc


def give(where: Where, order: Callable[[Client, str], OutcomeDoc]) -> None:
    """Give one order and print what came of it."""
    client = reach(where)
    answer = order(client, pick_service(where, client))
    say_outcome(where, answer)


def roll(where: Where, order: Callable[[Client, str], OutcomeDoc], detached: bool) -> int:
    """Give an order that starts a rollout or takes one back, and follow it to its end."""
    client = reach(where)
    return follow_order(where, client, pick_service(where, client), order, detached)


def follow_order(
    where: Where,
    client: Client,
    service: str,
    order: Callable[[Client, str], OutcomeDoc],
    detached: bool,
) -> int:
    from holdfast.cli.watch import begin, follow
    from holdfast.rollout.model import Ending

    watched = begin(client, service)
    answer = order(client, service)
    rollout = answer["rollout"]
    if detached or rollout is None:
        say_outcome(where, answer)
        return 0
    if answer["outcome"] != "started":  # it runs or waits already, so its facts are older
        watched = watched.earlier()
    taken_back = answer["outcome"] == "accepted"
    return follow(watched, rollout, where.json, Ending.REVERTED if taken_back else Ending.PROMOTED)


def say_outcome(where: Where, answer: OutcomeDoc) -> None:
    if where.json:
        printing.say_json(answer)
    else:
        printing.say(f"{answer['service']}: {answer['detail']}")
