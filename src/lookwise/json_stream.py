"""The values of a JSON list, or of a file with one value a line, one at a time.

In: a path.  Out: (number from 1, value) pairs, or an `Unread` with its reason in place of a value.  Memory holds one
value and one chunk, whatever the file's size; a value longer than `MAX_VALUE` characters is not read.  After text that
is no JSON, a file of lines goes on with the next line; in a list nobody can tell where the next value starts, so
reading ends there with an `Unread` that says so.  It knows nothing of what the values mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from lookwise.errors import DataError

__all__ = ["LINES", "MAX_VALUE", "Unread", "json_values"]

MAX_VALUE = 8_000_000
LINES = (".jsonl", ".ndjson")
"""Endings of files that hold one value a line, of whatever kind."""
_CHUNK = 65_536
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Unread:
    """Why there is no value, in one line; `last`: nothing behind it was read, or it is no value's place."""

    reason: str
    last: bool = False


def json_values(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield every value of the file with its number.

    A byte that is no UTF-8 becomes a lone surrogate in its text; the caller refuses that value alone.  A file that is
    neither a list, nor of one object a line, nor named as one of `LINES`, is a DataError.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            first = _first_character(file)
            if first == "[":
                yield from _listed(file)
            elif first == "{" or (first and path.suffix.lower() in LINES):
                yield from _lines(file)
            else:
                raise DataError(
                    f"{path}: starts with {first!r}; expected a JSON list of rows, or one JSON object a line"
                )
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file that exists") from error


def _first_character(file: TextIO) -> str:
    """Return the first character that is no white space, the file rewound."""
    while (character := file.read(1)) and character.isspace():
        pass
    file.seek(0)
    return character


def _lines(file: TextIO) -> Iterator[tuple[int, Any]]:
    number = 0
    while line := file.readline(MAX_VALUE + 1):
        if not line.strip():
            continue
        number += 1
        if len(line) > MAX_VALUE and not line.endswith("\n"):
            yield number, Unread(f"longer than {MAX_VALUE} characters")
            while (line := file.readline(MAX_VALUE)) and not line.endswith("\n"):
                pass
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, Unread(f"not JSON: {' '.join(str(error).split())[:100]}")


def _listed(file: TextIO) -> Iterator[tuple[int, Any]]:
    """Decode value after value from a growing buffer; a value that fails is tried again with twice as much text."""
    decoder = json.JSONDecoder()
    buffer, at = file.read(_CHUNK).lstrip("\ufeff \t\r\n"), 1
    number, end = 0, False
    while True:
        at = _behind_space(buffer, at)
        if number and buffer.startswith(",", at):
            at = _behind_space(buffer, at + 1)
        if buffer.startswith("]", at):
            yield from _tail(number + 1, buffer[at + 1 :] + file.read(_CHUNK))
            return
        try:
            value, stop = decoder.raw_decode(buffer, at)
            whole = end or stop < len(buffer)  # a number at the very end may go on in the next chunk
        except (ValueError, RecursionError) as error:
            value, stop, whole, reason = None, at, False, str(error)
        else:
            reason = "the list has no end"
        left = len(buffer) - at
        if whole:
            number += 1
            yield number, value
            at = stop
        elif end or left > MAX_VALUE:
            yield number + 1, Unread(_unread(reason, left), last=True)
            return
        else:
            more = file.read(max(_CHUNK, left))
            end = not more
            buffer, at = buffer[at:] + more, 0


def _behind_space(buffer: str, at: int) -> int:
    match = _SPACE.match(buffer, at)
    return match.end() if match else at


def _unread(reason: str, length: int) -> str:
    if length > MAX_VALUE:
        return f"not JSON, or longer than {MAX_VALUE} characters; the rest of the file was not read"
    cause = " ".join(reason.split())[:80] if length else "the list has no end"
    return f"not JSON ({cause}); the rest of the file was not read"


def _tail(number: int, rest: str) -> Iterator[tuple[int, Any]]:
    if rest.strip():
        yield number, Unread("text after the end of the list", last=True)
