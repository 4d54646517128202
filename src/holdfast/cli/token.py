"""``holdfast token``: who may use the HTTP API over TCP, and how much they may do."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from holdfast.cli import printing
from holdfast.cli.complaint import Complaint
from holdfast.cli.options import Where, at_home, offering

if TYPE_CHECKING:
    from holdfast.runtime.home import Home

ROLES = ("viewer", "deployer", "approver", "admin")


@click.group()
def command() -> None:
    """Create, list and revoke tokens of the HTTP API.

    Only for TCP: on this machine the Unix socket knows who you are. viewer < deployer < approver
    < admin; each may do what the ones before it may.
    """


@command.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice(ROLES), default="viewer", show_default=True,
    help="How much the bearer may do.",
)  # fmt: skip
@at_home
def create(where: Where, name: str, role: str) -> None:
    """Make a token called NAME and print it, this one time."""
    from holdfast.conductor.auth import Role, TokenProblem, create_token

    home = _home(where).ensure()
    try:
        text = create_token(home, name, Role.named(role), time.time())
    except TokenProblem as problem:
        raise Complaint(str(problem), "holdfast token list", code="token") from problem
    if where.json:
        printing.say_json({"name": name, "role": role, "token": text})
        return
    printing.say(text)
    if printing.is_live():
        click.echo("keep it: it is not stored and cannot be shown again", err=True)


@command.command("list")
@at_home
def list_(where: Where) -> None:
    """List the tokens: name, role and age, never the text."""
    from holdfast.conductor.auth import read_tokens

    tokens = read_tokens(_home(where).tokens)
    if where.json:
        shown = [{"name": t.name, "role": t.role, "created": t.created} for t in tokens]
        printing.say_json({"tokens": shown})
        return
    if not tokens:
        printing.say("there are no tokens; make one with: holdfast token create NAME")
        return
    rows = [(t.name, t.role, f"{datetime.fromtimestamp(t.created, UTC):%F %R}Z") for t in tokens]
    for line in printing.table(("NAME", "ROLE", "CREATED"), rows):
        printing.say(line)


def _token_names(where: Where) -> list[str]:
    from holdfast.conductor.auth import read_tokens

    return [token.name for token in read_tokens(_home(where).tokens)]


@command.command()
@click.argument("name", shell_complete=offering(_token_names))
@at_home
def revoke(where: Where, name: str) -> None:
    """Make the token called NAME worthless, at once."""
    from holdfast.conductor.auth import TokenProblem, revoke_token

    try:
        revoke_token(_home(where), name)
    except TokenProblem as problem:
        raise Complaint(str(problem), "holdfast token list", code="token") from problem
    if where.json:
        printing.say_json({"name": name, "revoked": True})
    else:
        printing.say(f"{name} is revoked")


def _home(where: Where) -> Home:
    from holdfast.cli.reach import home_of
    from holdfast.runtime.home import Home

    return Home(home_of(where.file))
