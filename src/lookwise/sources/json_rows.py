"""The objects of a JSON list, or of a file with one object a line, one at a time.

In: a path.  Out: (row number from 1, object) pairs, or a `Rejected` where a row is no object.  Memory holds one row and
one chunk, whatever the file's size; a row longer than `MAX_ROW` characters is not read.  After text that is no JSON, a
file of lines goes on with the next line; in a list nobody can tell where the next row starts, so reading ends there
with a `Rejected` that says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from lookwise.errors import DataError
from lookwise.sources.rejected import Rejected

__all__ = ["MAX_ROW", "json_rows"]

MAX_ROW = 8_000_000
_CHUNK = 65_536

Row = tuple[int, Mapping[str, Any] | Rejected]
"""A byte that is no UTF-8 becomes a lone surrogate in the object's text; the caller refuses that row alone."""


def json_rows(path: Path) -> Iterator[Row]:
    """Yield every row of the file with its number."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:  # bytes that are no UTF-8: see `Row`
            first = _first_character(file)
            if first == "[":
                yield from _listed(file)
            elif first == "{":
                yield from _lines(file)
            else:
                raise DataError(
                    f"{path}: starts with {first!r}; expected a JSON list of rows, or one JSON object a line"
                )
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _first_character(file: TextIO) -> str:
    """Return the first character that is no white space, the file rewound."""
    while (character := file.read(1)) and character.isspace():
        pass
    file.seek(0)
    return character


def _object(row: int, value: Any) -> Mapping[str, Any] | Rejected:
    return value if isinstance(value, dict) else Rejected(row, f"a JSON {type(value).__name__}, expected an object")


def _lines(file: TextIO) -> Iterator[Row]:
    row = 0
    while line := file.readline(MAX_ROW + 1):
        if not line.strip():
            continue
        row += 1
        if len(line) > MAX_ROW and not line.endswith("\n"):
            yield row, Rejected(row, f"longer than {MAX_ROW} characters")
            while (line := file.readline(MAX_ROW)) and not line.endswith("\n"):
                pass
            continue
        try:
            yield row, _object(row, json.loads(line))
        except (ValueError, RecursionError) as error:
            yield row, Rejected(row, f"not JSON: {' '.join(str(error).split())[:100]}")


def _listed(file: TextIO) -> Iterator[Row]:
    """Decode value after value from a growing buffer; a value that fails is tried again with twice as much text."""
    decoder = json.JSONDecoder()
    buffer = file.read(_CHUNK).lstrip("\ufeff \t\r\n")[1:]
    row, end = 0, False
    while True:
        buffer = buffer.lstrip(" \t\r\n")
        if row and buffer.startswith(","):
            buffer = buffer[1:].lstrip(" \t\r\n")
        if buffer.startswith("]"):
            yield from _tail(row + 1, buffer[1:] + file.read(_CHUNK))
            return
        try:
            value, used = decoder.raw_decode(buffer)
            whole = end or used < len(buffer)  # a number at the very end may go on in the next chunk
        except (ValueError, RecursionError) as error:
            value, used, whole, reason = None, 0, False, str(error)
        else:
            reason = "the list has no end"
        if whole and used:
            row += 1
            yield row, _object(row, value)
            buffer = buffer[used:]
        elif end or len(buffer) > MAX_ROW:
            yield row + 1, Rejected(row + 1, _unread(reason, len(buffer)))
            return
        else:
            more = file.read(max(_CHUNK, len(buffer)))
            end = not more
            buffer += more


def _unread(reason: str, length: int) -> str:
    if length > MAX_ROW:
        return f"not JSON, or longer than {MAX_ROW} characters; the rest of the file was not read"
    cause = " ".join(reason.split())[:80] if length else "the list has no end"
    return f"not JSON ({cause}); the rest of the file was not read"


def _tail(row: int, rest: str) -> Iterator[Row]:
    if rest.strip():
        yield row, Rejected(row, "text after the end of the list")
