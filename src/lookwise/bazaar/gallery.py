"""Eight photos of a listing, as EcomMMMU has them: what each shows, and the exact inference from any of them.

In: a world, a listing.  Out: its `Shot`s, the same whenever the listing is met; `Reckoner`s for this world's kinds of
photos; rows of truth and of both ceilings for a sample with galleries.  It knows nothing about words or pixels.

Each of the eight has a kind of its own, drawn with `SHARES` whatever the product and whatever the other seven show:
view       the product: all six visible attributes
detail     its surface, close up: colour, pattern, damage
packaging  the box that it came in: count and mark
use        the product in somebody's hands: category and colour, the rest covered
other      another product: an independent draw from the same prior, seen as in a view
blank      nothing
Only a view and an other look alike, so a belief after any number of photos is one term for "every view is of another
product" and one more for each product that the views show.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from lookwise.bazaar.belief import Belief, Reckoner, Term
from lookwise.bazaar.cases import Case, Drawn, Stated, world_of
from lookwise.bazaar.ceiling import Ceiling, ceiling_row, utility_row
from lookwise.bazaar.world import VISIBLE, Listing, Product, View, World, draw_product
from lookwise.benchmarks.ecommmmu import CANDIDATES
from lookwise.rows import Prediction, Utility
from lookwise.sample import Sample

__all__ = [
    "RIGHT",
    "SHARES",
    "SHOT_KINDS",
    "GalleryReckoner",
    "Shot",
    "ShotKind",
    "belief_of_all",
    "gallery",
    "gallery_ceiling",
    "gallery_predictions",
    "gallery_utilities",
    "pictured",
]

ShotKind = Literal["view", "detail", "packaging", "use", "other", "blank"]
SHOT_KINDS: tuple[ShotKind, ...] = get_args(ShotKind)
SHARES: Mapping[ShotKind, float] = MappingProxyType(
    {"view": 0.28, "detail": 0.18, "packaging": 0.16, "use": 0.14, "other": 0.14, "blank": 0.10}
)
RIGHT: tuple[ShotKind, ...] = ("view", "detail", "packaging", "use")
"""The kinds that show the listing's own product."""
_SHOWN: Mapping[ShotKind, tuple[str, ...]] = MappingProxyType(
    {
        "view": VISIBLE,
        "detail": ("colour", "pattern", "damage"),
        "packaging": ("count", "mark"),
        "use": ("category", "colour"),
        "other": VISIBLE,
        "blank": (),
    }
)
_KIND_OF: Mapping[tuple[str, ...], ShotKind] = {_SHOWN[kind]: kind for kind in SHOT_KINDS if kind != "other"}


@dataclass(frozen=True, slots=True)
class Shot:
    """One of a listing's photos: its kind, what it shows, and the seed of everything else in it."""

    kind: ShotKind
    view: View
    seed: int


def gallery(world: World, listing: Listing) -> tuple[Shot, ...]:
    """Return a listing's photos; `world` is the one that its product was drawn from (`world_of`)."""
    rng = listing.own("gallery")
    kinds = rng.choices(SHOT_KINDS, [SHARES[kind] for kind in SHOT_KINDS], k=CANDIDATES)
    return tuple(Shot(kind, _see(world, listing.product, kind, rng), rng.getrandbits(32)) for kind in kinds)


def _see(world: World, product: Product, kind: ShotKind, rng: random.Random) -> View:
    shown = draw_product(world, rng) if kind == "other" else product
    return View(**{name: shown.get(name) for name in _SHOWN[kind]})  # type: ignore[arg-type]


def pictured(case: Case) -> tuple[int, ...]:
    """Return the positions of the items that have photos: all, but for the options of a recommendation."""
    options = set(case.indices("options"))
    return tuple(i for i in range(len(case.items)) if i not in options)


# ------------------------------------------------------------------------------------------------------------ inference


