"""Several trainings at a time, each in a process of its own: small models leave most of a second core idle.

In: jobs, largest first; a display.  Out: every job done, or the first error.  As many run at once as torch has threads
here, each with an equal share of them; fewer than twice as many jobs all run at once, since a second round would leave
threads idle.  A process that is done takes the next job, so that libraries load once.  On one thread they run here, one
after the other.  A process ends with the one that started it, however that ends.  It knows no model: what a job writes,
and how it goes on, is the job's business.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from multiprocessing.sharedctypes import Synchronized, SynchronizedArray
from typing import Protocol

import torch

from lookwise.errors import LookwiseError, ModelError
from lookwise.runs.company import end_with_parent, new_processes, undisturbed
from lookwise.training.tune import Display

__all__ = ["Job", "Training", "train_together"]

_BEHIND = 5
"""How much later in turn (niceness) jobs are than the longest, where cores are fewer: it would end last, and alone."""
_Word = tuple[int, int] | LookwiseError
"""What a process says: steps done and found done, or why it stops."""


class Training(Protocol):
    """A call that trains something; it must travel to another process, as functions of a module and partials do."""

    def __call__(self, *, display: Display | None) -> object:
        """Train, and count steps on the display."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training: its name, the call, and how many steps its display will count."""

    name: str
    train: Training
    steps: int


def train_together(jobs: Sequence[Job], title: str, display: Display | None = None) -> None:
    """Carry the jobs out; a title counts the steps of all of them."""
    threads = torch.get_num_threads()
    if min(threads, len(jobs)) < 2:
        for job in jobs:
            job.train(display=display)
        return
    at_once = len(jobs) if len(jobs) < 2 * threads else threads
    if display is not None:
        display.begin(f"{title}, {at_once} at a time", sum(job.steps for job in jobs))
    try:
        _Crew(at_once, max(threads // at_once, 1), at_once > threads).carry_out(jobs, display)
    finally:
        if display is not None:
            display.end()


class _Crew:
    """The processes under way, each with the place of the job that it is at."""

    def __init__(self, at_once: int, threads: int, crowded: bool) -> None:
        self._at_once, self._threads, self._crowded = at_once, threads, crowded
        self._context = new_processes()
        self._words: SimpleQueue[_Word] = self._context.SimpleQueue()
        self._running: dict[int, BaseProcess] = {}

    def carry_out(self, jobs: Sequence[Job], display: Display | None) -> None:
        taken = self._context.Value("i", 0)
        places = self._context.Array("i", self._at_once)
        try:
            for worker in range(self._at_once):
                what = (tuple(jobs), taken, places, worker, self._threads, self._crowded, self._words)
                process: BaseProcess = self._context.Process(target=_work, args=what, daemon=True)
                with undisturbed():
                    process.start()
                    self._running[worker] = process
            while self._running:
                connection.wait([p.sentinel for p in self._running.values()], timeout=0.2)
                self._listen(display)
                self._settle([jobs[places[worker]].name for worker in range(self._at_once)])
        finally:
            for process in self._running.values():
                process.kill()
                process.join()

    def _listen(self, display: Display | None) -> None:
        while not self._words.empty():
            word = self._words.get()
            if isinstance(word, LookwiseError):
                raise word
            if display is not None:
                display.advance(sent=word[0], stored=word[1])

    def _settle(self, names: Sequence[str]) -> None:
        for worker in [w for w, process in self._running.items() if not process.is_alive()]:
            code = self._running.pop(worker).exitcode
            if code:
                self._listen(None)  # it may have said why after the last time we listened
                raise ModelError(
                    f"the training of {names[worker]} ended with exit code {code}; run the same command to go on"
                )


@dataclass
class _Told:
    """A display whose steps are counted in another process."""

    words: SimpleQueue[_Word]
    told: int = 0

    def begin(self, title: str, total: int) -> None:
        """Titles are the other's business."""

    def advance(self, sent: int = 0, stored: int = 0) -> None:
        self.words.put((sent, stored))
        self.told += sent + stored

    def rest(self, steps: int) -> None:
        """Count what of a finished job was never counted: one that was found done says nothing of its steps."""
        if self.told < steps:
            self.advance(stored=steps - self.told)

    def end(self) -> None:
        """So are their ends."""


def _work(
    jobs: Sequence[Job],
    taken: Synchronized[int],
    places: SynchronizedArray[int],
    worker: int,
    threads: int,
    crowded: bool,
    words: SimpleQueue[_Word],
) -> None:
    """Be a process: take the next job until none is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the one that started us, which ends us then
    end_with_parent()
    torch.set_num_threads(threads)
    try:
        while True:
            with taken.get_lock():
                place, taken.value = taken.value, taken.value + 1
            if place >= len(jobs):
                return
            places[worker] = place
            if crowded and place > 0 and hasattr(os, "nice"):
                os.nice(_BEHIND)
            told = _Told(words)
            jobs[place].train(display=told)
            told.rest(jobs[place].steps)
    except LookwiseError as error:
        words.put(error)
        raise SystemExit(1) from None
