"""The web console: pages the conductor serves itself, sessions, and what the pages watch live.

The pages speak the same API as everybody else; here is only what a browser needs besides it.
"""
