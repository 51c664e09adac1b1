"""Rows and samples on disk: a folder of Parquet parts and a manifest that is written last.

In: rows of one class, in order.  Out: `part-00000.parquet` …, each put in place by a rename, then `manifest.json`
with their digests.  A folder without a manifest is not finished, whatever it holds.  Equal rows give equal bytes.
DuckDB and `datasets` read the parts as they are: `load_dataset(folder)`, or `load_dataset("parquet", data_files=…)`
with `*.parquet`, since `data_dir` would take the manifest for a part.  It knows no stage and no model.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lookwise.errors import RunError
from lookwise.runs.files import read_json, read_record, write_bytes_atomic, write_json_atomic
from lookwise.runs.schema import column_of, from_table, schema_of, to_table
from lookwise.sample import FieldValue, Sample, Visual

__all__ = [
    "PART_ROWS",
    "SCHEMA_VERSION",
    "is_complete",
    "read_columns",
    "read_json",
    "read_record",
    "read_rows",
    "write_json_atomic",
    "write_rows",
]

PART_ROWS = 65_536
"""Rows in a part, and held in memory while writing."""
SCHEMA_VERSION = 1
_MANIFEST = "manifest.json"

R = TypeVar("R")


def write_rows(folder: Path, row_type: type[R], rows: Iterable[R], *, part_rows: int = PART_ROWS) -> None:
    """Write rows (or samples) as the folder's only content; earlier parts, finished or not, are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MANIFEST).unlink(missing_ok=True)
    for old in (*folder.glob("part-*.parquet"), *folder.glob(".part-*.tmp")):
        old.unlink()
    stored = _STORED.get(row_type)
    schema = schema_of(stored.row_type if stored else row_type)
    parts: list[dict[str, Any]] = []
    for chunk in _chunks(rows, part_rows):
        name = f"part-{len(parts):05d}.parquet"
        content = _parquet(schema, [stored.pack(row) for row in chunk] if stored else chunk)
        write_bytes_atomic(folder / name, content)
        parts.append({"name": name, "rows": len(chunk), "sha256": hashlib.sha256(content).hexdigest()})
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "row_type": row_type.__name__,
        "rows": sum(part["rows"] for part in parts),
        "columns": {column.name: str(column.type) for column in schema},
        "parts": parts,
    }
    write_json_atomic(folder / _MANIFEST, manifest)


def read_rows(folder: Path, row_type: type[R], of: Collection[str] | None = None) -> list[R]:
    """Return the rows of a finished folder, in the order in which they were written; `of` names the only sample ids."""
    stored = _STORED.get(row_type)
    kind = stored.row_type if stored else row_type
    rows: list[Any] = []
    try:
        for table in _tables(folder, row_type):
            mine = table if of is None else table.filter(pc.is_in(table["sample_id"], pa.array(of, pa.string())))
            rows += from_table(kind, mine)
    except (pa.ArrowException, TypeError, KeyError) as error:
        raise RunError(f"{folder} cannot be read as {row_type.__name__} rows: {error}; {_cure(folder)}") from error
    return [stored.unpack(row) for row in rows] if stored else rows


def read_columns(folder: Path, row_type: type, *names: str) -> list[tuple[Any, ...]]:
    """Return these columns of a finished folder's rows, a tuple for each row: much quicker than whole rows."""
    try:
        return [
            values
            for table in _tables(folder, row_type)
            for values in zip(*(column_of(row_type, table, name) for name in names), strict=True)
        ]
    except (pa.ArrowException, TypeError) as error:
        raise RunError(f"{folder} cannot be read as {row_type.__name__} rows: {error}; {_cure(folder)}") from error


def is_complete(folder: Path) -> bool:
    """Return whether the folder was written to its end."""
    return (folder / _MANIFEST).is_file()


@dataclass(frozen=True, slots=True)
class _FieldRow:
    name: str
    text: str | None
    items: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _SampleRow:
    """A sample in columns: a field's value is a string or a list, which no column can be at once."""

    id: str
    benchmark: str
    task: str
    split: str
    fields: tuple[_FieldRow, ...]
    visuals: tuple[Visual, ...]
    options: tuple[str, ...]
    target: str | None
    subset: str | None
    instruction: str = ""


def _sample_row(s: Sample) -> _SampleRow:
    columns = tuple(_FieldRow(n, v, None) if isinstance(v, str) else _FieldRow(n, None, v) for n, v in s.fields)
    plain = (s.options, s.target, s.subset, s.instruction)
    return _SampleRow(s.id, s.benchmark, s.task, s.split, columns, s.visuals, *plain)


def _sample(row: _SampleRow) -> Sample:
    values: tuple[tuple[str, FieldValue], ...] = tuple(
        (f.name, f.text if f.text is not None else f.items or ()) for f in row.fields
    )
    plain = (row.options, row.target, row.subset, row.instruction)
    return Sample(row.id, row.benchmark, row.task, row.split, values, row.visuals, *plain)


@dataclass(frozen=True, slots=True)
class _Stored:
    """How a class that is no plain row is kept: as which row, and the way there and back."""

    row_type: type
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


_STORED: Mapping[type, _Stored] = {Sample: _Stored(_SampleRow, _sample_row, _sample)}


def _chunks(rows: Iterable[R], size: int) -> Iterable[list[R]]:
    """Yield the rows, `size` at a time; one empty chunk when there are none, so that the columns are on disk."""
    chunk: list[R] = []
    first = True
    for row in rows:
        if len(chunk) == size:
            yield chunk
            chunk, first = [], False
        chunk.append(row)
    if chunk or first:
        yield chunk


def _parquet(schema: pa.Schema, rows: Sequence[object]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(to_table(schema, rows), sink, compression="zstd")
    return sink.getvalue()


def _tables(folder: Path, row_type: type) -> Iterator[pa.Table]:
    """Yield a finished folder's parts, each checked against its digest."""
    manifest = _manifest(folder)
    if manifest["row_type"] != row_type.__name__:
        raise RunError(f"{folder} holds {manifest['row_type']} rows, expected {row_type.__name__}")
    if manifest["schema_version"] > SCHEMA_VERSION:
        raise RunError(f"{folder} was written by a later version of lookwise; update lookwise to read it")
    for part in manifest["parts"]:
        yield _table(folder, part)


def _table(folder: Path, part: Mapping[str, Any]) -> pa.Table:
    path = folder / part["name"]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} is missing ({error.strerror}); {_cure(folder)}") from error
    if hashlib.sha256(content).hexdigest() != part["sha256"]:
        raise RunError(f"{path} is not what was written (its digest differs from the manifest's); {_cure(folder)}")
    return pq.read_table(io.BytesIO(content))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{folder} is not finished: it has no {_MANIFEST}; give the run's command again") from error
    except ValueError as error:
        raise RunError(f"{folder / _MANIFEST} is damaged ({error}); {_cure(folder)}") from error
    if not isinstance(manifest, dict) or not {"row_type", "schema_version", "parts"} <= manifest.keys():
        raise RunError(f"{folder / _MANIFEST} is not a manifest of rows; {_cure(folder)}")
    return manifest


def _cure(folder: Path) -> str:
    return f"delete {folder} and give the run's command again: the replies are still in the store"
