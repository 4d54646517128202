"""Other people's checkers: which there are, how they are called, and what they said.

A checker that is not installed checked nothing, and its outcome says so: it is never green.
"""
