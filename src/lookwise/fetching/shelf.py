"""Fetched pictures on disk, named by their content, and what became of every address.

    FOLDER/pictures/ab/abcd…     a picture's bytes under their sha256: equal pictures are one file
    FOLDER/fetched.jsonl         one line per address that was settled, the last one counts
    FOLDER/missing.json          addresses without a picture, with reasons, counted by reason

In: drafts and outcomes.  Out: paths and outcomes.  A file is put in place by a rename before its line is written, so a
process killed anywhere leaves no line without its picture; a line that was cut off is read as not fetched.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from lookwise.errors import DataError
from lookwise.runs.files import write_bytes_atomic
from lookwise.runs.lock import RunLock

__all__ = ["Fetched", "Shelf", "is_digest"]

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of an address: a picture's `digest` and `size`, or the `reason` why there is none.

    `final` outcomes are not asked for again: pictures, what is gone for good, and whatever a pack has settled.
    """

    url: str
    digest: str | None
    size: int
    reason: str | None
    final: bool


def is_digest(text: object) -> bool:
    """Return whether a value is a sha256 in hex, so safe as the name of a file."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


class Shelf:
    """A folder of pictures; written to inside `with shelf.open():`, by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journal = folder / "fetched.jsonl"
        self._names = count()

    @cached_property
    def known(self) -> dict[str, Fetched]:
        """What became of every address, by address; read when it is first asked for."""
        return dict(_read(self._journal))

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the folder for writing; what another process fetched meanwhile is read, and its leavings swept."""
        with RunLock(self.folder):
            self.known = dict(_read(self._journal))
            _end_line(self._journal)
            drafts = self.folder / "drafts"
            drafts.mkdir(exist_ok=True)
            for old in drafts.iterdir():
                old.unlink()
            yield

    def path(self, digest: str) -> Path:
        """Return where a picture lies, or would lie."""
        return self.folder / "pictures" / digest[:2] / digest

    def holds(self, fetched: Fetched) -> bool:
        """Return whether an outcome's picture is there, by its size."""
        if fetched.digest is None:
            return False
        path = self.path(fetched.digest)
        return path.is_file() and path.stat().st_size == fetched.size

    def draft(self) -> Path:
        """Return a new place for a picture on its way."""
        return self.folder / "drafts" / str(next(self._names))

    def keep(self, draft: Path, digest: str) -> None:
        """Put a draft in its place."""
        path = self.path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(draft, path)

    def record(self, outcomes: Iterable[Fetched]) -> None:
        """Take note of outcomes, on disk too."""
        lines = []
        for fetched in outcomes:
            self.known[fetched.url] = fetched
            lines.append(json.dumps(asdict(fetched)) + "\n")
        with self._journal.open("a", encoding="ascii") as file:
            file.writelines(lines)

    def write_missing(self, outcomes: Mapping[str, Fetched]) -> None:
        """Write the list of what is missing."""
        missing = [f for f in outcomes.values() if f.reason is not None]
        table = {
            "addresses": len(outcomes),
            "missing": len(missing),
            "reasons": dict(Counter(str(f.reason) for f in missing).most_common()),
            "list": [{"url": f.url, "reason": f.reason, "final": f.final} for f in missing],
        }
        # Escaped, since an address from a stranger's table may hold what UTF-8 cannot.
        write_bytes_atomic(self.folder / "missing.json", json.dumps(table, indent=1).encode("ascii"))


def _read(journal: Path) -> Iterator[tuple[str, Fetched]]:
    """Yield the outcomes in a journal; a line that is none says nothing about its address."""
    if not journal.exists():
        return
    try:
        with journal.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                fetched = _outcome(line)
                if fetched is not None:
                    yield fetched.url, fetched
    except OSError as error:
        raise DataError(f"{journal} cannot be read ({error.strerror}); see to its rights") from error


def _outcome(line: str) -> Fetched | None:
    try:
        found: Any = json.loads(line)
        fetched = Fetched(**found)
    except (ValueError, TypeError, RecursionError):
        return None
    text = isinstance(fetched.url, str) and isinstance(fetched.size, int) and isinstance(fetched.final, bool)
    got = is_digest(fetched.digest) and fetched.reason is None
    return fetched if text and (got or (fetched.digest is None and isinstance(fetched.reason, str))) else None


def _end_line(journal: Path) -> None:
    """End a line that was cut off, so that the next one is whole."""
    with journal.open("a+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
