"""Processes of a pool, whose queue nobody will fill again, end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lookwise.runs import company
from lookwise.runs.company import undisturbed

PROGRAM = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from lookwise.runs import company

company._LOADED = "colorsys"
FRESH = get_context("spawn")

if __name__ == "__main__":
    context = FRESH if sys.argv[1] == "fresh" else company.new_processes()
    with ProcessPoolExecutor(2, context, company.end_with_parent) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(4)}, flush=True)
        time.sleep(60)
"""


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("how", ["fresh", "forked"])
def test_a_pool_does_not_outlive_a_killed_parent(tmp_path: Path, how: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, str(script), how],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    with parent.stdout:
        children = [int(word) for word in parent.stdout.readline().split()]
        assert children
        assert all(map(alive, children))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 20
    while any(map(alive, children)):
        assert time.monotonic() < deadline, "a process outlived its parent"
        time.sleep(0.05)


LOADING = """
import os, sys, time

from lookwise.runs import company

company._LOADED = "colorsys"


def told(line):
    line.send(("colorsys" in sys.modules, os.getppid()))


if __name__ == "__main__":
    company.begin_loading()
    context = company.new_processes()
    ours, theirs = context.Pipe()
    one, other = (context.Process(target=told, args=(theirs,)) for _ in range(2))
    for process in (one, other):
        process.start()
        process.join()
    print(*(ours.recv() for _ in range(2)), os.getpid(), sep=chr(10))
"""


def test_nothing_is_forked_where_there_is_an_accelerator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(company, "_DEVICES", (str(tmp_path / "card"),))
    assert company.new_processes().get_start_method() == ("forkserver" if sys.platform == "linux" else "spawn")
    (tmp_path / "card").touch()
    assert company.new_processes().get_start_method() == "spawn"


@pytest.mark.skipif(not company.may_fork(), reason="every process starts from nothing here")
def test_processes_are_forked_from_one_that_has_loaded_what_they_need(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(LOADING, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env, check=True).stdout
    first, second, ours = said.splitlines()
    assert first == second
    loaded, parent = first.strip("()").split(", ")
    assert loaded == "True"
    assert parent != ours


def interrupted_while_starting(told: list[str]) -> None:
    hears = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('still here')"
    with undisturbed():
        os.kill(os.getpid(), signal.SIGINT)
        told.append(subprocess.run([sys.executable, "-c", hears], capture_output=True, text=True, check=False).stdout)


def test_an_interrupt_waits_for_a_start_and_is_not_for_what_is_started() -> None:
    ours = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where tests run in the background it may be ignored
    told: list[str] = []
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted_while_starting(told)
        assert told == ["still here\n"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.signal(signal.SIGINT, ours)
