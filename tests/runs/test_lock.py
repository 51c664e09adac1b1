"""A run folder belongs to one process at a time, whatever becomes of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lookwise.errors import RunError
from lookwise.runs.lock import RunLock

HOLDER = """
import sys
from pathlib import Path
from lookwise.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdin=pipe, stdout=pipe, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


@pytest.mark.parametrize("end", ["by itself", "by kill -9"])
def test_a_second_process_is_refused_by_name_until_the_first_ends(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "runs" / "demo"
    holder = hold(folder)
    try:
        with pytest.raises(RunError) as refusal, RunLock(folder):
            pytest.fail("held twice")
        sentence = r"(.+) is in use by process (\d+) on (\S+) since (\S+ \S+ \S+); wait .*--out"
        said = re.fullmatch(sentence, str(refusal.value))
        assert said
        assert (said[1], int(said[2]), said[3]) == (str(folder), holder.pid, os.uname().nodename)
    finally:
        if end == "by kill -9":
            holder.send_signal(signal.SIGKILL)
        holder.communicate("\n")
    with RunLock(folder):
        pass


def test_a_lock_is_released_after_an_error_and_taken_anew(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), RunLock(tmp_path):
        raise ValueError("mine")
    with RunLock(tmp_path), pytest.raises(RunError, match=f"process {os.getpid()}"), RunLock(tmp_path):
        pass


def test_a_holder_that_has_not_signed_is_still_respected(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        (tmp_path / ".lock").write_text("")
        with pytest.raises(RunError, match="another process"), RunLock(tmp_path):
            pass
