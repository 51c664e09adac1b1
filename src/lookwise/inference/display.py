"""How far a model has got: a bar on a terminal, a plain line now and then elsewhere.

In: how many asks there are, and each step's counts.  Out: text on the console.
It knows nothing of stages beyond a title.  The rate is that of work done, not of replies found in the store, so that
the time left holds on a resumed run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

__all__ = ["Display", "Progressed", "terminal_display"]


@dataclass(frozen=True, slots=True)
class Progressed:
    """Where one title stands: of `total` asks, how many were sent, stored, merged or unreadable; in `seconds`.

    `first` of them were sent with the first batch, `since` so many seconds: a model had to be opened for it, so the
    rate is that of what came after.
    """

    title: str
    total: int
    sent: int = 0
    stored: int = 0
    merged: int = 0
    unread: int = 0
    seconds: float = 0.0
    first: int = 0
    since: float = 0.0

    @property
    def rate(self) -> float | None:
        """Asks sent a second; None before the first was."""
        sent, seconds = self.sent - self.first, self.seconds - self.since
        if sent > 0 and seconds > 0:
            return sent / seconds
        return self.sent / self.seconds if self.sent and self.seconds > 0 else None

    @property
    def done(self) -> int:
        """Asks that need nothing more."""
        return self.sent + self.stored + self.merged + self.unread

    def status(self) -> str:
        """Return the line beside the bar."""
        parts = [f"{self.done:,}/{self.total:,}"]
        if self.rate is not None:
            parts.append(f"{self.rate:,.1f}/s")
            if self.done < self.total:  # as many of what is left will be merged as so far
                left = (self.total - self.done) * self.sent / (self.sent + self.merged)
                parts.append(f"{_clock(left / self.rate)} left")
        if self.merged:
            parts.append(f"{self.merged:,} merged")
        if self.stored:
            parts.append(f"{self.stored:,} stored")
        if self.unread:
            parts.append(f"{self.unread:,} unreadable")
        return ", ".join(parts)


class Display:
    """Shows one title at a time: `begin`, `advance` …, `end`."""

    def __init__(self, console: Console, every: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._every = every
        self._clock = clock
        self._state = Progressed("", 0)
        self._began = self._said = 0.0
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def begin(self, title: str, total: int) -> None:
        """Start a title with so many asks."""
        self._state = Progressed(title, total)
        self._began = self._said = self._clock()
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}"))
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(title, total=total, status="")
            self._bar.start()

    def advance(self, sent: int = 0, stored: int = 0, merged: int = 0, unread: int = 0) -> None:
        """Count what was done since the last call."""
        now, seconds = self._state, self._clock() - self._began
        first, since = (sent, seconds) if sent and not now.sent else (now.first, now.since)
        self._state = replace(
            now,
            sent=now.sent + sent,
            stored=now.stored + stored,
            merged=now.merged + merged,
            unread=now.unread + unread,
            seconds=seconds,
            first=first,
            since=since,
        )
        if self._bar is not None:
            self._bar.update(self._task, completed=self._state.done, status=self._state.status())
        elif self._clock() - self._said >= self._every:
            self._say()

    def end(self) -> None:
        """Finish the title with one line of what it came to."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._say()

    def _say(self) -> None:
        self._said = self._clock()
        self._console.print(
            f"{self._state.title}: {self._state.status()}", markup=False, highlight=False, soft_wrap=True
        )


def terminal_display() -> Display:
    """Return the display of a command: standard error, a bar where that is a terminal."""
    return Display(Console(stderr=True))


def _clock(seconds: float) -> str:
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
