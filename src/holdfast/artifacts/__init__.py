"""From one service to every production file. Pure: the same service gives the same bytes.

A renderer is a function ``render(service) -> Iterable[Artifact]``, one module per concern. The
families are listed in ``catalog.py``; ``check/`` looks at the rendered set as a whole.
"""
