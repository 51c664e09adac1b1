"""The last step of a run: scores.json, from prediction rows alone.

In: samples, predictions, the exact readers' predictions where there are any.  Out: one record per metric of every task,
split, subset, reader and policy, with intervals; the majority baseline among them.  Bytes depend on rows and seed only.
"""

from __future__ import annotations

import json

from lookwise.benchmarks.scores import record, score_predictions
from lookwise.pipeline.context import Context
from lookwise.rows import Prediction
from lookwise.runs.store import read_json, write_json_atomic

__all__ = ["data_digest", "scores"]


def data_digest(context: Context) -> str:
    """Return the digest of the run's samples: equal data, equal digest."""
    manifest = read_json(context.rows_folder("samples") / "manifest.json")
    return "-".join(part["sha256"][:16] for part in manifest["parts"])


def scores(context: Context) -> None:
    """Score every reader under every policy."""
    recipe = context.recipe
    samples = {s.id: s for s in context.samples(("train", *recipe.test_splits))}
    rows = context.read("predictions", Prediction) + context.read("ceilings", Prediction)
    records = [
        record(score)
        for task in context.tasks.values()
        for score in score_predictions(
            task,
            samples,
            [row for row in rows if row.task == task.name],
            rule=recipe.rule,
            seed=recipe.seed,
            resamples=recipe.resamples,
            captioner=recipe.captioner,
            judges=tuple(recipe.judges),
            data_digest=data_digest(context),
            with_published=recipe.published_data,
        )
    ]
    json.dumps(records, allow_nan=False)  # a NaN that slipped through would make a file that is no JSON
    write_json_atomic(context.folder / "scores.json", records)
