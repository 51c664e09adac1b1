"""What the bundled judges learn from: caption-quality questions of unseen shops, each with what its picture is worth.

In: a seed, a split, how many samples.  Out: `Lesson`s: the tiny prompt filled with a sample and a caption, and whether
the truth calls that picture helpful to the naive reader.  Captions are reference captions of what the photo shows, led
by the task's context as the captioner leads them, with a small rate of a captioner's errors; what the truth says is not
changed by them.  It knows no model and no pixels.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache

from lookwise.bazaar import words
from lookwise.bazaar.cases import TASKS, Split
from lookwise.bazaar.ceiling import Ceiling, decide
from lookwise.bazaar.samples import Made, make_split, split_world
from lookwise.bazaar.world import OUT_OF_DOMAIN, View, World, in_domain
from lookwise.benchmarks.mmecinstruct import MMECINSTRUCT
from lookwise.benchmarks.rendering import caption_conversation, quality_conversation
from lookwise.benchmarks.wording import reworded
from lookwise.sample import Visual
from lookwise.task import Benchmark

__all__ = ["Lesson", "draw_lessons", "misread"]

_SEVERAL = "sequential_recommendation"
_PICTURES = 24
"""About how many pictures a sample of `_SEVERAL` has: that task gets so many times fewer samples."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A task's short name, the text that a judge reads, and whether the picture is helpful."""

    task: str
    text: str
    helpful: bool
    held_out: bool


@cache
def _benchmark() -> Benchmark:
    return reworded(MMECINSTRUCT, "tiny")


@cache
def _all_categories() -> World:
    return replace(in_domain(), categories=(*in_domain().categories, *OUT_OF_DOMAIN))


def draw_lessons(
    seed: int, split: Split, samples: int, errors: float, tasks: Collection[str] = TASKS
) -> Iterator[Lesson]:
    """Yield one lesson per picture of `samples` samples of each task (fewer where samples have many pictures)."""
    ceiling = Ceiling(split_world(split))
    single = [task for task in tasks if task != _SEVERAL]
    rng = random.Random(f"{seed}/{split}/captions")
    for made in make_split(seed, split, samples, single):
        yield from _lessons(made, ceiling, errors, rng)
    if _SEVERAL in tasks:
        for made in make_split(seed, split, -(-samples // _PICTURES), [_SEVERAL]):
            yield from _lessons(made, ceiling, errors, rng)


def _lessons(made: Made, ceiling: Ceiling, errors: float, rng: random.Random) -> Iterator[Lesson]:
    text_right = decide(ceiling.posterior(made.drawn.case)) == made.drawn.target
    for i, visual in enumerate(made.sample.visuals):
        helpful = not text_right and _right_with(made, ceiling, i)
        view = misread(made.drawn.listings[i].photo.view, errors, rng)
        yield Lesson(made.drawn.case.task, _question(made, visual, view), helpful, made.sample.subset is not None)


def _right_with(made: Made, ceiling: Ceiling, index: int) -> bool:
    """Return whether the naive reader is right when it sees this picture alone."""
    views = [listing.photo.view if i == index else None for i, listing in enumerate(made.drawn.listings)]
    return decide(ceiling.naive(made.drawn.case, views)) == made.drawn.target


def misread(view: View, errors: float, rng: random.Random) -> View:
    """Return the view with each attribute that it shows exchanged for another value at the given rate."""
    wrong: dict[str, str | int] = {}
    for name in ("category", "colour", "pattern", "count", "mark", "damage"):
        seen = view.get(name)
        if seen is not None and rng.random() < errors:
            wrong[name] = rng.choice([v for v in _all_categories().values(name) if v != seen])
    return replace(view, **wrong)  # type: ignore[arg-type]


def _question(made: Made, visual: Visual, view: View) -> str:
    task = _benchmark().task(made.sample.task)
    context = caption_conversation(task, made.sample, visual, "caption")[0].text
    caption = words.caption(view, words.lead(context))
    return quality_conversation(task, made.sample, visual.slot, caption)[0].text
