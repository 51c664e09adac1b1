"""What a run would do, before it does it: `lookwise run RECIPE --dry-run`.

In: a recipe.  Out: lines that name the steps, models, samples and requests.  The shop's samples are drawn in memory
without their pictures; other data is read.  Requests are counted as the loop would merge them; those that depend on
replies (how many judges a caption needs) are given as a range.  No model loads, nothing is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lookwise.benchmarks.rendering import caption_conversation
from lookwise.pipeline.context import TUNING_SPLITS
from lookwise.pipeline.data import Data, open_data
from lookwise.pipeline.flow import check_names
from lookwise.recipe import Recipe
from lookwise.sample import Sample
from lookwise.stages.evidence import parse_policy

__all__ = ["plan"]


def plan(recipe: Recipe, folder: Path, prompts: Path | None) -> list[str]:
    """Return the lines of a dry run; unknown models, policies and tasks are refused as in a real one."""
    check_names(recipe)
    data = open_data(recipe, folder, prompts)
    policies = [parse_policy(name, recipe.judges) for name in recipe.policies]
    tuned = [p for p in policies if p.name in recipe.tune_on and recipe.readers != "zero-shot"]
    samples = list(_samples(data))
    counts = Counter((s.task, s.split) for s in samples)
    captioned = {s for p in tuned if p.form == "captions" for s in TUNING_SPLITS} | {
        s for p in policies if p.form == "captions" for s in recipe.test_splits
    }
    captions = _captions(data, [s for s in samples if s.split in captioned])
    tested = sum(n for (_, split), n in counts.items() if split in recipe.test_splits)
    readers = len(tuned) + (recipe.readers != "tuned")
    lines = [f"recipe {recipe.name}: {recipe.title}", f"folder {folder}, data {data.kind} ({data.path})"]
    lines += [f"samples      {task.split('/')[-1]} {split}: {n}" for (task, split), n in counts.items()]
    lines.append(
        f"captions     {recipe.captioner}: {captions} requests after merging, {recipe.caption_tokens} tokens each"
    )
    least, most = captions * (len(recipe.judges) // 2 + 1), captions * len(recipe.judges)
    lines.append(f"ballots      {', '.join(recipe.judges.values()) or 'nobody'}: {least} to {most} requests")
    train = sum(n for (_, split), n in counts.items() if split == "train")
    steps = int(-(-train // recipe.batch) * recipe.epochs)
    lines += [
        f"adapter      {recipe.reader} tuned on {p.name}: about {steps} steps of {recipe.batch} rows" for p in tuned
    ]
    lines.append(f"predictions  {readers} readers x {len(policies)} policies x {tested} samples: ")
    lines[-1] += f"at most {readers * len(policies) * tested} requests before merging"
    return lines


def _samples(data: Data) -> Iterator[Sample]:
    if data.kind != "bazaar":
        yield from (row for row in data.read() if isinstance(row, Sample))
        return
    from lookwise.bazaar.layouts import LAYOUTS

    layout = LAYOUTS[data.recipe.benchmark]
    for split in layout.splits:
        count = data.recipe.samples[split]
        if count:
            tasks = [task.short for task in data.tasks.values()]
            made = (m.sample for m in layout.make(data.recipe.seed, split, count, tasks, data.most))
            yield from (row for row in data.capped(made) if isinstance(row, Sample))


def _captions(data: Data, samples: list[Sample]) -> int:
    use = "caption" if data.recipe.caption_context else "caption_plain"
    return len(
        {
            caption_conversation(data.tasks[s.task], s, visual, use)  # type: ignore[arg-type]
            for s in samples
            for visual in s.visuals
        }
    )
