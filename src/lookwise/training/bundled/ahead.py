"""Batches made while those before them are in use, by a thread or by a process.

In: what makes batches.  Out: the same batches in the same order; one maker makes all of them, so that they draw from
their seed what they would draw without it.  A thread serves where making is mostly numpy, which lets others run; a
process where it is Python.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, TypeVar

from lookwise.runs.company import end_with_parent, new_processes

__all__ = ["drawn_ahead", "made_ahead"]

T = TypeVar("T")
_DEPTH = 16
"""Batches that a process may be ahead: more than are drawn at once, so that it draws while those are used."""
_stream: Iterator[Any] = iter(())


def made_ahead(make: Callable[[], T], count: int) -> Generator[T]:
    """Yield what `count` calls return, each made by one thread while the one before is in use."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as maker:
        following = maker.submit(make)
        for place in range(count):
            found = following.result()
            if place + 1 < count:
                following = maker.submit(make)
            yield found


def drawn_ahead(stream_of: Callable[..., Iterable[T]], *what: Any) -> Generator[T]:
    """Yield what `stream_of(*what)` yields in a process of its own, where module and arguments can be sent to one."""
    with ProcessPoolExecutor(1, new_processes(), initializer=_begin, initargs=(stream_of, what)) as maker:
        waiting = deque(maker.submit(_following) for _ in range(_DEPTH))
        try:
            while (found := waiting.popleft().result()) is not None:
                waiting.append(maker.submit(_following))
                yield found[0]
        finally:
            maker.shutdown(cancel_futures=True)


def _begin(stream_of: Callable[..., Iterable[Any]], what: tuple[Any, ...]) -> None:
    global _stream
    end_with_parent()
    _stream = iter(stream_of(*what))


def _following() -> tuple[Any] | None:
    """Return the next, alone in a tuple, or None after the last."""
    return next(((found,) for found in _stream), None)
