"""Processes that end with the one that started them, however that ends.

A process that waits on a queue of its siblings is never told that nobody will fill it again: after a kill it would stay
for ever; and one that is not told that nobody waits for it works on.  It knows nothing of what a process does.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing import connection

__all__ = ["end_with_input", "end_with_parent"]


def end_with_parent() -> None:
    """From now on, end this process as soon as the one that started it has ended.  Called once, in the new process."""
    threading.Thread(target=_wait_and_end, daemon=True).start()


def end_with_input() -> None:
    """From now on, end this process as soon as its standard input does.  Called once.

    For processes with a launcher in between that hands its input on: who holds the other end of that pipe, and writes
    nothing to it, ends them all by ending.
    """
    threading.Thread(target=_read_and_end, daemon=True).start()


def _read_and_end() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


def _wait_and_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
