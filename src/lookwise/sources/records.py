"""Rows of a CSV, JSONL or Parquet file, one at a time, however long the file is.

In: a path and, for Parquet, the columns that matter.  Out: (row number from 1, record) pairs, where a record is a
mapping from column to value, or a `Rejected` when the row is malformed.  A file that is no such table at all is a
`DataError`.  It knows nothing about samples; table.py makes them.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from lookwise.errors import DataError
from lookwise.sources.rejected import Rejected

__all__ = ["Record", "column_names", "read_records", "texts_of"]

Record = Mapping[str, Any]

_KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_PEEK = 1000
"""JSONL has no header: its columns are the keys of this many first lines."""
_MAX_LINE = 64 * 1024 * 1024
"""Characters of a line, at most: a longer one is no row, and is never held as a whole."""
_MAX_HEADER = 1_000_000
_ENDS = ("\n", "\r")


def column_names(path: Path) -> tuple[str, ...]:
    """Return a table's columns in order."""
    kind = _kind(path)
    if kind == ".parquet":
        return _parquet_columns(path)
    if kind in (".csv", ".tsv"):
        return _csv_header(path)[0]
    records = (record for _, record in islice(_jsonl(path), _PEEK) if not isinstance(record, Rejected))
    names = tuple(dict.fromkeys(name for record in records for name in record))
    if not names:
        raise DataError(f"{path.name}: no JSON object in its first {_PEEK} lines; expected one object on each line")
    return names


def read_records(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Record | Rejected]]:
    """Yield every row of a table with its number; `columns` are those that the caller will look at."""
    kind = _kind(path)
    if kind == ".parquet":
        return _parquet(path, columns)
    return _csv(path) if kind in (".csv", ".tsv") else _jsonl(path)


def texts_of(value: Any) -> str | tuple[str, ...]:
    """Return a cell as text: nothing is "", a list is a tuple of texts, a whole number has no decimals."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | tuple):
        return tuple(text if isinstance(text := texts_of(item), str) else " ".join(text) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).strip()


def _kind(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"table {str(path)!r}: no such file; expected a {', '.join(_KINDS)} file")
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise DataError(f"table {path.name!r}: unknown kind {path.suffix!r}; expected one of {', '.join(_KINDS)}")
    return kind


def _csv_header(path: Path) -> tuple[tuple[str, ...], str]:
    """Return a CSV's columns and the delimiter: the most frequent of comma, semicolon and tab in its first line."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline(_MAX_HEADER)
    delimiter = max(",;\t", key=first.count)
    try:
        names = tuple(name.strip() for name in next(csv.reader([first], delimiter=delimiter), []))
    except csv.Error as error:
        raise DataError(f"{path.name}: its first line is no CSV header ({error})") from error
    if not any(names) or "\0" in first or len(first) == _MAX_HEADER:
        raise DataError(f"{path.name}: its first line is no CSV header; expected the names of the columns")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path.name}: column {twice[0]!r} stands twice in the header; give each its own name")
    return names, delimiter


def _csv(path: Path) -> Iterator[tuple[int, Record | Rejected]]:
    names, delimiter = _csv_header(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(_CsvLines(file), delimiter=delimiter)
        next(reader)
        number = 0
        while True:
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                yield number, Rejected(number, f"not CSV: {error} (an unclosed quote?)")
                continue
            if values:  # an empty line is no row
                number += 1
                yield number, _csv_record(number, names, values)


def _lines(file: TextIO) -> Iterator[str | None]:
    """Yield a file's lines, None for one that is too long."""
    while line := file.readline(_MAX_LINE + 1):
        if len(line) <= _MAX_LINE or line.endswith(_ENDS):
            yield line
        else:
            while (line := file.readline(_MAX_LINE)) and not line.endswith(_ENDS):
                pass
            yield None


def _too_long() -> str:
    return f"longer than {_MAX_LINE:,} characters"


class _CsvLines:
    """A file's lines for a CSV reader, which goes on after the error that one too long is."""

    def __init__(self, file: TextIO) -> None:
        self._lines = _lines(file)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if line is None:
            raise csv.Error(_too_long())
        return line


def _csv_record(number: int, names: tuple[str, ...], values: list[str]) -> Record | Rejected:
    if len(values) != len(names):
        return Rejected(number, f"{len(values)} values where the header has {len(names)} columns")
    if any(not value.isascii() and _undecoded(value) for value in values):
        return Rejected(number, "not UTF-8 text")
    return dict(zip(names, values, strict=True))


def _undecoded(text: str) -> bool:
    """Return whether bytes that are no UTF-8 stand in the text (as lone surrogates, where the file was read)."""
    return any("\udc80" <= character <= "\udcff" for character in text)


def _jsonl(path: Path) -> Iterator[tuple[int, Record | Rejected]]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        number = 0
        for line in _lines(file):
            if line is None or line.strip():
                number += 1
                yield number, Rejected(number, _too_long()) if line is None else _json_record(number, line)


def _json_record(number: int, line: str) -> Record | Rejected:
    if not line.isascii() and _undecoded(line):
        return Rejected(number, "not UTF-8 text")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Rejected(number, f"not JSON: {' '.join(str(error).split())[:100]}")
    if not isinstance(record, dict):
        return Rejected(number, f"a JSON {type(record).__name__} where an object is expected")
    return record


def _parquet_columns(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name}: not a readable Parquet file ({' '.join(str(error).split())[:120]})") from error


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Record | Rejected]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256, columns=list(columns)):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path.name}: unreadable after row {number} ({reason}); write the file again") from error
