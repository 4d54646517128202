"""What can go wrong with a backup, by what a person must do about it."""

from __future__ import annotations


class BackupTrouble(Exception):
    """Base. The words say what was found and what to do next."""

    code = "backup"


class KeyTrouble(BackupTrouble):
    """A key is missing, wrong, damaged or open to others; the copy itself may be whole."""

    code = "key"


class Damaged(BackupTrouble):
    """What was stored is not what was written: bit rot, truncation, or somebody's hand."""

    code = "damaged"


class Gap(BackupTrouble):
    """A part of the history is missing: nothing after it can be given back."""

    code = "gap"


class Unreachable(BackupTrouble):
    """The moment that is wanted lies outside of what can be given back."""

    code = "unreachable"


class ToolTrouble(BackupTrouble):
    """A program of PostgreSQL is missing, or said no; its last words are told."""

    code = "tool"
