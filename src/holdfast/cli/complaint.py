"""The border where every error becomes one clean sentence, a hint and an exit code.

Complaint            raised by the commands themselves: says, hint, exit code
click.UsageError     wrong words                                       -> 2
spec problems        the file is not a valid spec                      -> 2
NoConductor          nobody listens on the home's socket               -> 3
ApiError             the conductor answered with an error              -> by its status
OSError              a file or directory of the user's                 -> 2
BrokenPipeError      the reader of our output left                     -> 0
KeyboardInterrupt    Ctrl-C                                            -> 130
anything else        our mistake: one line, the traceback in a file    -> 70
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from holdfast.conductor.client import ApiError

OK, FAILED, USAGE, NO_CONDUCTOR, REFUSED, UNDECIDED, CRASH, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130

#: HTTP status of the conductor's answer -> exit code. Anything else failed.
EXIT_OF_STATUS = {
    400: USAGE,
    404: USAGE,
    422: USAGE,
    401: REFUSED,
    403: REFUSED,
    409: REFUSED,
    503: NO_CONDUCTOR,
}
#: Where the word says more than the status.
EXIT_OF_CODE = {
    "lease-lost": REFUSED, "ledger": FAILED, "tokens": FAILED, "unknown-release": USAGE,
}  # fmt: skip
#: So much of a conductor's log is shown when it does not start.
LOG_LINES = 5


class Complaint(Exception):
    """Something a person can act upon: what was wrong, and what to do next."""

    def __init__(
        self, says: str, hint: str = "", *, code: str = "usage", exit_code: int = USAGE
    ) -> None:
        super().__init__(says)
        self.says, self.hint, self.code, self.exit_code = says, hint, code, exit_code


def exit_with(error: BaseException, argv: Sequence[str] | None) -> int:
    """Print what is to be said about ``error`` and return the exit code."""
    if isinstance(error, BrokenPipeError):
        _silence()
        return OK
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.format_message(), file=sys.stderr)
        return USAGE
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    complaint = translate(error)
    try:
        _print(complaint, wants_json(sys.argv if argv is None else argv))
    except OSError:  # standard output cannot be written: at least say it to the person
        _silence()
        _print(complaint, as_json=False)
    return complaint.exit_code


def _silence() -> None:
    """Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def translate(error: BaseException) -> Complaint:
    """The one table from errors to words."""
    if isinstance(error, Complaint):
        return error
    if isinstance(error, (KeyboardInterrupt, click.Abort)) or _interrupted(error):
        return Complaint("interrupted", code="interrupted", exit_code=INTERRUPTED)
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "holdfast"
        says = error.format_message().replace("a valid integer range", "a whole number")
        return Complaint(_sentence(says), f"{path} --help")
    if isinstance(error, click.ClickException):
        return Complaint(_sentence(error.format_message()), exit_code=USAGE)
    if type(error).__module__.startswith("holdfast."):
        return _ours(error)
    if isinstance(error, OSError):
        return _of_system(error)
    return _crash(error)


def _interrupted(error: BaseException) -> bool:
    """Was it Ctrl-C in the middle of an import? Libraries wrap it in errors of their own."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, KeyboardInterrupt):
        inner = inner.__cause__ or inner.__context__
    return inner is not None


def _of_system(error: OSError) -> Complaint:
    if error.filename is not None:
        return Complaint(f"{error.strerror}: {error.filename}", "check the path", code="file")
    try:
        os.getcwd()
    except OSError:
        return Complaint("this directory does not exist any more", "cd to another", code="file")
    says = error.strerror or str(error) or type(error).__name__
    return Complaint(says, "holdfast doctor", code="system", exit_code=FAILED)


def _ours(error: BaseException) -> Complaint:
    from holdfast.conductor.client import ApiError, NoConductor
    from holdfast.runtime.home import UnsafeHome
    from holdfast.spec.problem import Invalid

    match error:
        case ApiError():
            return _of_api(error)
        case NoConductor():
            return Complaint(error.detail, error.hint, code="no-conductor", exit_code=NO_CONDUCTOR)
        case UnsafeHome():
            says = f"{error.path}: {error.detail}"
            return Complaint(says, error.hint, code="unsafe-home", exit_code=REFUSED)
        case Invalid():
            return Complaint(error.pretty(), "holdfast explain", code="invalid-spec")
        case _:
            return _of_heavy(error)


def _of_heavy(error: BaseException) -> Complaint:
    """Errors of modules that are too heavy to import just to ask whether it was one of theirs."""
    daemon = sys.modules.get("holdfast.conductor.daemon")
    if daemon is not None and isinstance(error, daemon.DaemonTrouble):
        says = "\n  | ".join((error.detail, *map(_logged, error.tail[-LOG_LINES:])))
        return Complaint(says, "holdfast doctor", code="no-conductor", exit_code=NO_CONDUCTOR)
    ledger = sys.modules.get("holdfast.ledger.errors")
    if ledger is not None and isinstance(error, ledger.LedgerError):
        hint = error.hint or "holdfast audit verify"
        return Complaint(error.detail, hint, code="ledger", exit_code=FAILED)
    return _crash(error)


def _of_api(error: ApiError) -> Complaint:
    from holdfast.rollout.model import FAILURES

    exit_code = EXIT_OF_CODE.get(error.code, EXIT_OF_STATUS.get(error.status, FAILED))
    says = error.detail or error.code
    if error.code in FAILURES:
        meaning = FAILURES[error.code]
        detail = error.detail.removeprefix(meaning).removeprefix(": ")
        exit_code, says = FAILED, f"{meaning} ({error.code}): {detail}"
    hint = error.hint or "look with: holdfast status"
    return Complaint(says, hint, code=error.code, exit_code=exit_code)


def _logged(line: str) -> str:
    """A line of the conductor's log as a person would say it."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line


def _crash(error: BaseException) -> Complaint:
    path = _write_crash(error)
    return Complaint(
        f"unexpected {type(error).__name__}: {_sentence(str(error))}",
        f"this is a mistake in holdfast; the details are in {path}",
        code="crash",
        exit_code=CRASH,
    )


def _write_crash(error: BaseException) -> Path:
    import tempfile
    import time
    import traceback

    from holdfast.cli.reach import home_of

    home = home_of(None)
    folder = home if home.is_dir() and os.access(home, os.W_OK) else Path(tempfile.gettempdir())
    path = folder / f"crash-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    # Of others in a shared directory: neither readable by them nor a link they put there.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("".join(traceback.format_exception(error)))
    return path


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line[:1].lower() + line[1:].rstrip(".") if line[1:2].islower() else line.rstrip(".")


def wants_json(words: Sequence[str]) -> bool:
    """Whether the answer on standard output is JSON. ``drill --json FILE`` writes a file instead,
    and a person reads the terminal."""
    if "--json" not in words:
        return False
    after = [*words, ""][list(words).index("--json") + 1]
    return "drill" not in words or after == "-"


def _print(complaint: Complaint, as_json: bool) -> None:
    if as_json:
        body = {"code": complaint.code, "detail": complaint.says, "hint": complaint.hint}
        print(json.dumps({"error": body}), flush=True)
        return
    sys.stdout.flush()
    prefix = "" if complaint.exit_code == INTERRUPTED else "error: "
    print(f"{prefix}{complaint.says}", file=sys.stderr)
    if complaint.hint:
        print(f"hint: {complaint.hint}", file=sys.stderr)
