"""Answers for rows without gold, by the reader and policy of a finished run.

In: a run's folder, a table with the columns of the run's own (or a dataset in the published layout that the run's has).
Out: one record per row, in the order of the table, a reason where there is no answer; rows that are no samples too.
The work lies in a folder of its own inside the run, so that an interrupted prediction goes on.  Where the policy goes
by a verifier's word, the run's verifier is asked about the new pictures, and the run's threshold holds.  New pictures
by web address are fetched as the run's were, save that no pack can hold them.  Everything is asked in the run's own
words; where they are not to be had, it is refused (wording.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookwise.errors import DataError, RunError, nearest
from lookwise.inference import Display
from lookwise.pipeline import fetch_steps, picture_steps, utility_steps
from lookwise.pipeline.context import Context
from lookwise.pipeline.data import Data
from lookwise.pipeline.reader_steps import ask_readers, readers
from lookwise.pipeline.spending import opened_budget
from lookwise.pipeline.wording import check_wording, open_as_asked, uses_of
from lookwise.recipe import Recipe
from lookwise.rows import Evidence, Prediction, Utility
from lookwise.runs.ledger import Ledger
from lookwise.runs.lock import RunLock
from lookwise.runs.replies import ReplyStore
from lookwise.runs.store import is_complete, read_json, read_record
from lookwise.sample import Sample
from lookwise.sources import ecommmmu, mmecinstruct
from lookwise.sources.rejected import Rejected
from lookwise.sources.table import read_table
from lookwise.stages.answer import Reader

__all__ = ["predict"]


@dataclass(frozen=True)
class _Chosen:
    """A policy, its readers with the specs that open them, and the best validation accuracy it reached."""

    policy: str
    readers: tuple[tuple[Reader, str], ...]
    accuracy: float


def predict(
    run: Path, recipe: Recipe, table: Path, policy: str | None, display: Display | None, prompts: Path | None = None
) -> list[dict[str, Any]]:
    """Return the answers; `policy` None takes the one whose tuned reader was most accurate on validation data.

    `prompts` is the folder of prompt files that the run was given, where run.json does not say it or it has moved.
    """
    record = read_record(run)
    if record.get("state") != "done":
        state = record.get("state", "no run.json")
        raise RunError(f"{run}: not a finished run ({state}); run its recipe to the end first")
    data = open_as_asked(run, recipe, record, prompts)
    rows = list(_rows(data, table))
    samples = [row for row in rows if isinstance(row, Sample)]
    if not samples:
        why = f"; the first row: {rows[0].reason}" if rows and isinstance(rows[0], Rejected) else ""
        raise DataError(f"{table}: no row that this run can answer{why}")
    with RunLock(run):
        predictions, evidence = _answer(run, recipe, record, data, samples, table, policy, display)
    shown = _shown(evidence)
    return [_record(row, predictions, shown) for row in rows]


def _rows(data: Data, table: Path) -> Iterator[Sample | Rejected]:
    """Yield the table's rows, without gold and all of one split, so that nothing downstream can look at either."""
    if not table.is_file():
        raise DataError(f"no table {table}; give CSV, JSONL or Parquet (or a file in the run's published layout)")
    tasks = [task.short for task in data.tasks.values()]
    if data.own is not None:
        found = read_table(table, replace(data.own, table=table, gold=None, split=None))
    elif all(name.startswith(f"{ecommmmu.BENCHMARK}/") for name in data.tasks):
        found = ecommmmu.read(table, tasks=tasks, fewest=1, fresh=True)
    else:
        found = mmecinstruct.read(table, tasks=tasks)
    for row in found:
        yield replace(row, target=None, split="test") if isinstance(row, Sample) else row


