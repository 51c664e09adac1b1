"""The last step of a run: scores.json, gains.json and beside.json, from prediction rows alone.

In: samples, predictions, the exact readers' predictions where there are any.  Out: one record per metric of every task,
split, subset, reader and policy, with intervals, the majority baseline among them; what each policy gains over text
alone and over other ways to choose, of whole splits and of the subsets that the benchmark declares; and both columns
where options were ranked beside written answers.  Bytes depend on rows and seed only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from lookwise.benchmarks.beside import beside, beside_record
from lookwise.benchmarks.capability import ALL_TASKS, capability_scores
from lookwise.benchmarks.catalog import BENCHMARKS
from lookwise.benchmarks.gains import Gain, gain_record, gains, pooled_gains
from lookwise.benchmarks.scores import Score, blank_score, record, score_predictions
from lookwise.pipeline.context import Context
from lookwise.rows import Prediction
from lookwise.runs.store import write_json_atomic
from lookwise.sample import Sample
from lookwise.task import Task

__all__ = ["data_digest", "scores"]


def data_digest(context: Context) -> str:
    """Return the digest of the run's samples, 16 hex digits: equal data, equal digest, wherever it lies.

    Pictures count by their files' names; their bytes are in the reply keys.
    """
    whole = hashlib.sha256()
    for s in context.read("samples", Sample):  # as given: addresses, whether they were fetched or not
        pictures = [(v.slot, v.candidate, PurePath(v.media.source).name) for v in s.visuals]
        whole.update(json.dumps([s.id, s.split, s.subset, s.fields, s.options, s.target, pictures]).encode())
    return whole.hexdigest()[:16]


def scores(context: Context) -> None:
    """Score every reader under every policy."""
    recipe = context.recipe
    samples = {s.id: s for s in context.samples(("train", *recipe.test_splits))}
    rows = context.read("predictions", Prediction) + context.read("ceilings", Prediction)
    by_task = {name: [row for row in rows if row.task == name] for name in context.tasks}
    digest = data_digest(context)
    records = [
        record(score)
        for task in context.tasks.values()
        for score in score_predictions(
            task,
            samples,
            by_task[task.name],
            rule=recipe.rule,
            seed=recipe.seed,
            resamples=recipe.resamples,
            captioner=recipe.captioner,
            judges=tuple(recipe.judges),
            data_digest=digest,
            with_published=recipe.published_data,
        )
    ]
    records += [record(score) for score in _capabilities(context, samples, rows, digest)]
    paired = [gain_record(gain) for gain in _gains(context, samples, by_task)]
    columns = [
        beside_record(found)
        for task in context.tasks.values()
        for found in beside(
            task, samples, by_task[task.name], rule=recipe.rule, seed=recipe.seed, resamples=recipe.resamples
        )
    ]
    # A NaN that slipped through would make a file that is no JSON.
    json.dumps([records, paired, columns], allow_nan=False)
    write_json_atomic(context.folder / "gains.json", paired)
    if recipe.also_rank:
        write_json_atomic(context.folder / "beside.json", columns)
    write_json_atomic(context.folder / "scores.json", records)


def _gains(
    context: Context, samples: Mapping[str, Sample], by_task: Mapping[str, Sequence[Prediction]]
) -> Iterator[Gain]:
    """Yield what looking gains in each task, and in all of them pooled."""
    recipe, tasks = context.recipe, tuple(context.tasks.values())
    for task in tasks:
        yield from gains(
            task,
            samples,
            by_task[task.name],
            rule=recipe.rule,
            seed=recipe.seed,
            resamples=recipe.resamples,
            subsets=_subsets(task),
        )
    yield from pooled_gains(
        tasks,
        samples,
        [row for task in tasks for row in by_task[task.name]],
        rule=recipe.rule,
        seed=recipe.seed,
        resamples=recipe.resamples,
        subsets=_subsets(tasks[0]),
    )


def _subsets(task: Task) -> tuple[str, ...]:
    """Return the parts of a split that a task's benchmark gives a table of their own."""
    name = task.name.split("/")[0]
    return BENCHMARKS[name].subsets if name in BENCHMARKS else ()


def _capabilities(
    context: Context, samples: Mapping[str, Sample], rows: Sequence[Prediction], digest: str
) -> list[Score]:
    """Return what the tasks of each capability come to together, where the benchmark declares any."""
    recipe, tasks = context.recipe, tuple(context.tasks.values())
    name = tasks[0].name.split("/")[0]
    declared = BENCHMARKS[name].capabilities if name in BENCHMARKS else {}
    if not declared:
        return []
    every = {ALL_TASKS: tuple(task.short for task in tasks)} if len(tasks) > 1 else {}
    blank = blank_score(
        name,
        captioner=recipe.captioner,
        judges=tuple(recipe.judges),
        seed=recipe.seed,
        rule=recipe.rule,
        data_digest=digest,
    )
    return capability_scores(tasks, samples, rows, {**every, **declared}, blank, resamples=recipe.resamples)
