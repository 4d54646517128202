"""Backups that are proven: sealed on this side, chained, restored before they count.

A copy that was never restored is not a backup. ``seal`` encrypts for recipients whose keys were
shown to open, ``repository`` keeps objects and a catalogue whose entries name the one before,
``postgres`` takes base backups and log and restores them, ``planning`` (pure) says which copies
give which moment back and what may be deleted.
"""
