"""Whose processor time it was: a process that ended under a killed parent stays ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from holdfast.drills.meters import MachineMeter

pytestmark = pytest.mark.live
#: A parent that starts a child who works, says the child's pid, and waits.
FAMILY = """
import subprocess, sys, time
work = "import time\\nend = time.monotonic() + 60\\nwhile time.monotonic() < end: pass"
child = subprocess.Popen([sys.executable, "-c", work])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_the_time_of_a_process_killed_after_its_parent_is_not_somebody_else_s() -> None:
    """As when a drill kills the conductor, and later a replica that the conductor had started."""
    with MachineMeter(list, every_s=0.05) as meter:
        parent = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE)
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(1.0)
        used = child.cpu_times().user
        parent.kill()
        parent.wait()  # not for the end of its output, which the child holds open
        os.kill(child.pid, signal.SIGKILL)
        meter.noise()
        parent.stdout.close()
    assert used > 0.1
    assert meter.own_s() > 0.8 * used
