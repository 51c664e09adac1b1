"""The step of a run that tunes the assessor: the reader whose answers measure what pictures are worth (SUMEI).

In: samples and the recipe.  Out: an adapter in adapters/assessor where the recipe has the assessor tuned, else nothing.
A large model answers such questions as it is, the published way; a small one answers at chance, and then what a picture
does to its answers is chance too.  It learns from the readers' half of the training samples, each from the text alone
and with every candidate in turn, as it will be asked.  So no sample that teaches the verifier taught the assessor, and
its answers there are as good as on new samples.  It knows no utility and no policy.
"""

from __future__ import annotations

from lookwise.pipeline.context import Context
from lookwise.pipeline.tuning import assessor_settings, fleet
from lookwise.pipeline.utility_steps import readers_half
from lookwise.sample import Sample
from lookwise.training.launch import tune_in
from lookwise.training.tune import Example
from lookwise.training.utility import reader_examples

__all__ = ["assessor"]


def assessor(context: Context) -> None:
    """Tune the assessor, if the recipe has it tuned."""
    recipe = context.recipe
    if not recipe.assessor_tuned:
        return
    lessons = _lessons(context, readers_half(context, context.samples(["train"])))
    card = {"recipe": recipe.name, "role": "assessor"}
    base = context.spec(recipe.assessor or recipe.reader)
    tune_in(fleet(recipe), base, lessons, [], context.assessor_folder, assessor_settings(recipe), card, context.display)


def _lessons(context: Context, samples: list[Sample]) -> list[Example]:
    """Return every sample from the text alone, then every sample with each of its candidates."""
    found = reader_examples(context.tasks, samples, {}, {})
    for candidate in sorted({number for sample in samples for number in sample.candidates}):
        shown = {s.id: [v.media for v in s.view(candidate)] for s in samples if candidate in s.candidates}
        found += reader_examples(context.tasks, [s for s in samples if s.id in shown], {}, shown)
    return found
