"""Thousands of rollouts in virtual time, under seeded misfortune, watched by strict checkers.

``python -m holdfast.drills.simulation --seeds N`` plays the production ``Post`` against a simulated
target. The checkers know the promises, not the engine; a breach prints a seed that replays it.
"""
