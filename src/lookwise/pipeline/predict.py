"""Answers for rows without gold, by the reader and policy of a finished run.

In: a run's folder, a table with the columns of the run's own (or a dataset in the published layout that the run's has).
Out: one record per row, in the order of the table, a reason where there is no answer; rows that are no samples too.
The work lies in a folder of its own inside the run, so that an interrupted prediction goes on.  Where the policy goes
by a verifier's word, the run's verifier is asked about the new pictures, and the run's threshold holds.  New pictures
by web address are fetched as the run's were, save that no pack can hold them.  Everything is asked in the run's own
words; where they are not to be had, it is refused (wording.py).

Of the run's readers that one answers which was tuned on the policy itself, else one tuned on its like (the same form
and selector, another pick), else the untuned one.  Every record says which.
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
from lookwise.stages.evidence import Policy

__all__ = ["predict"]


@dataclass(frozen=True)
class _Chosen:
    """A policy, its readers with the specs that open them, how near it they were tuned, and how accurate they are.

    `near`: `_OWN`, `_LIKE`, `_UNTUNED` or 0; `accuracy` is on validation samples, as the readers' cards state it.
    """

    policy: str
    readers: tuple[tuple[Reader, str], ...]
    near: int
    accuracy: float


_OWN, _LIKE, _UNTUNED = 3, 2, 1
_AS_IT_IS = "zero-shot"
"""What `tuned_on` is called where nothing was, as in recipes."""


def predict(
    run: Path,
    recipe: Recipe,
    table: Path,
    policy: str | None,
    display: Display | None,
    prompts: Path | None = None,
    tuned_on: str | None = None,
) -> list[dict[str, Any]]:
    """Return the answers; `policy` None takes the one whose tuned reader was most accurate on validation data.

    `tuned_on` names the policy that the answering reader was tuned on, or "zero-shot" for the untuned one; None takes
    the nearest that there is.  RunError where there is no such reader, and where a policy has none.
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
        predictions, evidence = _answer(run, recipe, record, data, samples, table, (policy, tuned_on), display)
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
    wanted: tuple[str | None, str | None],
    display: Display | None,
) -> tuple[dict[str, Prediction], list[Evidence]]:
    with ReplyStore(run / "replies.sqlite") as replies:
        base = Context(recipe, run, data, replies, Ledger(), None)
        chosen = _choose(base, *wanted)
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


def _choose(context: Context, policy: str | None, tuned_on: str | None = None) -> _Chosen:
    """Return the policy asked for, or the one that did best on validation data, with the reader that answers."""
    options: dict[str, list[tuple[Reader, str]]] = {}
    for reader, spec in readers(context):
        options.setdefault(reader.tuned_on or _AS_IT_IS, []).append((reader, spec))
    if tuned_on is not None and tuned_on not in options:
        raise RunError(f"{context.folder} has no reader tuned on {tuned_on!r}; {nearest(tuned_on, options)}")
    fit = [p for p in context.policies if p.selector not in _UNFIT]
    found = {p.name: best for p in fit if (best := _reader_for(context, p, options, tuned_on)) is not None}
    if policy is not None and policy not in found:
        raise RunError(f"{context.folder} has no reader for policy {policy!r}; {nearest(policy, found)}")
    if not found:
        raise RunError(f"{context.folder}: no reader that could answer without the truth")
    chosen = found[policy] if policy is not None else max(found.values(), key=lambda c: (c.accuracy, c.near))
    if policy is None and not chosen.near:
        raise RunError(
            f"{context.folder}: no policy that new rows can be answered under is like {tuned_on!r}; name one with "
            "--policy"
        )
    return chosen


def _reader_for(
    context: Context, policy: Policy, options: Mapping[str, list[tuple[Reader, str]]], tuned_on: str | None
) -> _Chosen | None:
    """Return the reader that is to answer under a policy: the one named, or the nearest; None where there is none."""
    like = {p.name for p in context.tuning_policies if (p.form, p.selector) == (policy.form, policy.selector)}
    near = dict.fromkeys(like, _LIKE) | {_AS_IT_IS: _UNTUNED, policy.name: _OWN}
    found = [
        _Chosen(policy.name, tuple(mine), near.get(name, 0), _accuracy(mine))
        for name, mine in options.items()
        if (name in near if tuned_on is None else name == tuned_on)
    ]
    return max(found, key=lambda c: (c.near, c.accuracy), default=None)


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
        return {**said, "tuned_on": None, "reason": row.reason, "shown": None}
    found = predictions[row.id]
    return {
        "sample_id": row.id,
        "row": None,
        "task": row.task,
        "answer": found.answer,
        "policy": found.policy,
        "tuned_on": found.tuned_on or _AS_IT_IS,
        "reason": found.reason,
        "shown": shown.get(row.id, ""),
    }
