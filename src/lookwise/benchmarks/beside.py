"""Written answers and ranked ones of the same question, set against each other.

In: a task, its samples, prediction rows that carry both (a recipe's `also_rank`).  Out: `Beside` records (beside.json):
the primary metric of either column, paired, how often they agree, and some of the samples where they do not.  It reads
no file and asks no model.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from lookwise.benchmarks.scores import compare_predictions, read_prediction
from lookwise.metrics.statistics import bootstrap_all
from lookwise.rows import Prediction
from lookwise.sample import Sample
from lookwise.task import Rule, Task

__all__ = ["Beside", "Column", "Example", "beside", "beside_record"]

_EXAMPLES = 5
"""Samples that are named of each record; they are drawn by a digest of their ids."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column's score, with its 95 % interval; `failed` answers could not be read, or ranked."""

    value: float
    low: float
    high: float
    failed: int


@dataclass(frozen=True, slots=True)
class Example:
    """A sample on which the columns differ."""

    sample_id: str
    target: str
    reply: str | None
    written: str | None
    ranked: str | None


@dataclass(frozen=True, slots=True)
class Beside:
    """Both columns of one reader under one policy over `n` samples.

    Of these `same` got the same answer (none at all counts as one); `only_written` and `only_ranked` were right in one
    column alone.  `difference` is ranked less written, `p` of the paired test; nan where nothing could be scored.
    `subset`: the part of the split that it is of, None for all.
    """

    benchmark: str
    task: str
    split: str
    subset: str | None
    policy: str
    model: str
    training: str
    tuned_on: str
    metric: str
    n: int
    written: Column
    ranked: Column
    difference: float
    low: float
    high: float
    p: float
    same: int
    both_right: int
    only_written: int
    only_ranked: int
    examples: tuple[Example, ...]


class _Side(NamedTuple):
    split: str
    subset: str | None
    policy: str
    model: str
    training: str
    tuned_on: str


class _Both(NamedTuple):
    """A sample's gold answer, and what was read in either column."""

    row: Prediction
    gold: str
    written: str | None
    ranked: str | None


def beside(
    task: Task,
    samples: Mapping[str, Sample],
    predictions: Sequence[Prediction],
    *,
    rule: Rule = "robust",
    seed: int = 0,
    resamples: int = 1000,
) -> list[Beside]:
    """Return what the two columns of one task's predictions come to, reader by reader and policy by policy.

    Those of whole splits come first, then those of the subsets that their samples are of.
    """
    sides: dict[_Side, list[Prediction]] = {}
    for p in predictions:
        if p.task in (task.name, task.short) and p.is_beside and samples[p.sample_id].target is not None:
            for subset in dict.fromkeys((None, samples[p.sample_id].subset)):
                side = _Side(p.split, subset, p.policy, p.reader or p.model, p.training, p.tuned_on)
                sides.setdefault(side, []).append(p)
    return [_record(task, samples, side, rows, rule, seed, resamples) for side, rows in _whole_first(sides)]


def _whole_first(sides: Mapping[_Side, list[Prediction]]) -> list[tuple[_Side, list[Prediction]]]:
    return sorted(sides.items(), key=lambda item: item[0].subset is not None)


def beside_record(found: Beside) -> dict[str, Any]:
    """Return a record as JSON values: nan is null."""
    return {key: _finite(value) for key, value in asdict(found).items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _record(
    task: Task,
    samples: Mapping[str, Sample],
    side: _Side,
    rows: Sequence[Prediction],
    rule: Rule,
    seed: int,
    resamples: int,
) -> Beside:
    both = [_read(task, samples[row.sample_id], row, rule) for row in rows]
    ranked = [replace(row, reply=None, answer=row.ranked, ranked=None, ranked_reason=None) for row in rows]
    paired = compare_predictions({task.name: task}, samples, ranked, rows, rule=rule, seed=seed, resamples=resamples)
    gold = [one.gold for one in both]
    columns = [
        _column(task, gold, answers, seed, resamples)
        for answers in ([one.written for one in both], [one.ranked for one in both])
    ]
    return Beside(
        benchmark=task.name.split("/")[0],
        task=task.name,
        **side._asdict(),
        metric=task.metrics[0].name,
        n=len(both),
        written=columns[0],
        ranked=columns[1],
        difference=paired.value,
        low=paired.low,
        high=paired.high,
        p=paired.p,
        same=sum(one.written == one.ranked for one in both),
        both_right=sum(one.written == one.ranked == one.gold for one in both),
        only_written=paired.only_b,
        only_ranked=paired.only_a,
        examples=_examples(both),
    )


def _read(task: Task, sample: Sample, row: Prediction, rule: Rule) -> _Both:
    ranked = row.ranked if row.ranked in task.answers(sample) else None
    return _Both(row, str(sample.target), read_prediction(task, sample, row, rule), ranked)


def _column(task: Task, gold: Sequence[str], answers: Sequence[str | None], seed: int, resamples: int) -> Column:
    (found,) = bootstrap_all(gold, answers, [task.metrics[0].score], resamples=resamples, seed=seed)
    return Column(found.value, found.low, found.high, sum(answer is None for answer in answers))


def _examples(both: Sequence[_Both]) -> tuple[Example, ...]:
    differing = [one for one in both if one.written != one.ranked]
    drawn = sorted(differing, key=lambda one: hashlib.sha256(one.row.sample_id.encode()).digest())[:_EXAMPLES]
    return tuple(Example(one.row.sample_id, one.gold, one.row.reply, one.written, one.ranked) for one in drawn)
