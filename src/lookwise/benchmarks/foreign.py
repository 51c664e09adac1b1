"""Predictions of other programs, and their gold, as they lie in files.

In: paths.  Out: replies and gold rows in order.  A file that is not what it should be is a `DataError` that says what
was expected.  It knows neither parsers nor metrics.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lookwise.errors import DataError, nearest

__all__ = ["GoldRow", "VideoRow", "read_gold", "read_records", "read_replies", "read_videos"]

_SPLITS = {"ood": ("ood", "test_ood", "ood_test", "test-ood", "ood-test"), "val": ("val", "valid", "validation", "dev")}


@dataclass(frozen=True, slots=True)
class GoldRow:
    """A gold output, and the options that were open where the dataset gives them."""

    output: str
    options: tuple[str, ...] = ()


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


def read_gold(file: Path, is_task: Callable[[str], bool], split: str) -> list[GoldRow]:
    """Return gold rows: a JSON list of outputs, or the rows of one task and split of a dataset file."""
    values = _json_list(file)
    if not any(isinstance(value, dict) for value in values):
        return [GoldRow(str(value)) for value in values]
    rows = [_record(file, place, value) for place, value in enumerate(values)]
    mine = [row for row in rows if is_task(str(row.get("task", "")))]
    if not mine:
        raise DataError(f"{file}: no rows of that task; it has {_names(rows, 'task')}")
    wanted = _SPLITS.get(split, (split,))
    gold = [GoldRow(str(r["output"]), _options(file, r.get("options"))) for r in mine if r.get("split") in wanted]
    if not gold:
        raise DataError(f"{file}: no rows of split {split!r}; name one with --split: {_names(mine, 'split')}")
    return gold


def _record(file: Path, place: int, value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or "output" not in value:
        raise DataError(f"{file}: entry {place} has no output; expected a list of outputs, or the dataset's records")
    return value


def _names(rows: Sequence[dict[str, Any]], key: str) -> str:
    return ", ".join(sorted({str(row.get(key)) for row in rows}))


def _options(file: Path, value: Any) -> tuple[str, ...]:
    """Return a dataset row's options: a list, or a JSON string of one; nothing where there are none."""
    if isinstance(value, str):
        if not value.strip():
            return ()
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise DataError(f"{file}: options {value[:40]!r} are not JSON ({error.msg})") from error
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


def _json_list(file: Path) -> list[Any]:
    try:
        state = file.stat()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); give a file that exists") from error
    return _loaded(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _loaded(file: Path, changed: int, size: int) -> list[Any]:
    """Read once for a whole folder of predictions: the dataset file is large.  `changed` and `size` are its state."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        values = (
            [json.loads(line) for line in text.splitlines() if line.strip()] if _is_lines(file) else json.loads(text)
        )
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{file}: not JSON ({error}); expected a JSON list") from error
    if not isinstance(values, list):
        raise DataError(f"{file}: a {type(values).__name__}; expected a JSON list")
    return values


def _is_lines(file: Path) -> bool:
    return file.suffix in (".jsonl", ".ndjson")
