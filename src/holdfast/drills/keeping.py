"""Findings go into the same kind of ledger as rollouts: signed, in order, never edited."""

from __future__ import annotations

import os
from pathlib import Path

from holdfast.conductor.wiring import ledger_origin
from holdfast.drills.report import Report
from holdfast.drills.telling import Teller
from holdfast.ledger import Draft, Ledger, LedgerBusy, LedgerError
from holdfast.runtime.codec import canonical
from holdfast.runtime.home import Home, UnsafeHome, find_home

STREAM = "drills"


def unwritable(place: Path) -> str | None:
    """Why a report cannot be written there, asked before minutes of work; None: it can."""
    if place.is_dir():
        return "is a directory, wanted a file to write the report to"
    if not place.parent.is_dir():
        return f"there is no directory {place.parent}: make it, or name another place"
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        return "is not writable: name another place"
    return None


def remember(report: Report, teller: Teller, home: Home | None = None) -> int:
    """Append one entry a finding to the home's ledger. Returns how many; says why when none.

    A running conductor is the only writer of its ledger, so beside one nothing is recorded.
    """
    home = home or Home(find_home())
    drafts = [
        Draft(STREAM, "Finding", canonical(finding), report.made_at)
        for finding in report.as_json()["findings"]
    ]
    try:
        ledger = Ledger.open(home.ensure().ledger, ledger_origin(home))
    except LedgerBusy:
        teller.say("findings not recorded: a conductor is writing this ledger", "void")
        return 0
    except (LedgerError, UnsafeHome, OSError) as error:
        teller.say(f"findings not recorded: {error}", "void")
        return 0
    try:
        ledger.append_now(drafts)
    except LedgerError as error:
        teller.say(f"findings not recorded: {error}", "void")
        return 0
    finally:
        ledger.close()
    teller.say(f"{len(drafts)} findings recorded in {home.ledger}", "soft")
    return len(drafts)
