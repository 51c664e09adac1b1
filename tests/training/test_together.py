"""Trainings in processes of their own: all steps counted, errors told, nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from told_jobs import die, note, refuse, wait_long

from lookwise.errors import ModelError
from lookwise.training.together import Job, train_together


class Counts:
    def __init__(self) -> None:
        self.titles: list[tuple[str, int]] = []
        self.done = self.ended = 0

    def begin(self, title: str, total: int) -> None:
        self.titles.append((title, total))

    def advance(self, sent: int = 0, stored: int = 0) -> None:
        self.done += sent + stored

    def end(self) -> None:
        self.ended += 1


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_jobs_run_elsewhere_on_a_share_of_the_threads_and_every_step_counts(tmp_path: Path) -> None:
    counts = Counts()
    jobs = [Job(name, partial(note, tmp_path, name, 10 * i), 10 * i) for i, name in enumerate("abcd", start=1)]
    train_together(jobs, "models", counts)
    told = [(tmp_path / job.name).read_text().split() for job in jobs]
    assert str(os.getpid()) not in {process for process, _ in told}
    assert len({process for process, _ in told}) in (1, 2)  # the third job and the fourth go to whoever is free
    assert {threads for _, threads in told} == {"1"}
    assert counts.titles == [("models, 2 at a time", 100)]
    assert (counts.done, counts.ended) == (100, 1)


def test_what_was_trained_before_counts_as_done(tmp_path: Path) -> None:
    counts = Counts()
    jobs = [Job("known", partial(note, tmp_path, "known", 0), 30), Job("new", partial(note, tmp_path, "new", 20), 20)]
    train_together(jobs, "models", counts)
    assert counts.done == 50


def test_three_on_two_threads_run_all_at_once_rather_than_leave_one_for_the_end(tmp_path: Path) -> None:
    counts = Counts()
    train_together([Job(name, partial(note, tmp_path, name, 1), 1) for name in "abc"], "models", counts)
    told = [(tmp_path / name).read_text().split() for name in "abc"]
    assert str(os.getpid()) not in {process for process, _ in told}
    assert {threads for _, threads in told} == {"1"}
    assert counts.titles == [("models, 3 at a time", 3)]


def test_on_one_thread_they_run_here_one_after_the_other(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    counts = Counts()
    train_together([Job(n, partial(note, tmp_path, n, 2), 2) for n in "ab"], "models", counts)
    assert {(tmp_path / n).read_text() for n in "ab"} == {f"{os.getpid()} 1"}
    assert counts.titles == [("a", 2), ("b", 2)]


@pytest.mark.parametrize(("bad", "said"), [(partial(refuse, "no photos at all"), "no photos"), (die, "ended with.*-9")])
def test_one_that_fails_is_named_and_ends_the_others(tmp_path: Path, bad: partial[None], said: str) -> None:
    jobs = [Job("long", partial(wait_long, tmp_path, "long"), 1), Job("bad", bad, 1)]
    with pytest.raises(ModelError, match=said):
        train_together(jobs, "models")
    path = tmp_path / "long"
    assert not path.exists() or not alive(int(path.read_text()))


@pytest.mark.slow
def test_nobody_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import torch; from pathlib import Path; from functools import partial; from told_jobs import wait_long\n"
        "from lookwise.training.together import Job, train_together\n"
        "torch.set_num_threads(2)\n"
        f"train_together([Job(n, partial(wait_long, Path({str(tmp_path)!r}), n), 1) for n in 'ab'], 'models')\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    paths = [tmp_path / n for n in "ab"]
    try:
        for _ in range(600):
            if all(path.exists() and path.read_text() for path in paths):
                break
            time.sleep(0.1)
        children = [int(path.read_text()) for path in paths]
        assert all(alive(child) for child in children)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    for _ in range(100):
        if not any(alive(child) for child in children):
            return
        time.sleep(0.1)
    pytest.fail("a training outlived its parent")
