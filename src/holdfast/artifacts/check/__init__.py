"""Looks at a rendered set: each file against its format, then the files against each other.

Pure: files come in as text, findings go out. Reading directories and running other people's
checkers is the job of ``supply``.
"""
