"""Steps of a run that train its own models: `scratch:` captioners before captions, judges and readers after them.

In: the grocery folder's training photos, later their captions.  Out: plain transformers checkpoints under models/ in
the run's folder, and caption_accuracy.json: how often captions name the right kind and product, by split.  Sizes and
lengths of training stand in the literal tables here.  A model killed in training goes on from its checkpoint.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lookwise.errors import DataError, ModelError, nearest
from lookwise.pipeline.context import SCRATCH, TUNING_SPLITS, Context, scratch_models
from lookwise.recipe import Recipe
from lookwise.rows import Caption
from lookwise.runs.store import write_json_atomic
from lookwise.sources.grocery import Photo, Shop, caption_of, named_kind, open_shop

if TYPE_CHECKING:
    from lookwise.training.fresh import CaptionerShape
    from lookwise.training.together import Job

__all__ = ["captioners", "check_scratch", "text_models"]

CAPTIONER = "captioner"


@dataclass(frozen=True, slots=True)
class _Text:
    """A text model's shape and schooling: `draws` samples of each task and photo, of a `part` of the photos."""

    width: int
    layers: int
    heads: int
    epochs: float
    draws: int
    part: float = 1.0


JUDGES: Mapping[str, _Text] = MappingProxyType(
    {
        "judge-a": _Text(64, 2, 4, 3.0, 4, 0.7),
        "judge-b": _Text(96, 2, 4, 2.0, 4, 0.7),
        "judge-c": _Text(48, 3, 4, 3.0, 4, 0.7),
    }
)
READERS: Mapping[str, _Text] = MappingProxyType({"reader": _Text(96, 3, 4, 3.0, 3)})


def check_scratch(recipe: Recipe) -> None:
    """Raise ModelError for a scratch model that this project cannot train, or has nothing to train on."""
    wanted = [(recipe.captioner, {CAPTIONER}), (recipe.reader, set(READERS))]
    wanted += [(spec, set(JUDGES)) for spec in recipe.judges.values()]
    for spec, known in wanted:
        scheme, _, name = spec.partition(":")
        if scheme != SCRATCH:
            continue
        if name not in known:
            raise ModelError(f"model {spec!r}: no such model from scratch here; {nearest(name, known)}")
        if recipe.source != "grocery":
            raise ModelError(f"model {spec!r}: models from scratch need `source: grocery`, found {recipe.source!r}")
    if recipe.caption_folds and not recipe.captioner.startswith(f"{SCRATCH}:"):
        raise ModelError(f"caption_folds needs captioner: {SCRATCH}:{CAPTIONER}, found {recipe.captioner!r}")


def captioners(context: Context) -> None:
    """Train the captioner on all training photos, and one for each fold on those of the other folds."""
    names = scratch_models(context.recipe)["captioners"]
    if not names:
        return
    from lookwise.training.grocery import readable
    from lookwise.training.together import train_together

    shop = open_shop(context.data.path)
    photos = readable(shop, shop.of("train"))
    if not photos:
        raise DataError(f"{shop.folder}: no training photo that can be opened, so no captioner can be trained")
    folds = shop.folds(context.recipe.caption_folds) if context.recipe.caption_folds else {}
    jobs = []
    for name in names:
        fold = int(name.rpartition("-")[2]) if "-fold-" in name else 0
        jobs.append(_captioner(context, shop, name, [p for p in photos if not fold or folds[p.image] != fold]))
    train_together(jobs, "captioners", context.display)


def _captioner(context: Context, shop: Shop, name: str, photos: list[Photo]) -> Job:
    from lookwise.training.fresh import fresh_captioner
    from lookwise.training.grocery import caption_lessons, readable, seen
    from lookwise.training.together import Job
    from lookwise.training.tower import alter_photo

    recipe = context.recipe
    use = "caption" if recipe.caption_context else "caption_plain"
    lessons = caption_lessons(context.tasks, shop, photos, use, str(recipe.seed))  # type: ignore[arg-type]
    shape = _shape().scaled(recipe.effort)
    train = partial(
        fresh_captioner,
        context.model_folder(name),
        lessons,
        seen(shop, photos),
        shape,
        recipe.seed,
        checked=seen(shop, readable(shop, shop.of("val"))),
        augment=alter_photo,
        card={"recipe": recipe.name, "photos": len(photos)},
    )
    return Job(name, train, shape.tower_epochs + shape.steps(len(lessons)))


