"""What the bundled captioner learns from: photos that nobody else sees, contexts that know nothing of them.

In: a seed, how many.  Out: photos as bytes in the captioner's resolution with what each shows, and contexts (a filled
tiny caption prompt, or the plain one).  A context speaks of products drawn independently of the photo, so that copying
the text never pays.  It knows no model.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookwise.bazaar import words
from lookwise.bazaar.cases import ASKABLE, TASKS
from lookwise.bazaar.draw import draw
from lookwise.bazaar.world import KINDS, OUT_OF_DOMAIN, VISIBLE, View, World, department, draw_product, in_domain, see
from lookwise.prompt import Prompt
from lookwise.runs.company import end_with_parent

__all__ = ["CLASSES", "SIDE", "WORLD", "draw_context", "draw_view", "labels_of", "photo", "photos"]

SIDE = 64
"""Pixels on a side, as the captioner sees a photo."""
WORLD = replace(in_domain(), categories=(*in_domain().categories, *OUT_OF_DOMAIN))
"""All categories: a captioner has seen things of every kind, whatever a reader was tuned on."""
CLASSES: Mapping[str, tuple[str | int | None, ...]] = {name: (*WORLD.values(name), None) for name in VISIBLE}
"""attribute -> its values in a photo; None where the photo does not show it."""

_HIDDEN, _BLANK = 0.10, 0.03
_FLAT = ("pattern", "count", "damage")
_SHARE_PLAIN = 0.15
_SHARE_TOLD = 0.35
_OPINIONS = ("good", "fair", "poor", None)


def draw_view(rng: random.Random, world: World = WORLD, flat: bool = True) -> View:
    """Draw what a photo shows; with `flat`, half of the time rare values are as frequent as common ones."""
    kind = rng.choices(KINDS, [1 - _HIDDEN - _BLANK, 0, 0, _HIDDEN, _BLANK])[0]
    fixed = {name: rng.choice(world.domains[name]) for name in _FLAT} if flat and rng.random() < 0.5 else {}
    return see(world, draw_product(world, rng, **fixed), kind, rng)


def labels_of(view: View) -> list[int]:
    """Return the index of every attribute's value in `CLASSES`."""
    return [values.index(view.get(name)) for name, values in CLASSES.items()]


def photo(view: View, seed: int) -> Image.Image:
    """Return a photo as the shop's files hold it."""
    return draw(view, seed)


def _chunk(numbers: range, stream: str) -> tuple[NDArray[np.uint8], list[View]]:
    pixels, views = np.zeros((len(numbers), SIDE, SIDE, 3), np.uint8), []
    for row, number in enumerate(numbers):
        rng = random.Random(f"{stream}/{number}")
        views.append(draw_view(rng))
        picture = photo(views[-1], rng.getrandbits(32))
        pixels[row] = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return pixels, views


def photos(count: int, stream: str, workers: int = 1) -> tuple[NDArray[np.uint8], list[View]]:
    """Return `count` photos [count, SIDE, SIDE, 3] and what they show; the same for any number of workers."""
    chunks = [range(i, min(i + 1000, count)) for i in range(0, count, 1000)]
    if workers == 1:
        parts = [_chunk(c, stream) for c in chunks]
    else:
        with ProcessPoolExecutor(workers, initializer=end_with_parent) as pool:
            parts = list(pool.map(_chunk, chunks, [stream] * len(chunks)))
    return np.concatenate([p for p, _ in parts]), [v for _, views in parts for v in views]


# -- contexts ----------------------------------------------------------------------------------------------------------


@cache
def _prompt(use: str, task: str) -> Prompt:
    origin = f"tiny/{use}/{task}.txt"
    folder = files("lookwise.benchmarks") / "prompts" / "tiny"
    return Prompt((folder / use / f"{task}.txt").read_text("utf-8"), origin)


def draw_context(rng: random.Random, families: Sequence[str] = words.FAMILIES) -> str:
    """Return the text that a captioner is asked with, about products that have nothing to do with its photo."""
    task = rng.choice(TASKS)
    if rng.random() < _SHARE_PLAIN:
        return _prompt("caption_plain", task).fill({})
    prompt = _prompt("caption", task)
    return prompt.fill({hole: _field(hole, rng, rng.choice(families)) for hole in prompt.holes})


def _told(rng: random.Random) -> dict[str, str | int]:
    product = draw_product(WORLD, rng)
    names = ("colour", "pattern", "count", "mark", "material", "size", "style")
    told: dict[str, str | int] = {n: product.get(n) for n in names if rng.random() < _SHARE_TOLD}
    said = rng.random()
    if said < 0.45:
        told["category"] = product.category
    elif said < 0.8:
        told["department"] = department(product.category)
    return told


def _field(hole: str, rng: random.Random, family: str) -> str:
    if hole == "question":
        attribute = rng.choice(ASKABLE)
        return words.question(attribute, rng.choice(_values(attribute)), rng, family)
    if hole == "query":
        return words.query(_told(rng), rng, family)
    if hole == "review":
        damage = rng.choice((None, *WORLD.domains["damage"]))
        return words.review(rng.choice(_OPINIONS), None if damage is None else str(damage), _told(rng), rng, family)
    return words.title(_told(rng), rng, family)


def _values(attribute: str) -> tuple[str | int, ...]:
    return WORLD.values(attribute)
