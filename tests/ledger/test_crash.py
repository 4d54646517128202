"""kill -9 while appending: whatever was acknowledged is there, and history is intact."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 45

# A child appends in batches and says what was acknowledged; the parent kills it at a random
# moment, reopens the ledger and compares. In a process of its own, because pytest must not fork.
SCRIPT = """
import asyncio, json, os, random, signal, sys, time
from pathlib import Path
from holdfast.ledger import Archive, Draft, Intact, Ledger

path, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
dice, acked, killed_busy = random.Random(seed), [], 0

def body(index):
    return b"%d " % index * (1 + index % 50 * (index % 7 == 0) * 20)

async def append_for_ever(out):
    ledger = Ledger.open(path, "example.com/crash", takeover=True)
    index = ledger.size
    while True:
        sizes = [1 + (index + i) % 5 for i in range(3)]
        waiting = []
        for size in sizes:  # three appends share one commit
            batch = [Draft("s", "K", body(index + i), 1.0 + index) for i in range(size)]
            waiting.append(ledger.append(batch))
            index += size
        await asyncio.gather(*waiting)
        os.write(out, b"%d\\n" % index)

for turn in range(kills):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        asyncio.run(append_for_ever(write))
    os.close(write)
    heard = b""
    while heard.count(b"\\n") < turn % 3:  # then the kill falls into a later commit
        heard += os.read(read, 64) or sys.exit("the writer died by itself")
    time.sleep(dice.uniform(0, 0.012))  # every third is killed while it opens the ledger
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as lines:
        heard += lines.read()
        said = [int(line) for line in heard.splitlines(keepends=True) if line[-1:] == b"\\n"]
    acked.append(said[-1] if said else (acked[-1] if acked else 0))
    if acked[-1]:
        with Archive.read(path) as archive:  # before anybody recovered the file by writing
            assert archive.size >= acked[-1] and isinstance(archive.verify(), Intact), turn
    # A server may still be busy with what the killed one left; who replaces it does not wait.
    with Ledger.open(path, "example.com/crash", takeover=True) as ledger:
        bodies = [entry.body for entry in ledger.entries(0, 10**9)]
        assert len(bodies) >= acked[-1], (turn, len(bodies), acked[-1])
        assert bodies == [body(n) for n in range(len(bodies))], turn
        finding = ledger.verify()
        assert isinstance(finding, Intact), (turn, finding)
        killed_busy += len(bodies) > acked[-1]
print(json.dumps({"entries": len(bodies), "acked": acked[-1], "unsaid": killed_busy}))
"""


@pytest.mark.live
@pytest.mark.req("I4")
@pytest.mark.parametrize("path", ["sqlite", "postgres"], indirect=True)
def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(path: Path, tmp_path: Path):
    script = tmp_path / "crash.py"
    script.write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, script, path, str(KILLS), "7"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    outcome = json.loads(ran.stdout)
    assert outcome["entries"] >= outcome["acked"] > 100
