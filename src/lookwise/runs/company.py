"""Processes that end with the one that started them, however that ends, and leave Ctrl-C to it.

A process that waits on a queue of its siblings is never told that nobody will fill it again: after a kill it would stay
for ever; and one that is not told that nobody waits for it works on.  It knows nothing of what a process does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext

__all__ = ["begin_loading", "end_with_input", "end_with_parent", "may_fork", "new_processes", "undisturbed"]

_LOADED = "lookwise.runs.loaded"
_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/accel", "/dev/davinci_manager")
"""What the drivers of accelerators put there."""


def may_fork() -> bool:
    """Return whether a process that has loaded libraries may be forked here.

    Not but on Linux, where system libraries allow it; nor where there is an accelerator: many a library asks for it as
    it loads, and after that no fork can use it.
    """
    return sys.platform == "linux" and not any(map(os.path.exists, _DEVICES))


def new_processes() -> ForkServerContext | SpawnContext:
    """Return how processes that run models are started.

    Where that is possible they are forked from a process that has loaded the libraries, and done nothing else: it
    starts with the first of them, and ends with this one.  Elsewhere each starts from nothing.
    """
    if not may_fork():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_LOADED])
    return context


def begin_loading() -> None:
    """Start the process from which others are forked, so that it has loaded what they need when they are started."""
    if may_fork():
        new_processes()
        with undisturbed():
            forkserver.ensure_running()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold an interrupt back until the block is over; processes that are started within it are never told of one.

    A terminal sends Ctrl-C to every process.  One that is still loading its libraries would die of it with a traceback;
    and whoever starts it would be torn out of that, holding a process that it cannot end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # interrupts are for the main thread alone
        return
    came: list[int] = []
    resource_tracker.ensure_running()  # its start would lift the block
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))  # other threads may be told, too
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes inherit this, but no handler
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    if came and callable(before):
        before(signal.SIGINT, None)


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
