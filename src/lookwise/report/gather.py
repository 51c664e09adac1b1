"""A run folder read for a report: its tables, its calls, and what the run says of itself.

In: a folder that a run has filled, at least up to scores.json.  Out: a frozen `Run`.  Rows that a run does not have
(a policy `none` alone makes no captions) are simply none.  It draws nothing and opens no picture.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lookwise.errors import RunError
from lookwise.fetching import Fetched, Shelf
from lookwise.report.beside import BesideLine, beside_lines
from lookwise.report.gains import GainTable, gain_tables
from lookwise.report.policies import PolicyTable, policy_tables
from lookwise.report.tables import CallLine, Reader, ScoreTable, call_lines, score_tables
from lookwise.report.verifier import VerifierReport, verifier_report
from lookwise.rows import Evidence, Prediction
from lookwise.runs.store import is_complete, read_columns, read_rows
from lookwise.sample import Sample
from lookwise.stages.fetch import with_files

__all__ = [
    "READER_COLUMNS",
    "Run",
    "columns_of",
    "gather",
    "policies_of",
    "reader_of",
    "rows_of",
    "samples_of",
    "verifier_of",
]

READER_COLUMNS = ("reader", "training", "tuned_on", "policy")
"""The columns of a prediction that say who made it, in the order of a `Reader`."""

R = TypeVar("R")


@dataclass(frozen=True)
class Run:
    """What the tables and the page's head need.  `record` is run.json, `scores` are the records of scores.json."""

    folder: Path
    record: Mapping[str, Any]
    recipe: str
    scores: Sequence[Mapping[str, Any]]
    tables: tuple[ScoreTable, ...]
    calls: tuple[CallLine, ...]
    gains: tuple[GainTable, ...] = ()
    beside: tuple[BesideLine, ...] = ()


def gather(folder: Path) -> Run:
    """Read a run folder; RunError when it is none, or has no scores yet."""
    if not (folder / "run.json").is_file():
        raise RunError(f"{folder}: not a run folder (it has no run.json); expected one that `lookwise run` has filled")
    record = _json(folder / "run.json", dict)
    if not (folder / "scores.json").is_file():
        state = record.get("state", "unknown")
        raise RunError(f"{folder}: no scores yet (state: {state}); run the same command again, it goes on")
    scores = _json(folder / "scores.json", list)
    calls = call_lines(_json(folder / "calls.json", dict) if (folder / "calls.json").is_file() else {})
    recipe, gains, columns = folder / "recipe.yaml", folder / "gains.json", folder / "beside.json"
    return Run(
        folder=folder,
        record=record,
        recipe=recipe.read_text(encoding="utf-8") if recipe.is_file() else "",
        scores=scores,
        tables=score_tables(scores, _shares(folder), calls),
        calls=calls,
        gains=gain_tables(_json(gains, list) if gains.is_file() else []),
        beside=beside_lines(_json(columns, list) if columns.is_file() else []),
    )


def policies_of(folder: Path) -> tuple[PolicyTable, ...]:
    """Return the tables that set policies side by side; none for a run without them."""
    place = folder / "policies.json"
    return policy_tables(_json(place, list)) if place.is_file() else ()


def verifier_of(folder: Path) -> VerifierReport | None:
    """Return how good a run's verifier is; None for a run without one."""
    place = folder / "gates.json"
    return verifier_report(_json(place, dict)) if place.is_file() else None


def rows_of(folder: Path, stage: str, kind: type[R], of: Collection[str] | None = None) -> list[R]:
    """Return a stage's rows, or those of some samples; none where the run has not finished such a stage."""
    place = folder / "rows" / stage
    return read_rows(place, kind, of) if is_complete(place) else []


def columns_of(folder: Path, stage: str, kind: type, *names: str) -> list[tuple[Any, ...]]:
    """Return these columns of a stage's rows; none where the run has not finished such a stage."""
    place = folder / "rows" / stage
    return read_columns(place, kind, *names) if is_complete(place) else []


def samples_of(folder: Path) -> list[Sample]:
    """Return a run's samples, with files where web addresses were fetched."""
    samples, fetched = rows_of(folder, "samples", Sample), rows_of(folder, "pictures", Fetched)
    if not fetched:
        return samples
    place = folder / str(_json(folder / "pictures.json", dict).get("shelf", "fetched"))
    return with_files(samples, {row.url: row for row in fetched}, Shelf(place.resolve()))


def reader_of(row: Prediction) -> Reader:
    """Return who made a prediction, as score records name it."""
    return Reader(row.reader, row.training, row.tuned_on, row.policy)


def _json(path: Path, kind: type[Any]) -> Any:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: not readable JSON ({error}); run the same command again") from error
    if not isinstance(value, kind):
        raise RunError(f"{path}: expected a JSON {kind.__name__}, found a {type(value).__name__}")
    return value


def _shares(folder: Path) -> dict[tuple[str, str], float]:
    """Return the share of slots of which something is shown, by (split, policy), over the samples answered."""
    split = dict(columns_of(folder, "predictions", Prediction, "sample_id", "split"))
    all_slots: Counter[tuple[str, str]] = Counter()
    shown: Counter[tuple[str, str]] = Counter()
    for sample, policy, kind in columns_of(folder, "evidence", Evidence, "sample_id", "policy", "kind"):
        if sample in split:
            key = (split[sample], policy)
            all_slots[key] += 1
            shown[key] += kind != "none"
    return {key: shown[key] / count for key, count in all_slots.items()}
