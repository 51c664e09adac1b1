"""Processes that end with the one that started them, however that ends.

A process that waits on a queue of its siblings is never told that nobody will fill it again: after a kill it would stay
for ever.  It knows nothing of what a process does.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing import connection

__all__ = ["end_with_parent"]


def end_with_parent() -> None:
    """From now on, end this process as soon as the one that started it has ended.  Called once, in the new process."""
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
