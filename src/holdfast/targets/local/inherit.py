"""Becomes the given program with a listening socket as file descriptor 3 (systemd's convention).

Run as a script by the supervisor: ``python inherit.py FD PROGRAM ARGS...``. A shim is needed
because ``LISTEN_PID`` must name a process that does not exist before it is started.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    given = int(sys.argv[1])
    if given != 3:
        os.dup2(given, 3)
        os.close(given)
    os.set_inheritable(3, True)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