class GalleryReckoner(Reckoner):
    """The belief that words and one photo of a gallery leave."""

    def _belief(self, stated: Stated, view: View | None = None) -> Belief:
        return belief_of_all(self, stated, () if view is None else (view,))


def belief_of_all(reckoner: Reckoner, stated: Stated, views: Sequence[View]) -> Belief:
    """Return P(stated, views, ·) for any number of photos of one listing, none among them."""
    known, weight = reckoner.known(stated), 1.0
    whole: Counter[View] = Counter()
    for view in views:
        names = tuple(name for name in VISIBLE if view.get(name) is not None)
        kind = _KIND_OF[names]
        if kind == "view":
            whole[view] += 1
            continue
        weight *= SHARES[kind]
        known = {**known, **{name: known[name] * _seen(reckoner, name, view) for name in names}}
    # A view is of the product, or of any other: then it is as likely as such a product is met.
    chance = {view: SHARES["other"] * _prior_chance(reckoner, view) for view in whole}
    others = weight * math.prod(chance[view] ** n for view, n in whole.items())
    terms = [Term(others, known)]
    for view, n in whole.items():
        right = {**known, **{name: known[name] * _seen(reckoner, name, view) for name in VISIBLE}}
        rest = weight * math.prod(chance[v] ** m for v, m in whole.items() if v != view)
        terms.append(Term(rest * ((SHARES["view"] + chance[view]) ** n - chance[view] ** n), right))
    return Belief(tuple(terms))


def _seen(reckoner: Reckoner, name: str, view: View) -> np.ndarray:
    value = view.get(name)
    assert value is not None
    return reckoner.mask(name, value) if value in reckoner.domains[name] else np.zeros(len(reckoner.domains[name]))


def _prior_chance(reckoner: Reckoner, view: View) -> float:
    return math.prod(float(reckoner.prior[name] @ _seen(reckoner, name, view)) for name in VISIBLE)


def gallery_ceiling(world: World) -> Ceiling:
    """Return the exact readers of a shop whose listings have galleries."""
    return Ceiling(world, GalleryReckoner)


# ----------------------------------------------------------------------------------------------------------------- rows


def gallery_utilities(ceiling: Ceiling, sample_id: str, drawn: Drawn) -> tuple[Utility, ...]:
    """Return what each candidate number, shown of every pictured item at once, is worth to the naive reader.

    `kind` names the kinds of the photos in the order of the slots, joined with commas.
    """
    text = ceiling.posterior(drawn.case)
    shots = _shots(ceiling, drawn)
    rows = []
    for candidate in range(CANDIDATES):
        chosen = {i: mine[candidate] for i, mine in shots.items()}
        views = [chosen[i].view if i in chosen else None for i in range(len(drawn.case.items))]
        kind = ",".join(shot.kind for shot in chosen.values())
        seen = ceiling.naive(drawn.case, views)
        rows.append(utility_row(sample_id, None, kind, drawn.target, text, seen, candidate))
    return tuple(rows)


def gallery_predictions(ceiling: Ceiling, sample: Sample, drawn: Drawn) -> tuple[Prediction, Prediction]:
    """Return what both exact readers answer: from the text, and from the text and every photo of every gallery."""
    shots = _shots(ceiling, drawn)
    reckoner = ceiling.reckoner(drawn.case.task)
    beliefs = [
        belief_of_all(reckoner, item.stated, [shot.view for shot in shots.get(i, ())])
        for i, item in enumerate(drawn.case.items)
    ]
    return (
        ceiling_row(sample, "ceiling/text", ceiling.posterior(drawn.case)),
        ceiling_row(sample, "ceiling/pictures", ceiling.weighed(drawn.case, beliefs)),
    )


def _shots(ceiling: Ceiling, drawn: Drawn) -> dict[int, tuple[Shot, ...]]:
    world = world_of(drawn.case.task, ceiling.reckoner("sentiment_analysis").world)
    return {i: gallery(world, drawn.listings[i]) for i in pictured(drawn.case)}
