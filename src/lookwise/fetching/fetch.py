"""Many pictures: each address asked for once, some at a time, few from one host, again after passing trouble.

In: addresses, and the shelf they go to.  Out: what became of each, in the order given; the shelf, and its list of what
is missing.  Killed anywhere, the same call goes on: what is on the shelf is not asked for again.  It knows no samples.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator

from lookwise.errors import DataError
from lookwise.fetching.download import Downloader, Missing, checked
from lookwise.fetching.limits import Limits
from lookwise.fetching.shelf import Fetched, Shelf
from lookwise.inference.display import Display

__all__ = ["fetch"]

_TITLE = "fetch pictures"


def fetch(
    urls: Iterable[str], shelf: Shelf, limits: Limits | None = None, display: Display | None = None
) -> dict[str, Fetched]:
    """Bring what is not on the shelf yet; return the outcome of every address."""
    wanted = list(dict.fromkeys(urls))
    if not wanted:
        return {}
    with shelf.open():
        left = [url for url in wanted if not _settled(shelf, url)]
        if display is not None:
            display.begin(_TITLE, len(wanted))
            display.advance(stored=len(wanted) - len(left))
        try:
            if left:
                asyncio.run(_Many(shelf, limits or Limits(), display).fetch(left))
        except OSError as error:
            raise DataError(f"{shelf.folder} cannot be written ({error.strerror}); make room or mend rights") from error
        finally:
            if display is not None:
                display.end()
        outcomes = {url: shelf.known[url] for url in wanted}
        shelf.write_missing(outcomes)
    return outcomes


def _settled(shelf: Shelf, url: str) -> bool:
    found = shelf.known.get(url)
    return found is not None and found.final and (found.reason is not None or shelf.holds(found))


class _Host:
    """What is known of one host: until when it asked to be left alone, and requests in a row that it did not answer."""

    def __init__(self) -> None:
        self.held_until = 0.0
        self.lost = 0

    async def hold(self) -> None:
        """Wait until its Retry-After is over."""
        while (wait := self.held_until - time.monotonic()) > 0:
            await asyncio.sleep(wait)


class _Many:
    """One call's requests."""

    def __init__(self, shelf: Shelf, limits: Limits, display: Display | None) -> None:
        self._shelf, self._limits, self._display = shelf, limits, display

    async def fetch(self, urls: list[str]) -> None:
        """Ask for addresses, those of each host by as many workers as it may have requests."""
        queues: dict[str, list[str]] = defaultdict(list)
        for url in urls:
            queues[_host(url)].append(url)
        downloader = Downloader(self._limits)
        try:
            async with asyncio.TaskGroup() as group:
                for queue in queues.values():
                    host, left = _Host(), iter(queue)
                    for _ in range(min(self._limits.per_host, len(queue))):
                        group.create_task(self._work(downloader, host, left))
        except ExceptionGroup as errors:  # a full disk, say: one error says it, not one for each worker
            raise _first(errors) from errors
        finally:
            await downloader.aclose()

    async def _work(self, downloader: Downloader, host: _Host, left: Iterator[str]) -> None:
        for url in left:
            outcome = await self._one(downloader, host, url)
            self._shelf.record([outcome])
            if self._display is not None:
                self._display.advance(sent=int(outcome.reason is None), unread=int(outcome.reason is not None))

    async def _one(self, downloader: Downloader, host: _Host, url: str) -> Fetched:
        """Return what becomes of one address, tried as often as patience has it."""
        attempt = 0
        while True:
            attempt += 1
            await host.hold()
            if host.lost >= self._limits.lost:
                return Fetched(url, None, 0, "its host does not answer", False)
            draft = self._shelf.draft()
            try:
                got = await downloader.once(url, draft)
                self._shelf.keep(draft, got.digest)
                host.lost = 0
                return Fetched(url, got.digest, got.size, None, True)
            except Missing as fault:
                missing = fault
            finally:
                draft.unlink(missing_ok=True)
            host.lost = host.lost + 1 if missing.lost else 0
            if missing.wait:
                host.held_until = max(host.held_until, time.monotonic() + missing.wait)
            if not missing.again or attempt >= self._limits.patience.attempts:
                return Fetched(url, None, 0, missing.reason, missing.final)
            await asyncio.sleep(self._limits.patience.pause(attempt))


def _host(url: str) -> str:
    """Return the host of an address; "" for one that has none."""
    try:
        return checked(url).host
    except Missing:
        return ""


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    found: Exception = errors
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found
