"""What the bundled looker learns to see: photos of every kind that a gallery has, and the words it is to tell them in.

In: a seed, how many.  Out: photos as bytes in its resolution with what each shows; for a view its sixteen words, one
for each place of a picture; an `Album` to draw photos from, any or one that shares something with another.  It knows no
model and no task.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lookwise.bazaar.close_up import draw_shot
from lookwise.bazaar.gallery import ShotKind
from lookwise.bazaar.lexicon import NUMBERS
from lookwise.bazaar.world import VISIBLE, View, draw_product
from lookwise.runs.company import end_with_parent
from lookwise.training.bundled.pictures import SIDE, WORLD

__all__ = ["PLACES", "Album", "draw_shot_view", "shots", "slot_words"]

_SHARES: Mapping[ShotKind, float] = MappingProxyType(
    {"view": 0.54, "detail": 0.17, "packaging": 0.13, "use": 0.12, "blank": 0.04}
)
_SHOWN: Mapping[ShotKind, tuple[str, ...]] = MappingProxyType(
    {
        "view": VISIBLE,
        "detail": ("colour", "pattern", "damage"),
        "packaging": ("count", "mark"),
        "use": ("category", "colour"),
        "blank": (),
    }
)
_RARE = ("pattern", "count", "damage")
_CHUNK = 500

_TOLD = (
    "colour", "pattern", "count", "mark",
    "pattern", "category", "category", "damage",
    "category", "category", "category", "damage",
    "category", "category", "category", "rest",
)  # fmt: skip
PLACES = len(_TOLD)
"""Words that a picture is told in, one a place, row by row: as many as the tower has image tokens.

What a thing is shows all over a picture, so it is told wherever there is room: one place alone learns it slowly.
"""


def slot_words(view: View) -> list[str]:
    """Return the word of every place; what is not seen is hidden, and the last sums up: all, part, nothing."""
    told = {name: "hidden" if view.get(name) is None else str(view.get(name)) for name in VISIBLE}
    if view.count is not None:
        told["count"] = NUMBERS[view.count - 1]
    told["rest"] = "blank" if view.blank else "hidden" if None in map(view.get, VISIBLE) else "shown"
    return [told[name] for name in _TOLD]


def draw_shot_view(rng: random.Random) -> View:
    """Draw what a photo shows; half of the time rare values are as frequent as common ones."""
    kind = rng.choices(tuple(_SHARES), tuple(_SHARES.values()))[0]
    even = rng.random() < 0.5
    fixed = {name: rng.choice(WORLD.domains[name]) for name in _RARE} if even else {}
    product = draw_product(WORLD, rng, **fixed)
    return View(**{name: product.get(name) for name in _SHOWN[kind]})  # type: ignore[arg-type]


def _chunk(numbers: range, stream: str) -> tuple[NDArray[np.uint8], list[View]]:
    pixels, views = np.zeros((len(numbers), SIDE, SIDE, 3), np.uint8), []
    for row, number in enumerate(numbers):
        rng = random.Random(f"{stream}/{number}")
        views.append(draw_shot_view(rng))
        picture = draw_shot(views[-1], rng.getrandbits(32))
        pixels[row] = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return pixels, views


def shots(count: int, stream: str, workers: int = 1) -> tuple[NDArray[np.uint8], list[View]]:
    """Return `count` photos [count, SIDE, SIDE, 3] and what they show; the same for any number of workers."""
    chunks = [range(i, min(i + _CHUNK, count)) for i in range(0, count, _CHUNK)]
    if workers == 1:
        parts = [_chunk(c, stream) for c in chunks]
    else:
        with ProcessPoolExecutor(workers, initializer=end_with_parent) as pool:
            parts = list(pool.map(_chunk, chunks, [stream] * len(chunks)))
    return np.concatenate([p for p, _ in parts]), [v for _, views in parts for v in views]


class Album:
    """Photos by number, and by what they show."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views = tuple(views)
        self._by_value: dict[tuple[str, str | int], list[int]] = defaultdict(list)
        for number, view in enumerate(self.views):
            for name in VISIBLE:
                value = view.get(name)
                if value is not None:
                    self._by_value[name, value].append(number)

    def any(self, rng: random.Random) -> int:
        """Return the number of a photo."""
        return rng.randrange(len(self.views))

    def like(self, number: int, rng: random.Random) -> int:
        """Return a photo that shares something seen with this one (or is this one, where no other does)."""
        view = self.views[number]
        seen = [name for name in VISIBLE if view.get(name) is not None]
        if not seen:
            return self.any(rng)
        name = rng.choice(seen)
        value = view.get(name)
        assert value is not None
        return rng.choice(self._by_value[name, value])
