"""Two finished runs on the samples that they share: paired differences, with one correction over all of them.

In: two run folders and the first one's recipe, which says what its tasks are and by which rule answers are read.  Out:
plain records, one per task, split, reader and policy that both runs have; None where nothing could be scored.  A reader
of one run is matched with that of the other by training and tuned_on, so that runs of different models can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lookwise.benchmarks.catalog import BENCHMARKS
from lookwise.benchmarks.scores import compare_predictions
from lookwise.errors import RunError
from lookwise.metrics.statistics import holm
from lookwise.pipeline.data import open_data
from lookwise.recipe import Recipe
from lookwise.rows import Prediction
from lookwise.runs.store import is_complete, read_record, read_rows
from lookwise.sample import Sample
from lookwise.task import Rule, Task

__all__ = ["compare_runs"]

_Key = tuple[str, str, str, str, str, str | None]
"""Task, split, policy, training, what was tuned on, and the subset (None: all samples)."""


def compare_runs(run_a: Path, run_b: Path, recipe: Recipe) -> list[dict[str, Any]]:
    """Return the differences a - b, in the order of run a."""
    samples = {s.id: s for s in _rows(run_a, "samples", Sample)}
    theirs = {s.id: s for s in _rows(run_b, "samples", Sample)}
    _check_shared(run_a, run_b, samples, theirs)
    a, b = _groups(run_a, samples), _groups(run_b, theirs)
    tasks = _tasks(recipe)
    rows = [_difference(key, tasks, samples, a[key], b[key], recipe.rule) for key in a if key in b]
    if not rows:
        raise RunError(f"{run_a} and {run_b} have no task, split, policy and kind of reader in common")
    known = [row["p"] for row in rows if row["p"] is not None]
    corrected = iter(holm(known))
    return [{**row, "p_holm": None if row["p"] is None else next(corrected)} for row in rows]


def _check_shared(run_a: Path, run_b: Path, ours: dict[str, Sample], theirs: dict[str, Sample]) -> None:
    shared = [i for i in ours if i in theirs]
    if not shared:
        raise RunError(f"{run_a} and {run_b} share no sample; compare runs on the same data")
    for i in shared:
        if any(getattr(ours[i], name) != getattr(theirs[i], name) for name in ("fields", "options", "target")):
            raise RunError(f"sample {i!r} differs between {run_a} and {run_b}: they were made on different data")


def _rows(run: Path, stage: str, kind: type[Any]) -> list[Any]:
    folder = run / "rows" / stage
    if not is_complete(folder):
        state = read_record(run).get("state", "no run there")
        raise RunError(f"{run}: no finished {stage} ({state}); give the folder of a finished run")
    return read_rows(folder, kind)


def _groups(run: Path, samples: dict[str, Sample]) -> dict[_Key, list[Prediction]]:
    """Return the predictions to compare together; those of the subsets that a benchmark declares come last, again."""
    whole: dict[_Key, list[Prediction]] = {}
    parts: dict[_Key, list[Prediction]] = {}
    for row in _rows(run, "predictions", Prediction):
        group = (row.task, row.split, row.policy, row.training, row.tuned_on)
        whole.setdefault((*group, None), []).append(row)
        sample = samples.get(row.sample_id)
        benchmark = BENCHMARKS.get(row.task.split("/")[0])
        if sample and sample.subset and benchmark and sample.subset in benchmark.subsets:
            parts.setdefault((*group, sample.subset), []).append(row)
    return whole | parts


def _difference(
    key: _Key,
    tasks: Mapping[str, Task],
    samples: dict[str, Sample],
    a: Iterable[Prediction],
    b: Iterable[Prediction],
    rule: Rule,
) -> dict[str, Any]:
    task, split, policy, training, tuned_on, subset = key
    declared = tasks[task]
    result = compare_predictions(tasks, samples, a, b, rule=rule)
    return {
        "task": task,
        "split": split,
        "subset": subset,
        "policy": policy,
        "reader": f"tuned on {tuned_on}" if tuned_on else training,
        "metric": declared.metrics[0].name,
        "value": _known(result.value),
        "low": _known(result.low),
        "high": _known(result.high),
        "p": _known(result.p),
        "only_a": result.only_a,
        "only_b": result.only_b,
        "n": result.n,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _tasks(recipe: Recipe) -> dict[str, Task]:
    """Return the tasks that a run may have, by full name: a table's own one, or all that are declared."""
    if recipe.source == "table":
        return dict(open_data(recipe, Path(), None).tasks)
    return {task.name: task for benchmark in BENCHMARKS.values() for task in benchmark.tasks}
