"""Predictions of other programs, and their gold, as they lie in files.

In: paths.  Out: replies and gold rows in order.  A file that is not what it should be is a `DataError` that says what
was expected; one bad row of gold is no such file: it keeps its place, and says what it lacks.  Of a dataset file, which
may be large, one row is held at a time, and of every row its gold.  It knows neither parsers nor metrics.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lookwise.errors import DataError, nearest
from lookwise.json_stream import LINES, Unread, json_values

__all__ = ["Gold", "GoldRow", "VideoRow", "read_gold", "read_records", "read_replies", "read_videos"]

_SPLITS = {"ood": ("ood", "test_ood", "ood_test", "test-ood", "ood-test"), "val": ("val", "valid", "validation", "dev")}


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A gold output, and the options that were open where the dataset gives them.

    `mark` is the row's is_vc as written.  `fault` says why there is no gold; what was predicted for it is left out.
    """

    output: str
    options: tuple[str, ...] = ()
    mark: str | float | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Gold:
    """The gold rows of one task and split in the order of the file, those at fault in their places.

    `unplaced` counts, by reason, rows of the file of which nobody can tell whose they are.
    """

    rows: tuple[GoldRow, ...]
    unplaced: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class VideoRow:
    """A row of MMLA's results: data set, prediction, label, as written."""

    dataset: str
    reply: str
    label: str


def read_replies(file: Path) -> list[str]:
    """Return the replies of a JSON list; null is an empty reply."""
    values = _json_list(file)
    for place, value in enumerate(values):
        if isinstance(value, dict | list):
            raise DataError(f"{file}: entry {place} is a {type(value).__name__}; expected a JSON list of reply strings")
    return ["" if value is None else str(value) for value in values]


def read_records(file: Path) -> list[dict[str, Any]]:
    """Return the records of a JSON list (MMIE's judge output)."""
    values = _json_list(file)
    for place, value in enumerate(values):
        if not isinstance(value, dict) or "id" not in value:
            raise DataError(
                f"{file}: entry {place} is no record with an id; expected a list of {{id, gpt_feedback, ...}}"
            )
    return values


def read_gold(file: Path, is_task: Callable[[str], bool], split: str) -> Gold:
    """Return gold rows: a JSON list of outputs, or the rows of one task and split of a dataset file."""
    listed = _listed_gold(file, *_state(file))
    if not listed.placed:
        rows = listed.plain
    else:
        mine = [(place, row) for (task, place), row in listed.placed if is_task(task)]
        if not mine:
            tasks = _names(task for (task, _), _ in listed.placed)
            raise DataError(f"{file}: no rows of that task; it has {tasks}{_counted(listed.unplaced)}")
        wanted = _SPLITS.get(split, (split,))
        rows = tuple(row for place, row in mine if place in wanted)
        if not rows:
            names = _names(place for place, _ in mine)
            raise DataError(f"{file}: no rows of split {split!r}; name one with --split: {names}")
    faults = Counter(row.fault for row in rows if row.fault is not None)
    if faults.total() == len(rows) and (rows or listed.unplaced):
        raise DataError(f"{file}: no row with a gold output{_counted(faults + listed.unplaced)}")
    return Gold(rows, listed.unplaced)


@dataclass(frozen=True)
class _Listed:
    """A file's gold: of a dataset's rows with (task, split), or of a plain list of outputs."""

    placed: tuple[tuple[tuple[str, str], GoldRow], ...]
    plain: tuple[GoldRow, ...]
    unplaced: Counter[str]


@lru_cache(maxsize=2)
def _listed_gold(file: Path, changed: int, size: int) -> _Listed:
    """Read once for a whole folder of predictions: the dataset file is large.  `changed` and `size` are its state."""
    placed: list[tuple[tuple[str, str], GoldRow]] = []
    plain: list[GoldRow] = []
    unplaced: Counter[str] = Counter()
    for _, value in json_values(file):
        if isinstance(value, Unread) and value.last:
            unplaced[value.reason] += 1
        elif not isinstance(value, dict):
            plain.append(GoldRow("", fault=value.reason) if isinstance(value, Unread) else _plain(value))
        elif isinstance(task := value.get("task"), str) and isinstance(split := value.get("split"), str):
            placed.append(((sys.intern(task), sys.intern(split)), _record(value)))
        else:
            unplaced["a record without task and split"] += 1
    if placed:
        unplaced.update(row.fault or "no record with task, split and output" for row in plain)
    return _Listed(tuple(placed), tuple(plain), unplaced)


def _record(value: Mapping[str, Any]) -> GoldRow:
    row = _plain(value.get("output"))
    try:
        options = _options(value.get("options"))
    except ValueError as error:
        return GoldRow("", fault=row.fault or f"options are not JSON ({' '.join(str(error).split())[:60]})")
    mark = value.get("is_vc")
    return GoldRow(row.output, options, mark if isinstance(mark, str | float | int) else None, row.fault)


def _plain(value: Any) -> GoldRow:
    if value is None or (isinstance(value, str) and not value.strip()):
        return GoldRow("", fault="no output")
    if isinstance(value, dict | list):
        return GoldRow("", fault=f"output is a JSON {type(value).__name__}, expected a text")
    return GoldRow(sys.intern(str(value)))


def _names(names: Iterable[str]) -> str:
    """Return the different names; what a terminal could not print is escaped."""
    known = ", ".join(sorted(set(names)))
    return known[:500].encode("utf-8", "backslashreplace").decode() or "none"


def _counted(reasons: Counter[str]) -> str:
    """Return the end of a message: how many rows there are of which nothing could be made, and the commonest why."""
    if not reasons:
        return ""
    return f" ({reasons.total()} rows cannot be used: {reasons.most_common(1)[0][0]})"


def _options(value: Any) -> tuple[str, ...]:
    """Return a dataset row's options: a list, or a JSON string of one; nothing where there are none."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    return tuple(str(option) for option in value) if isinstance(value, list) else ()


def read_videos(file: Path) -> list[VideoRow]:
    """Return the rows of MMLA's results: CSV (or TSV) with the columns Video, Task, Pred, Label."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t" if file.suffix == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as CSV ({error})") from error
    if not rows:
        raise DataError(f"{file}: no rows; expected the columns Video, Task, Pred, Label")
    for column in ("Task", "Pred", "Label"):
        if column not in rows[0]:
            raise DataError(f"{file}: no column {column!r}; {nearest(column, [str(name) for name in rows[0]])}")
    return [VideoRow(str(r["Task"] or ""), str(r["Pred"] or ""), str(r["Label"] or "")) for r in rows]


def _state(file: Path) -> tuple[int, int]:
    try:
        state = file.stat()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); give a file that exists") from error
    return state.st_mtime_ns, state.st_size


def _json_list(file: Path) -> list[Any]:
    """Return a whole list of replies or records: no more than those of one task."""
    _state(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
        lined = file.suffix.lower() in LINES
        values = [json.loads(line) for line in text.split("\n") if line.strip()] if lined else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON ({error}); expected a JSON list") from error
    if not isinstance(values, list):
        raise DataError(f"{file}: a {type(values).__name__}; expected a JSON list")
    return values
