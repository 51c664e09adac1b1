"""Which requests are answered together: pure functions from lengths to batches.

In: lengths in tokens and a group for each request.  Out: batches of positions.  It knows neither models nor replies,
and above all not which replies are stored: a resumed run plans on the same list, so it forms the same batches.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

__all__ = ["WINDOW", "plan", "split", "windows"]

WINDOW = 4096
"""Requests planned at once: long enough to sort by length, short enough to hold."""

T = TypeVar("T")


def windows(items: Iterable[T], size: int = WINDOW) -> Iterator[list[T]]:
    """Yield the items in order, `size` at a time, taking none before its window is due."""
    window: list[T] = []
    for item in items:
        window.append(item)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window


def plan(lengths: Sequence[int], budget: int, groups: Sequence[Hashable] | None = None) -> list[list[int]]:
    """Return batches of positions: group by group, longest first, each of at most `budget` padded tokens.

    A batch's padded size is its number of requests times its longest length; a request longer than the budget is alone.
    Groups keep the order of their first request, equal lengths their own order.
    """
    members: dict[Hashable, list[int]] = {}
    for i in range(len(lengths)):
        members.setdefault(groups[i] if groups else None, []).append(i)
    batches = []
    for group in members.values():
        group.sort(key=lambda i: -lengths[i])
        batches += split(group, lengths, budget)
    return batches


def split(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Cut positions, longest first, into runs of at most `budget` padded tokens and at least one request."""
    batches: list[list[int]] = []
    for i in order:
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= budget:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches
