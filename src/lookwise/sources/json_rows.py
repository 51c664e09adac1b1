"""The objects of a JSON list, or of a file with one object a line, one at a time.

In: a path.  Out: (row number from 1, object) pairs, or a `Rejected` where a row is no object, or could not be read
(json_stream.py says when).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lookwise.json_stream import Unread, json_values
from lookwise.sources.rejected import Rejected

__all__ = ["json_rows"]

Row = tuple[int, Mapping[str, Any] | Rejected]
"""A byte that is no UTF-8 becomes a lone surrogate in the object's text; the caller refuses that row alone."""


def json_rows(path: Path) -> Iterator[Row]:
    """Yield every row of the file with its number."""
    for row, value in json_values(path):
        if isinstance(value, dict):
            yield row, value
        elif isinstance(value, Unread):
            yield row, Rejected(row, value.reason)
        else:
            yield row, Rejected(row, f"a JSON {type(value).__name__}, expected an object")
