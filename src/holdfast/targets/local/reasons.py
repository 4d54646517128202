"""Why an instance cannot serve, in the words of ``rollout.model.FAILURES``. Pure."""

from __future__ import annotations

import errno
import signal
from dataclasses import dataclass

from holdfast.rollout.model import FAILURES, Failure

HOPELESS_STARTS = 2  # deaths at start in a row: one may be bad luck, two are a pattern
CRASH_LOOP = 3  # unexpected deaths in a row, none of them after a calm time

_NO_PROGRAM = (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.EPERM, errno.ENOTDIR)
_SIGNS = (
    ("port-taken", ("address already in use", "eaddrinuse", "bind: address in use")),
    ("disk-full", ("no space left on device", "enospc", "disk quota exceeded")),
    ("out-of-memory", ("memoryerror", "cannot allocate memory", "bad_alloc", "out of memory")),
)


@dataclass(frozen=True, slots=True)
class Death:
    """How a process ended although it should not have."""

    code: int | None  # negative: signal; None: not known
    lived: float  # seconds
    was_ready: bool
    streak: int  # unexpected deaths in a row, this one included
    log_tail: tuple[str, ...] = ()
    over_memory: bool = False  # killed for its memory, by the supervisor or by the kernel


def failure(
    code: str, detail: str, log_tail: tuple[str, ...] = (), hopeless: bool = True
) -> Failure:
    return Failure(code, f"{FAILURES[code]}: {detail}", log_tail, hopeless)


def explain(death: Death) -> Failure:
    """The most telling reason for a death."""
    if code := cause(death):
        hopeless = death.streak >= HOPELESS_STARTS or code == "disk-full"
        return failure(code, ending(death), death.log_tail, hopeless)
    if death.streak >= CRASH_LOOP:
        detail = f"{death.streak} deaths in a row, the last one: {ending(death)}"
        return failure("crash-loop", detail, death.log_tail)
    if death.was_ready:
        return failure("crash-loop", ending(death), death.log_tail, hopeless=False)
    hopeless = death.streak >= HOPELESS_STARTS
    return failure("exits-at-once", ending(death), death.log_tail, hopeless)


def cause(death: Death) -> str | None:
    """A cause that lies outside the program, where the traces show one."""
    if death.over_memory:
        return "out-of-memory"
    text = "\n".join(death.log_tail[-20:]).lower()
    for code, signs in _SIGNS:
        if any(sign in text for sign in signs):
            return code
    return None


def ending(death: Death) -> str:
    after = f"after {death.lived:.2g} s"
    if death.code is None:
        return f"ended {after}"
    if death.code < 0:
        return f"killed by {signal.Signals(-death.code).name} {after}"
    return f"exit code {death.code} {after}"


def of_os_error(error: OSError, what: str) -> Failure:
    """Why a process could not even be started."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return failure("disk-full", f"{what}: {error.strerror}")
    code = "missing-binary" if error.errno in _NO_PROGRAM else "config-missing"
    return failure(code, f"{what}: {error.strerror or error}")
