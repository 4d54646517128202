"""Which commands are Python programs that can be imported ahead of their start."""

from __future__ import annotations

import pytest

from holdfast.spec.python_command import PythonCommand, parse


@pytest.mark.parametrize(
    ("command", "interpreter", "program"),
    [
        ("python app.py --x 1", "python", "app.py --x 1"),
        ("/opt/env/bin/python3.12 -m shop -m other", "/opt/env/bin/python3.12", "-m shop -m other"),
        (
            "python3 -uB -W error -X dev -Xutf8 app.py",
            "python3 -uB -W error -X dev -Xutf8",
            "app.py",
        ),
    ],
)
def test_flags_belong_to_the_interpreter_and_arguments_to_the_program(
    command: str, interpreter: str, program: str
):
    found = parse(command.split())
    assert found == PythonCommand(tuple(interpreter.split()), tuple(program.split()))


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("node app.js", "only `python script.py`"),
        ("pythonic app.py", "only `python script.py`"),
        ("python -c print()", "started with -c"),
        ("python -i app.py", "started with -i"),
        ("python -um app", "started with -um"),
        ("python", "names no script"),
        ("python -m", "names no script"),
        ("python -u", "names no script"),
        ("python -X", "names no script"),
        ("python -", "started with -"),
        ("", "only `python script.py`"),
    ],
)
def test_everything_else_is_refused_with_the_reason(command: str, word: str):
    found = parse(command.split())
    assert isinstance(found, str) and word in found
