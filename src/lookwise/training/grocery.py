"""What models learn from the training photos of the grocery folder: captions, answers, ballots.

In: the opened shop, the tasks in their wording, and captions by photo (for training photos from models that never saw
them).  Out: `Example`s and `Seen` pictures.  A judge's lesson is "yes" exactly when the caption names the right kind
and the sample's own text does not; lessons are thinned until half of each task's are "yes", so that a judge votes for
what helps more likely than usual.  Nothing of test photos comes in here.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from lookwise.benchmarks.rendering import answer_conversation, caption_conversation, quality_conversation
from lookwise.media import check_image
from lookwise.sample import Sample
from lookwise.sources.grocery import Photo, Shop, caption_of, named_kind, samples_of
from lookwise.task import PromptUse, Task
from lookwise.training.examples import Example
from lookwise.training.tower import Seen

__all__ = ["answer_lessons", "ballot_lessons", "caption_lessons", "readable", "seen"]

SLOT = "product"
SHOWN = 0.5
"""Share of the reader's lessons that show the caption, so that it can answer with and without."""
_UNTOLD = ("hidden", "pictured")


def readable(shop: Shop, photos: Iterable[Photo]) -> list[Photo]:
    """Return the photos that can be opened."""
    return [p for p in photos if check_image(shop.media(p).source) is None]


def seen(shop: Shop, photos: Sequence[Photo]) -> list[Seen]:
    """Return the photos with their product and kind as class numbers."""
    return [Seen(shop.media(p), (p.product.number, p.product.kind_number)) for p in photos]


def caption_lessons(
    tasks: Mapping[str, Task], shop: Shop, photos: Sequence[Photo], use: PromptUse, seed: str
) -> list[Example]:
    """Return what the captioner should say of each photo, asked as the recipe's tasks will ask."""
    found: list[Example] = []
    for photo in photos:
        talks = {
            caption_conversation(tasks[s.task], s, visual, use)
            for s in samples_of(shop, photo, [t.short for t in tasks.values()], seed)
            for visual in s.visuals
        }
        ordered = sorted(talks, key=lambda talk: talk[0].text)
        found += [Example(talk, caption_of(photo.product), "caption") for talk in ordered]
    return found


def _drawn(
    tasks: Mapping[str, Task], shop: Shop, photos: Sequence[Photo], seed: str, draws: int
) -> Iterable[tuple[Photo, Sample]]:
    shorts = [t.short for t in tasks.values()]
    for draw in range(draws):
        for photo in photos:
            for sample in samples_of(shop, photo, shorts, f"{seed}/{draw}"):
                yield photo, sample


def answer_lessons(
    tasks: Mapping[str, Task],
    shop: Shop,
    photos: Sequence[Photo],
    captions: Mapping[str, str],
    seed: str,
    draws: int,
) -> list[Example]:
    """Return questions with answers, `draws` samples of each task and photo, half of them with the caption shown."""
    found: list[Example] = []
    for photo, sample in _drawn(tasks, shop, photos, seed, draws):
        task = tasks[sample.task]
        caption = captions.get(shop.media(photo).source)
        show = random.Random(f"{seed}/shown/{sample.id}/{len(found)}").random() < SHOWN
        talk = answer_conversation(task, sample, {SLOT: caption} if caption and show else {})
        found.append(Example(talk, sample.target or "", sample.task, task.answers(sample)))
    return found


def ballot_lessons(
    tasks: Mapping[str, Task],
    shop: Shop,
    photos: Sequence[Photo],
    captions: Mapping[str, str],
    seed: str,
    draws: int,
) -> list[Example]:
    """Return captions with the right vote on each, as many "yes" as "no" of each task."""
    found: list[Example] = []
    for photo, sample in _drawn(tasks, shop, photos, seed, draws):
        caption = captions.get(shop.media(photo).source)
        if caption is not None:
            helps = named_kind(caption) == photo.product.kind.lower() and sample.subset in _UNTOLD
            talk = quality_conversation(tasks[sample.task], sample, SLOT, caption)
            found.append(Example(talk, "yes" if helps else "no", sample.task, ("yes", "no")))
    return _balanced(found, seed)


def _balanced(lessons: Sequence[Example], seed: str) -> list[Example]:
    """Return as many lessons of each answer as the rarer one has, by task; all of them where one answer is missing."""
    places: dict[str, dict[str, list[int]]] = {}
    for i, lesson in enumerate(lessons):
        places.setdefault(lesson.task, {}).setdefault(lesson.answer, []).append(i)
    kept: list[int] = []
    for task, groups in places.items():
        rng, count = random.Random(f"{seed}/balance/{task}"), min(map(len, groups.values()))
        kept += [i for answer in sorted(groups) for i in rng.sample(groups[answer], count)]
    return [lessons[i] for i in sorted(kept)]
