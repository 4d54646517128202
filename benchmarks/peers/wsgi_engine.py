"""The trading engine's work as a WSGI application, for gunicorn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from decisions import Model

VERSION = Path(os.environ["VERSION_FILE"]).read_text().strip()
MODEL = Model(VERSION)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    decisions, _pnl = MODEL.decide(body)
    headers = [("content-length", str(len(decisions))), ("x-version", VERSION)]
    start_response("200 OK", headers)
    return [decisions]
