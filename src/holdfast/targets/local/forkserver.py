"""Imports one Python program and becomes its instances: a fork server.

Run as a script by the supervisor, in the interpreter of the program, which need not have Holdfast:
``python forkserver.py FD script.py ARGS...`` or ``... FD -m module ARGS...``. FD is the control
socket; when it closes, the supervisor is gone or wants no more, and the fork server ends.

Everything above ``if __name__ == "__main__":`` runs once, here; the rest runs in each fork. So
nothing above it may belong to one instance: no threads and no child processes (a fork loses them),
no sockets or pipes (instances would share them), no look at $PORT or a secret (each has its own).
What breaks that is said to the supervisor, which then starts the program the ordinary way.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import gc
import importlib.machinery
import importlib.util
import json
import os
import select
import socket
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CONTROL = LISTENER = 3  # an instance's inherited listener takes the place of the control socket
MESSAGE_MAX = 1 << 20
SAFE_PATH = getattr(sys.flags, "safe_path", sys.flags.isolated)  # Python 3.11 tells them apart
MARK = "HOLDFAST_RECORD"  # in the environment: by it a successor knows whose process this is
OWN_NAME = "fork-server"  # in ps and top, where instances have their interpreter's name


class Unfit(Exception):
    """The program cannot start warm; says why in words for people."""


@dataclass
class Program:
    """A program cut in two at its main guard."""

    path: str  # also argv[0] of a module
    module: types.ModuleType  # it is __main__
    above: types.CodeType
    below: types.CodeType


@dataclass
class Instance:
    """What a fork is to become."""

    argv: list[str]
    env: dict[str, str]
    cpus: list[int] | None
    fds: list[int]  # log, go-ahead, and where one is inherited the listener


def main() -> None:
    if not SAFE_PATH:
        del sys.path[0]  # our own directory is none of the program's business
    given, words = int(sys.argv[1]), sys.argv[2:]
    os.dup2(given, CONTROL, inheritable=False)
    if given != CONTROL:
        os.close(given)
    control = socket.socket(fileno=CONTROL)
    name_process(OWN_NAME)
    task = json.loads(control.recv(MESSAGE_MAX) or "{}")
    try:
        program = prepare(words, task)
    except Unfit as why:
        tell(control, unfit=str(why))
        return
    tell(control, fit=True)
    instance = serve(control)
    if instance is not None:
        control.detach()
        become(instance)
        run(program)


def tell(control: socket.socket, **said: Any) -> None:  # noqa: ANN401 - JSON
    with contextlib.suppress(OSError):  # then the supervisor is gone: the next poll finds out
        control.send(json.dumps(said).encode())


# ---- before the first fork ----------------------------------------------------------------------


def prepare(words: list[str], task: dict[str, Any]) -> Program:
    """Run what is above the main guard, as ``__main__``. Raises ``Unfit``."""
    try:
        program = load_module(words[1]) if words[0] == "-m" else load_script(words[0])
    except (OSError, SyntaxError, ImportError, ValueError) as error:
        raise Unfit(f"{' '.join(words[:2])}: {type(error).__name__}: {error}") from error
    sys.modules["__main__"] = program.module
    if MARK in os.environ and not show_mark(os.environ[MARK]):
        raise Unfit("this kernel does not let a process change the mark it is known by")
    first = program.path if words[0] == "-m" else words[0]
    before = open_files()
    looked_at: list[str] = []
    with watching(task["private"], looked_at):
        sys.argv = [first, *task["argv"]]
        if task["argv_differs"]:
            sys.argv = WatchedArguments(sys.argv, looked_at)
        try:
            exec(program.above, program.module.__dict__)
        except BaseException as error:
            why = f"{type(error).__name__}: {error}"
            raise Unfit(seen(looked_at) or f"importing {program.path} failed: {why}") from error
    sys.argv = [first]
    why_not = seen(looked_at) or leftovers(before)
    if why_not:
        raise Unfit(why_not)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or every fork would print it once more
    gc.collect()
    gc.freeze()  # collections in forks do not touch, and so do not copy, what they share
    return program


def load_script(path: str) -> Program:
    full = os.path.abspath(path)
    if not SAFE_PATH:
        sys.path.insert(0, os.path.dirname(os.path.realpath(full)))
    module = types.ModuleType("__main__")
    loader = importlib.machinery.SourceFileLoader("__main__", full)
    module.__dict__.update(
        __file__=full, __loader__=loader, __cached__=None, __package__=None, __spec__=None
    )
    return Program(full, module, *cut(loader.get_data(full), full))


def load_module(name: str) -> Program:
    if not SAFE_PATH:
        sys.path.insert(0, os.getcwd())
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(name + ".__main__")
    if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        raise Unfit(f"module {name} has no Python source that can be run")
    path = spec.loader.get_filename()
    module = types.ModuleType("__main__")
    module.__dict__.update(
        __file__=path, __loader__=spec.loader, __cached__=spec.cached, __package__=spec.parent,
        __spec__=spec,
    )  # fmt: skip
    return Program(path, module, *cut(spec.loader.get_data(path), path))


def cut(source: bytes, path: str) -> tuple[types.CodeType, types.CodeType]:
    """The code above the main guard, and from there on."""
    body = ast.parse(source, path).body
    at = next((number for number, node in enumerate(body) if is_main_guard(node)), None)
    if at is None:
        raise Unfit(f'{path} has no `if __name__ == "__main__":`, so where it starts is not known')
    above = compile(ast.Module(body[:at], []), path, "exec", dont_inherit=True)
    features = (getattr(__future__, name) for name in __future__.all_feature_names)
    future = sum(above.co_flags & feature.compiler_flag for feature in features)
    return above, compile(ast.Module(body[at:], []), path, "exec", future, dont_inherit=True)


def is_main_guard(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    sides = [node.test.left, *node.test.comparators]
    names = [side.id for side in sides if isinstance(side, ast.Name)]
    values = [side.value for side in sides if isinstance(side, ast.Constant)]
    return isinstance(node.test.ops[0], ast.Eq) and (names, values) == (["__name__"], ["__main__"])


class WatchedEnviron(os._Environ):  # type: ignore[type-arg]
    """Notes a look at what differs from instance to instance, and at the whole environment."""

    private: frozenset[str]
    looked_at: list[str]

    def __getitem__(self, key: str) -> str:
        if key in self.private:
            self.looked_at.append(f"${key}")
        return str(super().__getitem__(key))

    def __iter__(self) -> Iterator[str]:
        self.looked_at.append("the whole environment")
        return super().__iter__()


class WatchedArguments(list):  # type: ignore[type-arg]
    """The same for arguments that differ."""

    def __init__(self, words: list[str], looked_at: list[str]) -> None:
        super().__init__(words)
        self.looked_at = looked_at

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 - a word or a list of them
        if key != 0:
            self.looked_at.append("its arguments")
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        self.looked_at.append("its arguments")
        return super().__iter__()

    def __contains__(self, word: object) -> bool:
        self.looked_at.append("its arguments")
        return super().__contains__(word)


@contextlib.contextmanager
def watching(private: list[str], looked_at: list[str]) -> Iterator[None]:
    """Notes in ``looked_at`` what is looked at meanwhile."""
    environ: Any = os.environ
    ordinary = environ.__class__
    environ.__class__ = WatchedEnviron
    environ.private, environ.looked_at = frozenset(private), looked_at
    try:
        yield
    finally:
        environ.__class__ = ordinary
        del environ.private, environ.looked_at


def seen(looked_at: list[str]) -> str | None:
    if not looked_at:
        return None
    names = ", ".join(dict.fromkeys(looked_at))
    return f"importing it looks at {names}, which differs from instance to instance"


def leftovers(before: dict[int, str]) -> str | None:
    """What a fork would lose, or share with its siblings."""
    others = [each.name for each in threading.enumerate() if each is not threading.main_thread()]
    tasks = os.listdir("/proc/self/task")
    if len(tasks) > 1:
        who = ", ".join(others) or "by a library; for numpy set OPENBLAS_NUM_THREADS=1"
        return f"importing it starts {len(tasks) - 1} threads ({who})"
    with contextlib.suppress(OSError), open(f"/proc/self/task/{tasks[0]}/children") as file:
        if file.read().split():
            return "importing it starts a process"
    for fd, what in open_files().items():
        if before.get(fd) != what and what.startswith(("socket:", "pipe:", "anon_inode:")):
            return f"importing it opens a {what.partition(':')[0]} ({what})"
    return None


def open_files() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found


# ---- forking ------------------------------------------------------------------------------------


def serve(control: socket.socket) -> Instance | None:
    """Fork on demand and tell how forks end. Returns an ``Instance`` in forks only."""
    children: dict[int, int] = {}  # pidfd -> pid
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd != CONTROL:
                poll.unregister(fd)
                bury(control, fd, children.pop(fd))
                continue
            data, fds, _, _ = socket.recv_fds(control, MESSAGE_MAX, 3)
            if not data:
                return None
            pidfd = fork(control, children)
            if pidfd is None:
                for other in children:
                    os.close(other)
                return Instance(**json.loads(data), fds=fds)
            for each in fds:
                os.close(each)
            if pidfd >= 0:
                poll.register(pidfd, select.POLLIN)


def fork(control: socket.socket, children: dict[int, int]) -> int | None:
    """None in the fork; its pidfd here, or -1 when there is none."""
    try:
        pid = os.fork()
    except OSError as error:
        tell(control, failed=error.strerror)
        return -1
    if pid == 0:
        return None
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)  # the fork does it as well: whoever is first
    pidfd = os.pidfd_open(pid)
    children[pidfd] = pid
    with contextlib.suppress(OSError):
        socket.send_fds(control, [json.dumps({"forked": pid}).encode()], [pidfd])
    return pidfd


def bury(control: socket.socket, pidfd: int, pid: int) -> None:
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)
    if result is not None:
        exited = result.si_code == os.CLD_EXITED
        tell(control, ended=pid, code=result.si_status if exited else -result.si_status)


# ---- in a fork ----------------------------------------------------------------------------------


def become(instance: Instance) -> None:
    """Put on what an ordinary start would have given, and wait for the go-ahead."""
    log, go_ahead, *listener = instance.fds
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    for target in (1, 2):
        os.dup2(log, target)
    os.close(log)
    env = dict(instance.env)
    if listener:
        os.dup2(listener[0], LISTENER)
        os.close(listener[0])
        env["LISTEN_PID"] = str(os.getpid())
    else:
        os.close(LISTENER)
    os.environ.clear()
    os.environ.update(env)
    show_mark(env.get(MARK, ""))
    if instance.cpus:
        os.sched_setaffinity(0, instance.cpus)
    name_process(os.path.basename(sys.executable))
    sys.argv[1:] = instance.argv
    if not os.read(go_ahead, 1):
        os._exit(0)  # the supervisor died, or did not wait any longer
    os.close(go_ahead)


def run(program: Program) -> None:
    try:
        exec(program.below, program.module.__dict__)
    except Exception as error:
        if error.__traceback__ is not None:
            error = error.with_traceback(error.__traceback__.tb_next)  # the program's part of it
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


def show_mark(mark: str) -> bool:
    """Others read the environment that a process was started with: write over it in our memory."""
    with contextlib.suppress(OSError), open("/proc/self/stat") as file:
        start, end = map(int, file.read().rpartition(")")[2].split()[47:49])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            shown = b"\0" + memory.read(end - start)
            begin = f"\0{MARK}=".encode()
            at = shown.find(begin) + len(begin)
            room = shown.find(b"\0", at) - at
            new = os.fsencode(mark)
            if at < len(begin) or room < len(new):
                return False
            memory.seek(start + at - 1)
            memory.write(new.ljust(room, b"\0"))
            return True
    return False


def name_process(name: str) -> None:
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as file:
        file.write(name)


if __name__ == "__main__":
    main()
