"""The step that leaves what the published programs leave: SUMEI's downstream data and results, below sumei/.

In: samples, evidence and predictions of the run's policy of predicted pictures (the published selector where the recipe
has it).  Out: data/downstream/{train,val,test}.json, results/{task}.json in the order of the test data, manifest.json
last.  Nothing is written for other benchmarks, or where no policy goes by a verifier's word.
"""

from __future__ import annotations

from collections.abc import Iterator

from lookwise.benchmarks.ecommmmu import ECOMMMMU
from lookwise.benchmarks.rendering import answer_conversation
from lookwise.pipeline.context import TUNING_SPLITS, Context
from lookwise.pipeline.reader_steps import evidence_by_policy
from lookwise.pipeline.utility_steps import readers_half
from lookwise.rows import Evidence, Prediction
from lookwise.runs.files import write_json_atomic
from lookwise.sample import Sample
from lookwise.sources.sumei import Exchange, write_exchanges, write_results
from lookwise.stages.evidence import shown_visuals

__all__ = ["exports"]

_PUBLISHED = "visuals:predicted"


def exports(context: Context) -> None:
    """Write the files of the published shape."""
    names = sorted(p for p in context.recipe.policies if p.startswith(_PUBLISHED))
    files: dict[str, int] = {}
    if names and all(task.name.startswith(f"{ECOMMMMU.name}/") for task in context.tasks.values()):
        files = _downstream(context, names[0]) | _results(context, names[0])
    write_json_atomic(
        context.folder / "sumei" / "manifest.json", {"policy": names[0] if names else None, "rows": files}
    )


def _downstream(context: Context, policy: str) -> dict[str, int]:
    tuned = any(p.name == policy for p in context.tuning_policies)
    parts = {split: readers_half(context, context.samples([split])) for split in TUNING_SPLITS} if tuned else {}
    parts["test"] = context.samples(context.recipe.test_splits)
    shown = evidence_by_policy(context).get(policy, [])
    rows = {}
    for split, samples in parts.items():
        name = f"data/downstream/{split}.json"
        told = _exchanges(context, shown, samples, split == "test")
        rows[name] = write_exchanges(
            context.folder / "sumei" / name, told, context.data.root, context.published_places()
        )
    return rows


def _exchanges(context: Context, shown: list[Evidence], samples: list[Sample], test: bool) -> Iterator[Exchange]:
    """Yield a sample as it is asked; of a test, as published, with its task in place of its answer."""
    pictures = shown_visuals(shown, samples)
    for sample in samples:
        talk = answer_conversation(context.tasks[sample.task], sample, {}, pictures.get(sample.id, ()))
        yield Exchange(talk, None, sample.task) if test else Exchange(talk, sample.target)


def _results(context: Context, policy: str) -> dict[str, int]:
    """Write the answers of the reader tuned on this very policy, where there is one, else of the untuned one."""
    mine = [row for row in context.read("predictions", Prediction) if row.policy == policy]
    tuned = {row.sample_id: row.answer for row in mine if row.tuned_on == policy}
    answers = tuned or {row.sample_id: row.answer for row in mine if not row.tuned_on}
    rows = {}
    for task in context.tasks.values():
        asked = [s.id for s in context.samples(context.recipe.test_splits) if s.task == task.name]
        path = write_results(context.folder / "sumei" / "results", task.name, [answers.get(i) for i in asked])
        rows[f"results/{path.name}"] = len(asked)
    return rows
