"""A FastAPI service that never heard of Holdfast: a quote for a symbol, and who answered."""

from __future__ import annotations

import os

from fastapi import FastAPI, Response

VERSION = os.environ.get("APP_VERSION", "v1")
PRICES = {"ACME": 101.25, "INIT": 7.5}
app = FastAPI(title="quotes", version=VERSION)


@app.get("/ready")
async def ready(response: Response) -> dict[str, str]:
    response.headers["x-version"] = VERSION
    return {"status": "ready"}


@app.get("/quote/{symbol}")
async def quote(symbol: str, response: Response) -> dict[str, object]:
    response.headers["x-version"] = VERSION
    return {"symbol": symbol, "price": PRICES.get(symbol)}
