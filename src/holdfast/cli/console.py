"""``holdfast console``: a link that signs one browser in."""

from __future__ import annotations

import html
import os
import webbrowser
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import click

from holdfast.cli import printing
from holdfast.cli.complaint import Complaint
from holdfast.cli.options import Where, at_home
from holdfast.cli.token import ROLES

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.option("--role", type=click.Choice(ROLES), help="What the browser may do, at most.")
@click.option("--open", "open_it", is_flag=True, help="Open the link in this machine's browser.")
@at_home
def command(where: Where, role: str | None, open_it: bool) -> None:
    """Print a link to the web console that works once.

    The conductor serves the console itself, on loopback. The link is good for two minutes and one
    browser, which then stays signed in for at most eight hours.
    """
    from holdfast.cli.reach import home_of, is_remote, reach

    link = reach(where).console_link(role)
    url = _at_our_end(link["url"]) if is_remote() else link["url"]
    if open_it:
        _open(home_of(where.file), url)
    if where.json:
        printing.say_json({**link, "url": url})
        return
    printing.say(url)
    if printing.is_live():
        click.echo(f"works once, for {link['expires_s']:.0f} s, as {link['role']}", err=True)


def _at_our_end(url: str) -> str:
    """Through a tunnel the conductor has the port that we reach it by."""
    from holdfast.cli.reach import ADDRESS_VARIABLE

    parts = urlsplit(url)
    port = os.environ[ADDRESS_VARIABLE].rpartition(":")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}"))


def _open(home: Path, url: str) -> None:
    """By a private file that leads on: every user may read the arguments of a browser."""
    from holdfast.runtime.home import write_private

    page = home / "console.html"
    escaped = html.escape(url, quote=True)
    leads = f'<!doctype html><meta http-equiv="refresh" content="0; url={escaped}">\n'
    write_private(page, leads.encode())
    if not webbrowser.open(page.as_uri()):
        raise Complaint("no browser could be started here", "leave --open out", code="no-browser")
