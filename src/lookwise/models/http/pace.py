"""How many requests may be under way at once: found by trying, as TCP finds its window.

In: what became of each request.  Out: leave to send the next.  It doubles at first with every round trip, then adds one
per round trip, and halves when the server is busy (429, 503, time-outs), once for all requests that were under way.  A
server's Retry-After holds everybody.  It sends nothing; it belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["Pace"]


class Pace:
    """Leave to send: `enter`, then `leave`; in between `eased` after a reply, `pressed` after a sign of overload."""

    def __init__(self, most: int, first: int = 4, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._limit, self._clock = max(1, most), float(min(most, first)), clock
        self._under_way = 0
        self._starting = True
        self._cut_at = self._held_until = float("-inf")
        self._freed = asyncio.Condition()

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        return max(1, int(self._limit))

    async def enter(self) -> None:
        """Wait until one more may be under way."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._under_way < self.limit)
            self._under_way += 1
        await self.hold()

    async def hold(self) -> None:
        """Wait until the server's last Retry-After is over."""
        while (wait := self._held_until - self._clock()) > 0:
            await asyncio.sleep(wait)

    async def leave(self) -> None:
        """Make room for another."""
        async with self._freed:
            self._under_way -= 1
            self._freed.notify_all()

    def eased(self) -> None:
        """Take note of a reply: more may be tried, where the limit is used at all."""
        if 2 * self._under_way >= self.limit:
            self._limit = min(float(self._most), self._limit + (1.0 if self._starting else 1.0 / self._limit))

    def pressed(self, began: float, wait: float = 0.0) -> None:
        """Take note of overload met by a request sent at `began` (by the clock), and of how long to hold everybody."""
        now = self._clock()
        self._held_until = max(self._held_until, now + wait)
        if began >= self._cut_at:  # later ones of the same crowd say nothing new
            self._limit, self._cut_at, self._starting = max(1.0, self._limit / 2), now, False
