"""The two shapes that the shop can be written in: MMECInstruct's (one photo a listing) and EcomMMMU's (eight).

In: a benchmark's name.  Out: its `Layout`: what to draw, which exact readers know it, how a row looks, which photos a
sample needs.  One literal table; build.py writes the files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from PIL import Image

from lookwise.bazaar.cases import ECOM_TASKS, SPLITS, TASKS, Drawn, Split, world_of
from lookwise.bazaar.ceiling import Ceiling, predictions, utilities
from lookwise.bazaar.close_up import draw_shot
from lookwise.bazaar.draw import draw
from lookwise.bazaar.ecom import ECOM_SPLITS, ecom_row, make_ecom_split, shot_path
from lookwise.bazaar.gallery import (
    SHARES,
    gallery,
    gallery_ceiling,
    gallery_predictions,
    gallery_utilities,
    pictured,
)
from lookwise.bazaar.samples import INSTRUCTIONS, Made, make_split, picture_path, split_world
from lookwise.bazaar.world import View, World
from lookwise.rows import Prediction, Utility
from lookwise.sample import Sample

__all__ = ["LAYOUTS", "Layout", "Picture", "paint"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One photo to draw: its path in the dataset's folder, its kind, what it shows, the seed of the rest."""

    path: str
    kind: str
    view: View
    seed: int


@dataclass(frozen=True)
class Layout:
    """A shape of the dataset."""

    name: str
    title: str
    file: str
    tasks: tuple[str, ...]
    splits: tuple[Split, ...]
    shares: Mapping[str, float]
    make: Callable[[int, Split, int, Collection[str], Mapping[str, int]], Iterator[Made]]
    ceiling: Callable[[World], Ceiling]
    utilities: Callable[[Ceiling, str, Drawn], tuple[Utility, ...]]
    predictions: Callable[[Ceiling, Sample, Drawn], tuple[Prediction, Prediction]]
    row: Callable[[Sample], dict[str, Any]]
    pictures: Callable[[Made], Iterator[Picture]]


def paint(picture: Picture, size: int) -> Image.Image:
    """Return the photo itself."""
    if picture.kind in ("detail", "packaging"):
        return draw_shot(picture.view, picture.seed, size)
    return draw(picture.view, picture.seed, size=size)


def _mmec_row(sample: Sample) -> dict[str, str | None]:
    """Return a sample as a row of MMECInstruct's layout."""
    history = sample.task.endswith("/sequential_recommendation")
    given: object = list(sample.field("history")) if history else dict(sample.fields)
    short = sample.task.rsplit("/", 1)[-1]
    return {
        "task": short,
        "split": sample.split,
        "instruction": INSTRUCTIONS[short],
        "input": json.dumps(given, ensure_ascii=False),
        "options": json.dumps(sample.options, ensure_ascii=False),
        "output": sample.target,
        "images": json.dumps([visual.media.source for visual in sample.visuals]),
        "subset": sample.subset,
    }


def _mmec_pictures(made: Made) -> Iterator[Picture]:
    for listing in made.drawn.listings:
        photo = listing.photo
        yield Picture(picture_path(listing.listing_id), photo.kind, photo.view, photo.seed)


def _ecom_pictures(made: Made) -> Iterator[Picture]:
    case = made.drawn.case
    world = world_of(case.task, split_world(_split(made)))
    for i in pictured(case):
        listing = made.drawn.listings[i]
        for candidate, shot in enumerate(gallery(world, listing)):
            yield Picture(shot_path(listing.listing_id, candidate), shot.kind, shot.view, shot.seed)


def _split(made: Made) -> Split:
    return next(split for split in SPLITS if split == made.sample.split)


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "mmecinstruct": Layout(
            name="mmecinstruct",
            title="A generated shop in MMECInstruct's layout",
            file="dataset.json",
            tasks=TASKS,
            splits=SPLITS,
            shares=MappingProxyType({str(kind): share for kind, share in World().shares.items()}),
            make=make_split,
            ceiling=Ceiling,
            utilities=utilities,
            predictions=predictions,
            row=_mmec_row,
            pictures=_mmec_pictures,
        ),
        "ecommmmu": Layout(
            name="ecommmmu",
            title="A generated shop in EcomMMMU's layout",
            file="EcomMMMU.json",
            tasks=ECOM_TASKS,
            splits=ECOM_SPLITS,
            shares=MappingProxyType({str(kind): share for kind, share in SHARES.items()}),
            make=make_ecom_split,
            ceiling=gallery_ceiling,
            utilities=gallery_utilities,
            predictions=gallery_predictions,
            row=ecom_row,
            pictures=_ecom_pictures,
        ),
    }
)