def _shape() -> CaptionerShape:
    """Return the captioner's sizes; a pass over 2,640 photos costs about 10 (tower) to 7 seconds of one core."""
    from lookwise.training.fresh import CaptionerShape
    from lookwise.training.scratch import ConvEyes

    eyes = ConvEyes()
    return CaptionerShape(eyes, tower_epochs=50, epochs=6.0, batch=32, tower_rate=1.5e-3, learning_rate=2e-3)


def text_models(context: Context) -> None:
    """Train judges and reader on training photos and their captions; measure the captions."""
    names = scratch_models(context.recipe)["text_models"]
    if not names:
        return
    from lookwise.training.together import train_together

    shop = open_shop(context.data.path)
    captions = _captions(context)
    write_json_atomic(context.folder / "caption_accuracy.json", _accuracy(context, shop))
    jobs = [_text_model(context, shop, name, place, captions) for place, name in enumerate(names)]
    train_together(sorted(jobs, key=lambda job: -job.steps), "judges and reader", context.display)


def _captions(context: Context) -> dict[str, str]:
    """Return the captions of tuning photos by the photo's place."""
    sources = {s.id: s.visuals[0].media.source for s in context.samples(TUNING_SPLITS)}
    rows = context.read("captions", Caption)
    return {sources[row.sample_id]: row.text for row in rows if row.sample_id in sources and row.text is not None}


def _text_model(context: Context, shop: Shop, name: str, place: int, captions: Mapping[str, str]) -> Job:
    from lookwise.training.fresh import ReaderShape, fresh_reader
    from lookwise.training.grocery import answer_lessons, ballot_lessons
    from lookwise.training.together import Job

    recipe = context.recipe
    plan = {**JUDGES, **READERS}[name]
    lessons = ballot_lessons if name in JUDGES else answer_lessons
    seed = f"{recipe.seed}/{name}"
    photos = shop.of("train")
    chosen = random.Random(seed).sample(photos, max(1, round(plan.part * len(photos))))
    shape = ReaderShape(plan.width, plan.layers, plan.heads, plan.epochs).scaled(recipe.effort)
    taught = lessons(context.tasks, shop, chosen, captions, seed, plan.draws)
    if not taught:
        raise DataError(_untaught(context, name))
    train = partial(
        fresh_reader,
        context.model_folder(name),
        taught,
        lessons(context.tasks, shop, shop.of("val"), captions, seed, 1),
        shape,
        recipe.seed + 1 + place,
        card={"recipe": recipe.name, "photos": len(chosen)},
    )
    return Job(name, train, shape.steps(len(taught)))


def _untaught(context: Context, name: str) -> str:
    """Say why a judge, who learns from captions, has nothing to learn from, and what to do."""
    tuning = {s.id for s in context.samples(TUNING_SPLITS)}
    reasons = Counter(r.reason for r in context.read("captions", Caption) if r.sample_id in tuning and r.text is None)
    said = f"of {reasons.total()} captions of tuning photos none can be voted on"
    most = f" (mostly: {reasons.most_common(1)[0][0]})" if reasons else ""
    voted = ", ".join(p for p in context.recipe.policies if "vote" in p or "judge/" in p) or "none"
    return (
        f"{SCRATCH}:{name} has nothing to learn from: {said}{most}; raise effort (it is {context.recipe.effort:g}) "
        f"until the captioner writes, or leave judges out and the policies that ask them ({voted})"
    )


def _accuracy(context: Context, shop: Shop) -> dict[str, dict[str, Any]]:
    """Return by split how often a photo's caption names the right kind, and all of it right; failures are wrong."""
    products = {shop.media(p).source: p.product for split in ("train", "val", "test") for p in shop.of(split)}
    texts = {row.sample_id: row.text for row in context.read("captions", Caption)}
    said: dict[str, dict[str, str | None]] = {}
    for sample in context.samples():
        if sample.id in texts:
            said.setdefault(sample.split, {})[sample.visuals[0].media.source] = texts[sample.id]
    return {
        split: {
            "photos": len(found),
            "failed": sum(text is None for text in found.values()),
            "kind_right": _share([named_kind(t or "") == products[k].kind.lower() for k, t in found.items()]),
            "all_right": _share([_same(t or "", caption_of(products[k])) for k, t in found.items()]),
        }
        for split, found in said.items()
    }


def _same(text: str, wanted: str) -> bool:
    """Compare without spaces, which a tokenizer's decoder sets as it likes."""
    return "".join(text.lower().split()) == "".join(wanted.split())


def _share(hits: list[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0
