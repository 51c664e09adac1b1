"""Jobs for other processes, which can only be told functions of a module that they can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from lookwise.errors import ModelError
from lookwise.training.tune import Display


def note(folder: Path, name: str, steps: int, *, display: Display | None = None) -> None:
    """Count steps, then write down which process did it, on how many threads."""
    assert display is not None
    display.begin(name, steps)
    for _ in range(steps):
        display.advance(sent=1)
    display.end()
    (folder / name).write_text(f"{os.getpid()} {torch.get_num_threads()}")


def wait_long(folder: Path, name: str, *, display: Display | None = None) -> None:
    """Write down the process, then do not end."""
    (folder / name).write_text(str(os.getpid()))
    time.sleep(600)


def refuse(why: str, *, display: Display | None = None) -> None:
    """Fail as the library fails."""
    raise ModelError(why)


def die(*, display: Display | None = None) -> None:
    """End as a process ends whose memory ran out."""
    os.kill(os.getpid(), signal.SIGKILL)
