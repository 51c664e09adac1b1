"""The step of a run that tunes the assessor: the reader whose answers measure what pictures are worth (SUMEI).

In: samples and the recipe.  Out: an adapter in adapters/assessor where the recipe has the assessor tuned, else nothing.
A large model answers such questions as it is, the published way; a small one answers at chance, and then what a picture
does to its answers is chance too.  It learns from the readers' half of the training samples, each from the text alone
and with every candidate in turn, as it will be asked; a candidate that cannot be opened is left out.  So no sample that
teaches the verifier taught the assessor, and its answers there are as good as on new samples.  It knows no utility and
no policy.
"""

from __future__ import annotations

from collections import Counter

from lookwise.pipeline.context import Context
from lookwise.pipeline.lessons import check_lessons, faults, lessons
from lookwise.pipeline.tuning import assessor_settings, fleet
from lookwise.pipeline.utility_steps import readers_half
from lookwise.sample import Sample
from lookwise.training.launch import tune_in
from lookwise.training.tune import Example
from lookwise.training.utility import reader_examples

__all__ = ["assessor", "taught"]


def taught(context: Context) -> list[Sample]:
    """Return the samples that teach the assessor: none where it is not tuned."""
    return readers_half(context, context.samples(["train"])) if context.recipe.assessor_tuned else []


def assessor(context: Context) -> None:
    """Tune the assessor, if the recipe has it tuned."""
    recipe = context.recipe
    if not recipe.assessor_tuned:
        return
    samples = taught(context)
    told, missing = _lessons(context, samples)
    check_lessons("the assessor", told, samples, {}, "set assessor_tuned: false")
    card = {"recipe": recipe.name, "role": "assessor", "missing_pictures": missing}
    base = context.spec(recipe.assessor or recipe.reader)
    tune_in(fleet(recipe), base, told, [], context.assessor_folder, assessor_settings(recipe), card, context.display)


def _lessons(context: Context, samples: list[Sample]) -> tuple[list[Example], dict[str, int]]:
    """Return every sample from the text alone, then with each of its candidates; and those left out, by reason."""
    found = reader_examples(context.tasks, samples, {}, {})
    missing: Counter[str] = Counter()
    broken = faults(v.media for s in samples for v in s.visuals if v.candidate in s.candidates)
    for candidate in sorted({number for sample in samples for number in sample.candidates}):
        shown = {s.id: [v.media for v in s.view(candidate)] for s in samples if candidate in s.candidates}
        kept, left_out = lessons([s for s in samples if s.id in shown], shown, broken)
        found += reader_examples(context.tasks, kept, {}, shown)
        missing.update(left_out)
    return found, dict(sorted(missing.items()))