def _answer(
    run: Path,
    recipe: Recipe,
    record: Mapping[str, Any],
    data: Data,
    samples: list[Sample],
    table: Path,
    policy: str | None,
    display: Display | None,
) -> tuple[dict[str, Prediction], list[Evidence]]:
    with ReplyStore(run / "replies.sqlite") as replies:
        base = Context(recipe, run, data, replies, Ledger(), None)
        chosen = _choose(base, policy)
        check_wording(run, data, record, uses_of(recipe, chosen.policy))
        name = _work_name(table, chosen.policy)
        folder = run / "predict" / name
        folder.mkdir(parents=True, exist_ok=True)
        asked = replace(recipe, policies=(chosen.policy,), tune_on=(), readers="zero-shot", test_splits=("test",))
        asked = replace(asked, pack="", freeze="")
        ledger = Ledger(folder / "calls.json", f"predict-{name}")
        budget = opened_budget(recipe, replies, ledger.run)
        context = Context(asked, folder, data, replies, ledger, display, budget, home=run)
        context.write("samples", Sample, samples)
        for stage in ("utilities", "measured"):
            context.write(stage, Utility, [])
        _show(context, utility_steps.threshold(base))
        answers = ask_readers(context, context.samples(), chosen.readers)
        return {row.sample_id: row for row in answers}, context.read("evidence", Evidence)


def _work_name(table: Path, policy: str) -> str:
    """Return a name that another table, or another policy, does not have."""
    with table.open("rb") as file:
        whole = hashlib.file_digest(file, "sha256")
    whole.update(policy.encode())
    return whole.hexdigest()[:12]


def _show(context: Context, threshold: float) -> None:
    """Carry out the steps from the pictures to what is shown of them, those that are not finished yet."""
    steps: Mapping[str, Callable[[], None]] = {
        "pictures": lambda: fetch_steps.pictures(context),
        "captions": lambda: picture_steps.captions(context),
        "ballots": lambda: picture_steps.ballots(context),
        "predicted": lambda: utility_steps.predicted(context),
        "evidence": lambda: picture_steps.evidence(context, threshold),
    }
    for stage, step in steps.items():
        if not is_complete(context.rows_folder(stage)):
            step()


_UNFIT = ("random", "oracle")
"""Selectors that new rows cannot be answered under: they need the truth, or other samples."""


def _choose(context: Context, policy: str | None) -> _Chosen:
    """Return the policy asked for, or the one that did best on validation data.

    A reader that was not tuned answers under every policy of the run for which none was tuned.
    """
    options: dict[str, list[tuple[Reader, str]]] = {}
    for reader, spec in readers(context):
        options.setdefault(reader.tuned_on, []).append((reader, spec))
    found = {p.name: options.get(p.name) or options.get("", []) for p in context.policies if p.selector not in _UNFIT}
    usable = [name for name, mine in found.items() if mine]
    if policy is not None and policy not in usable:
        raise RunError(f"{context.folder} has no reader for policy {policy!r}; {nearest(policy, usable)}")
    names = [policy] if policy is not None else usable
    if not names:
        raise RunError(f"{context.folder}: no reader that could answer without the truth")
    ranked = [_Chosen(name, tuple(found[name]), _accuracy(found[name])) for name in names]
    return max(ranked, key=lambda c: c.accuracy)


def _accuracy(found: list[tuple[Reader, str]]) -> float:
    """Return the mean validation accuracy that the readers' cards state; 0 where there is none."""
    values = []
    for _, spec in found:
        card = Path(spec.partition("+")[2]) / "card.json"
        best = read_json(card).get("best") if card.is_file() else None
        tasks = (best or {}).get("tasks", {})
        values += list(tasks.values())
    return sum(values) / len(values) if values else 0.0


def _shown(evidence: Sequence[Evidence]) -> dict[str, str]:
    """Return, by sample id, what the answer was given of its pictures: "product 1[3]" is candidate 3 of product 1."""
    found: dict[str, list[str]] = {}
    for row in evidence:
        if row.kind != "none":
            found.setdefault(row.sample_id, []).append(f"{row.slot}[{row.candidate or 0}]")
    return {sample: "; ".join(places) for sample, places in found.items()}


def _record(row: Sample | Rejected, predictions: Mapping[str, Prediction], shown: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(row, Rejected):
        said: dict[str, Any] = {"sample_id": None, "row": row.row, "task": None, "answer": None, "policy": None}
        return {**said, "reason": row.reason, "shown": None}
    found = predictions[row.id]
    return {
        "sample_id": row.id,
        "row": None,
        "task": row.task,
        "answer": found.answer,
        "policy": found.policy,
        "reason": found.reason,
        "shown": shown.get(row.id, ""),
    }
