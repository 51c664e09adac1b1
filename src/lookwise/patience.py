"""How long to wait before asking a server again: by one's own count, and by what the server says.

In: the number of attempts so far, or an answer's headers.  Out: seconds.  It waits for nothing and sends nothing;
whoever talks to servers (models behind them, pictures on them) asks here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

__all__ = ["Patience", "retry_after"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often one request is tried, and the seconds between: doubling up to `longest`, drawn from the upper half."""

    attempts: int = 8
    first: float = 0.5
    longest: float = 30.0

    def pause(self, attempt: int) -> float:
        """Return how long to wait after so many attempts, from 1; drawn, so that a crowd does not come back at once."""
        return min(self.longest, self.first * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float:
    """Return how many seconds a server asks to wait, given as seconds, milliseconds or a date; 0 where it does not."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        try:
            wait = float(value) / unit
        except ValueError:
            continue
        if 0 <= wait < float("inf"):
            return wait
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return max(0.0, date.timestamp() - (time.time() if now is None else now))
