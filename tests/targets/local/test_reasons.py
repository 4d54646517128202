"""Which word for which death."""

from __future__ import annotations

import errno
import signal

import pytest

from holdfast.rollout.model import FAILURES
from holdfast.targets.local import reasons
from holdfast.targets.local.reasons import Death


def death(**values) -> Death:
    return Death(**{"code": 1, "lived": 0.2, "was_ready": False, "streak": 1, **values})


@pytest.mark.parametrize(
    ("values", "code", "hopeless"),
    [
        ({}, "exits-at-once", False),
        ({"streak": 2}, "exits-at-once", True),
        ({"streak": 3}, "crash-loop", True),
        ({"was_ready": True}, "crash-loop", False),
        ({"was_ready": True, "streak": 3}, "crash-loop", True),
        ({"log_tail": ("OSError: [Errno 98] Address already in use",)}, "port-taken", False),
        ({"log_tail": ("Error: listen EADDRINUSE: :::8080",), "streak": 2}, "port-taken", True),
        ({"log_tail": ("write: No space left on device",)}, "disk-full", True),
        ({"log_tail": ("terminate called: std::bad_alloc",)}, "out-of-memory", False),
        ({"log_tail": ("MemoryError",), "streak": 2}, "out-of-memory", True),
        ({"over_memory": True, "code": -9, "streak": 2}, "out-of-memory", True),
        ({"code": -9, "streak": 2}, "exits-at-once", True),
    ],
)
def test_a_death_is_called_by_its_most_telling_name(values, code, hopeless):
    failure = reasons.explain(death(**values))
    assert (failure.code, failure.hopeless) == (code, hopeless)
    assert failure.detail.startswith(FAILURES[code])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "exit code 3 after 0.2 s"),
        (-signal.SIGSEGV, "killed by SIGSEGV after 0.2 s"),
        (None, "ended after 0.2 s"),
    ],
)
def test_the_ending_is_said_as_it_was(code, words):
    assert reasons.ending(death(code=code)) == words


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.ENOENT, "missing-binary"),
        (errno.ENOEXEC, "missing-binary"),
        (errno.EIO, "config-missing"),
    ],
)
def test_an_error_of_the_system_at_start_has_a_name(number, code):
    assert reasons.of_os_error(OSError(number, "words"), "app").code == code


def test_the_last_lines_are_kept_with_the_reason():
    failure = reasons.explain(death(log_tail=("first", "second")))
    assert failure.log_tail == ("first", "second")
