"""One tuning in several processes: started here, watched here, and ended with us.

In: what `tune` takes, and how many processes, or accelerate's configuration file.  Out: the finished folder, or the
error that a process stopped with.  The processes are torchrun's or accelerate's own; launched.py is what they run.  The
tuning's arguments travel in a file beside its checkpoints, progress comes back in another, line by line.  Their input
is a pipe that nobody writes to: it ends when this process does, however that ends, and they with it.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lookwise.errors import ModelError, RecipeError
from lookwise.training import checkpoint
from lookwise.training.accelerate_file import turned
from lookwise.training.examples import Example
from lookwise.training.settings import TuneSettings
from lookwise.training.tune import Display, plan_of, tune

__all__ = ["Fleet", "Order", "tune_in"]

_POLL = 0.5
"""Seconds between looks at the progress."""
_TAIL = 300
"""Letters of a process's last words that an error repeats."""
_EXCEPTION = re.compile(r"\b[A-Z]\w*(Error|Exception|Interrupt): ")


@dataclass(frozen=True, slots=True)
class Fleet:
    """How a tuning's processes are started: so many on this machine, or as accelerate's configuration file says."""

    processes: int = 1
    accelerate: str = ""

    @property
    def alone(self) -> bool:
        """Whether this process does it."""
        return self.processes == 1 and not self.accelerate

    def check(self) -> None:
        """Raise RecipeError for a file that is not there or asks for what is not done here, or both ways at once."""
        if self.accelerate and self.processes != 1:
            raise RecipeError("accelerate's file says how many processes there are; leave processes out")
        if self.accelerate and not Path(self.accelerate).expanduser().is_file():
            raise RecipeError(f"accelerate: no file {self.accelerate!r}; write one with `accelerate config`")
        if self.accelerate:
            turned(Path(self.accelerate).expanduser())

    def command(self, order: Path) -> list[str]:
        """Return the command that starts the processes."""
        run = ["-m", "lookwise.training.launched", str(order)]
        if self.accelerate:
            settings = Path(self.accelerate).expanduser()
            if (instead := turned(settings)) is not None:
                settings = order.with_name("accelerate.yaml")
                settings.write_text(yaml.safe_dump(instead), encoding="utf-8")
            return [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(settings), *run]
        here = ["--standalone", "--nproc-per-node", str(self.processes)]
        return [sys.executable, "-m", "torch.distributed.run", *here, *run]


@dataclass(frozen=True, slots=True)
class Order:
    """What the processes are told: a call of `tune`, and where to say how far it is and why it failed."""

    base: str
    train: tuple[Example, ...]
    val: tuple[Example, ...]
    out: Path
    settings: TuneSettings
    card: Mapping[str, Any]
    progress: Path
    fault: Path


def tune_in(
    fleet: Fleet,
    base: str,
    train: Sequence[Example],
    val: Sequence[Example],
    out: Path,
    settings: TuneSettings,
    card: Mapping[str, Any] | None = None,
    display: Display | None = None,
) -> Path:
    """Tune in as many processes as the fleet has, and return the adapter's folder; alone it is `tune`."""
    if fleet.alone:
        return tune(base, train, val, out, settings, card, display)
    fleet.check()
    if checkpoint.finished(out, plan_of(base, train, val, settings)):
        return out
    work = out / "launch"
    work.mkdir(parents=True, exist_ok=True)
    order = Order(base, tuple(train), tuple(val), out, settings, dict(card or {}), work / "progress", work / "fault")
    for old in (order.progress, order.fault):
        old.unlink(missing_ok=True)
    path = work / "order"
    path.write_bytes(pickle.dumps(order))
    _run(fleet, path, order, display)
    checkpoint.clear(work)
    return out


def _run(fleet: Fleet, path: Path, order: Order, display: Display | None) -> None:
    words = path.with_name("words")
    with words.open("wb") as said:
        environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        process = subprocess.Popen(
            fleet.command(path), stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, env=environment
        )
        assert process.stdin is not None
        with process.stdin:
            try:
                _watch(process, order, display)
            finally:
                process.terminate()
                process.wait()
    if order.fault.is_file():
        raise ModelError(order.fault.read_text(encoding="utf-8"))
    if process.returncode or not (order.out / checkpoint.CARD).is_file():
        raise ModelError(
            f"the processes that tune {order.out.name} ended with exit code {process.returncode} "
            f"({_last(words)}; all they said is in {words}); mend that and run the same command to go on"
        )


def _last(words: Path) -> str:
    """Return what the processes died of: the first exception that one of them names, or else their last words."""
    lines = words.read_text(encoding="utf-8", errors="replace").splitlines()
    named = next((line for line in lines if _EXCEPTION.search(line)), None)
    return " ".join((named or " ".join(lines)).split())[-_TAIL:]


def _watch(process: subprocess.Popen[bytes], order: Order, display: Display | None) -> None:
    """Count steps until the processes end; the main one appends [step, steps] to the progress file."""
    seen = -1
    while True:
        ended = process.poll() is not None
        step, steps = _read(order.progress)
        if display is not None and steps:
            if seen < 0:
                display.begin(f"tune {order.out.name}", steps)
                display.advance(stored=step - 1)
                seen = step - 1
            display.advance(sent=step - seen)
            seen = step
        if ended:
            break
        try:
            process.wait(_POLL)
        except subprocess.TimeoutExpired:
            continue
    if display is not None and seen >= 0:
        display.end()


def _read(progress: Path) -> tuple[int, int]:
    """Return the step reached and the steps in all, (0, 0) before the first."""
    lines = progress.read_text(encoding="utf-8").split("\n")[:-1] if progress.is_file() else []
    if not lines:
        return 0, 0
    step, steps = json.loads(lines[-1])
    return int(step), int(steps)
