"""The border where results and errors become HTTP answers."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.responses import Response

from holdfast.conductor.auth import TokenProblem
from holdfast.conductor.lease import Lost
from holdfast.conductor.requests import WANTED
from holdfast.ledger import LedgerError
from holdfast.rollout.commands import Rejected
from holdfast.runtime.home import UnsafeHome
from holdfast.spec.problem import Invalid
from holdfast.targets.base import Refused, TargetError

log = logging.getLogger("holdfast.api")

JSON = "application/json"
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Problem(Exception):
    """An answer that is an error. ``problems`` lists the findings in a spec or a body."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        hint: str = "",
        problems: tuple[dict[str, Any], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.body: dict[str, Any] = {"code": code, "detail": detail, "hint": hint}
        if problems:
            self.body["problems"] = list(problems)


def failure(operation: str, error: Exception) -> Response:
    """The answer to a call that failed; what nobody foresaw is a 500 and a log entry."""
    problem = problem_of(error)
    if problem is None:
        log.error("%s failed", operation, exc_info=error)
        text = f"{type(error).__name__}: {error}"
        problem = Problem(500, "internal", text, "this is a bug; conductor.log has the details")
    return answer(problem.status, {"error": problem.body})


def problem_of(error: Exception) -> Problem | None:  # noqa: C901, PLR0911 (one flat match)
    """What is said about an error that somebody foresaw; None for a bug of ours."""
    match error:
        case Problem():
            return error
        case Rejected():
            return Problem(409, error.code, error.detail, error.hint)
        case Refused():
            return Problem(422, error.code, error.detail, "the release was not deployed")
        case Invalid():
            found = tuple(each.as_json() for each in error.problems)
            return Problem(422, "invalid-spec", str(error), "holdfast validate", found)
        case ValidationError():
            return _invalid_body(error)
        case LedgerError():
            return Problem(503, "ledger", error.detail, error.hint)
        case UnsafeHome():
            return Problem(503, "unsafe-home", str(error), error.hint)
        case TokenProblem():
            return Problem(503, "tokens", str(error), "mend the token file on the conductor")
        case Lost():
            return Problem(503, "lease-lost", str(error), "another conductor has taken over")
        case TargetError() | TimeoutError():
            return Problem(503, "target", f"the target does not answer: {error}", "try again")
    return None


def _invalid_body(error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Problem(400, "not-json", found[0]["msg"])
    problems = tuple(
        {"path": ".".join(map(str, each["loc"])), "found": _said(each)} for each in found
    )
    detail = "; ".join(f"{each['path']}: {each['found']}" for each in problems)
    return Problem(422, "invalid-body", detail, "see /v1/openapi.json", problems)


def _said(error: ErrorDetails) -> str:
    """What is wrong with one field. Patterns are said in words; the value is nobody's business."""
    pattern = error.get("ctx", {}).get("pattern")
    return f"wanted {WANTED[pattern]}" if pattern in WANTED else error["msg"]


def answer(status: int, body: Any) -> Response:  # noqa: ANN401
    """JSON that no browser keeps or takes for anything else."""
    return Response(to_text(body).encode("utf-8", "replace"), status, HEADERS, JSON)


def to_text(body: Any) -> str:  # noqa: ANN401
    """JSON in which every number is finite; what is not a number is null."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(body), ensure_ascii=False, separators=(",", ":"))


def _finite(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value
