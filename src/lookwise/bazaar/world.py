"""The generated shop's truth: what a product is, what a photo of it shows, and how often a photo misleads.

In: a seed and a `World` (attribute domains, prior, shares of photo kinds).  Out: products, photos and the `View` each
photo gives.  It knows nothing about words (words.py), pixels (draw.py), tasks (tasks.py) or inference (ceiling.py).

The generative model, which ceiling.py inverts exactly:

* A product is drawn attribute by attribute.  Category is uniform over the split's categories; material is uniform over
  the materials that its category allows; every other attribute is independent of the category, with `World.prior`.
* A photo of a product has one of five kinds, drawn with `World.shares`, independent of the product:
  `right` shows the product; `other` shows an independent draw from the same prior; `cast` shows the product in a colour
  drawn uniformly from the other colours; `hidden` shows category and colour only (the rest is covered);
  `blank` shows nothing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, get_args

__all__ = [
    "COMPANIONS",
    "DEPARTMENTS",
    "KINDS",
    "MARKS",
    "OUT_OF_DOMAIN",
    "UNSEEN",
    "VISIBLE",
    "Kind",
    "Listing",
    "Photo",
    "Product",
    "View",
    "World",
    "department",
    "draw_product",
    "in_domain",
    "out_of_domain",
    "see",
    "take_photo",
    "view_likelihood",
]

Kind = Literal["right", "other", "cast", "hidden", "blank"]
KINDS: tuple[Kind, ...] = get_args(Kind)

VISIBLE = ("category", "colour", "pattern", "count", "mark", "damage")
"""Attributes that a right photo shows, in the order of `View`."""
UNSEEN = ("material", "size", "style")
"""Attributes that no photo shows: only words can tell them."""

DEPARTMENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "kitchen": ("mug", "teapot", "knife", "bottle", "pan"),
        "office": ("pencil", "book", "lamp", "envelope", "scissors"),
        "clothing": ("shirt", "trousers", "sock", "shoe", "hat"),
        "toys": ("ball", "robot", "drum", "boat", "kite"),
        "garden": ("bucket", "rake", "planter", "hose", "birdhouse"),
        "home": ("chair", "table", "clock", "vase", "candle"),
    }
)
OUT_OF_DOMAIN = ("pan", "scissors", "hat", "kite", "birdhouse", "candle")
"""Categories kept out of all tuning: one of each department (the last in its row above)."""

COMPANIONS: Mapping[str, str] = MappingProxyType(
    {
        "mug": "teapot", "teapot": "mug", "knife": "pan", "pan": "knife", "bottle": "mug",
        "pencil": "book", "book": "lamp", "lamp": "book", "envelope": "scissors", "scissors": "envelope",
        "shirt": "trousers", "trousers": "shirt", "sock": "shoe", "shoe": "sock", "hat": "shirt",
        "ball": "robot", "robot": "drum", "drum": "robot", "boat": "ball", "kite": "ball",
        "bucket": "rake", "rake": "bucket", "planter": "hose", "hose": "planter", "birdhouse": "planter",
        "chair": "table", "table": "chair", "clock": "vase", "vase": "clock", "candle": "vase",
    }
)  # fmt: skip
"""What is used together with a category (MMECInstruct's label 'complement')."""

MARKS: Mapping[str, str] = MappingProxyType(
    {"star": "velkin", "ring": "dromo", "cross": "asteli", "bolt": "quorra", "moon": "brindo", "arrow": "lumeo"}
)
"""A brand's mark, which a photo shows, and its name, which words tell."""


@dataclass(frozen=True, slots=True)
class Product:
    """One product; `damage` is that of the piece a buyer received (catalogue pieces are intact)."""

    category: str
    colour: str
    pattern: str
    count: int
    mark: str
    damage: str
    material: str
    size: str
    style: str

    def get(self, attribute: str) -> str | int:
        """Return the value of the named attribute."""
        value: str | int = getattr(self, attribute)
        return value


@dataclass(frozen=True, slots=True)
class View:
    """What a photo shows: the six visible attributes, None where it does not show one (a blank photo shows none)."""

    category: str | None = None
    colour: str | None = None
    pattern: str | None = None
    count: int | None = None
    mark: str | None = None
    damage: str | None = None

    def get(self, attribute: str) -> str | int | None:
        """Return what is seen of the named attribute; None for attributes that no photo shows."""
        value: str | int | None = getattr(self, attribute, None)
        return value

    @property
    def blank(self) -> bool:
        """True when nothing at all is seen."""
        return self == View()


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of the catalogue: its kind, what it shows, and the seed of pose, scale, background, light and view."""

    photo_id: str
    kind: Kind
    view: View
    seed: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A product as a shop lists it, with its one photo."""

    listing_id: str
    product: Product
    photo: Photo

    def own(self, purpose: str) -> random.Random:
        """Return a generator that is the same whenever the listing is met, so that what it draws belongs to it."""
        return random.Random(f"{self.listing_id}/{self.photo.seed}/{purpose}")


_UNIFORM_MATERIALS = {
    "kitchen": ("metal", "glass", "plastic"),
    "office": ("wood", "plastic", "paper"),
    "clothing": ("cotton", "wool", "leather"),
    "toys": ("wood", "plastic", "cotton"),
    "garden": ("metal", "plastic", "wood"),
    "home": ("wood", "glass", "metal"),
}


def _default_domains() -> dict[str, tuple[str | int, ...]]:
    return {
        "colour": ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"),
        "pattern": ("plain", "striped", "dotted", "checked", "zigzag"),
        "count": (1, 2, 3, 4),
        "mark": tuple(MARKS),
        "damage": ("intact", "scratched", "broken"),
        "size": ("small", "medium", "large"),
        "style": ("classic", "modern", "rustic"),
    }


def _default_prior() -> dict[str, tuple[float, ...]]:
    return {
        "colour": (0.1,) * 10,
        "pattern": (0.40, 0.15, 0.15, 0.15, 0.15),
        "count": (0.40, 0.25, 0.20, 0.15),
        "mark": (1 / 6,) * 6,
        "damage": (0.60, 0.25, 0.15),
        "size": (1 / 3,) * 3,
        "style": (1 / 3,) * 3,
    }


@dataclass(frozen=True)
class World:
    """The generative model's parameters; a small one is enumerated by brute force in the tests.

    `domains` and `prior` cover every attribute but category and material; a prior sums to 1 in the domain's order.
    """

    categories: tuple[str, ...] = tuple(c for row in DEPARTMENTS.values() for c in row if c not in OUT_OF_DOMAIN)
    domains: Mapping[str, tuple[str | int, ...]] = field(default_factory=_default_domains)
    prior: Mapping[str, tuple[float, ...]] = field(default_factory=_default_prior)
    materials: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {c: _UNIFORM_MATERIALS[d] for d, row in DEPARTMENTS.items() for c in row}
    )
    shares: Mapping[Kind, float] = field(
        default_factory=lambda: {"right": 0.60, "other": 0.15, "cast": 0.10, "hidden": 0.10, "blank": 0.05}
    )

    def values(self, attribute: str) -> tuple[str | int, ...]:
        """Return the domain of an attribute (materials: those of any of this world's categories, sorted)."""
        if attribute == "category":
            return self.categories
        if attribute == "material":
            return tuple(sorted({m for c in self.categories for m in self.materials[c]}))
        return self.domains[attribute]

    def probability(self, attribute: str, value: str | int, category: str | None = None) -> float:
        """Return P(attribute = value), for material given its category."""
        if attribute == "category":
            return 1 / len(self.categories) if value in self.categories else 0.0
        if attribute == "material":
            if category is None:
                return sum(self.probability("material", value, c) for c in self.categories) / len(self.categories)
            return 1 / len(self.materials[category]) if value in self.materials[category] else 0.0
        return dict(zip(self.domains[attribute], self.prior[attribute], strict=True)).get(value, 0.0)


def in_domain() -> World:
    """Return the world of train, validation and in-domain test."""
    return World()


def out_of_domain() -> World:
    """Return the world of the out-of-domain test: the same, but for its six categories."""
    return replace(World(), categories=OUT_OF_DOMAIN)


def department(category: str) -> str:
    """Return the department of a category."""
    return next(d for d, row in DEPARTMENTS.items() if category in row)


def _weighted(rng: random.Random, values: Sequence[str | int], weights: Sequence[float]) -> str | int:
    return rng.choices(values, weights)[0]


def draw_product(world: World, rng: random.Random, **fixed: str | int) -> Product:
    """Draw a product from the prior, given some attributes' values.

    Exact for any set of fixed attributes that does not fix material without category.
    """
    category = str(fixed.get("category", "")) or rng.choice(world.categories)
    drawn: dict[str, str | int] = {"category": category}
    for name in world.domains:
        drawn[name] = fixed.get(name, "") or _weighted(rng, world.domains[name], world.prior[name])
    drawn["material"] = fixed.get("material", "") or rng.choice(world.materials[category])
    return Product(**drawn)  # type: ignore[arg-type]


def see(world: World, product: Product, kind: Kind, rng: random.Random) -> View:
    """Return what a photo of this kind shows of the product."""
    if kind == "blank":
        return View()
    shown = draw_product(world, rng) if kind == "other" else product
    if kind == "hidden":
        return View(category=shown.category, colour=shown.colour)
    colour = shown.colour
    if kind == "cast":
        colour = str(rng.choice([c for c in world.domains["colour"] if c != shown.colour]))
    return View(shown.category, colour, shown.pattern, shown.count, shown.mark, shown.damage)


def take_photo(world: World, product: Product, photo_id: str, rng: random.Random) -> Photo:
    """Draw a photo's kind and its view of the product."""
    kind = rng.choices(KINDS, [world.shares[k] for k in KINDS])[0]
    return Photo(photo_id, kind, see(world, product, kind, rng), rng.getrandbits(32))


def view_likelihood(world: World, view: View, product: Product, kind: Kind) -> float:
    """Return P(view | product, kind): the reference that ceiling.py's factored inference must equal."""
    if kind == "blank":
        return 1.0 if view.blank else 0.0
    if view.blank or (kind == "hidden") != (view.pattern is None):
        return 0.0
    if kind == "hidden":
        return float(view.category == product.category and view.colour == product.colour)
    names = VISIBLE
    if kind == "other":
        likelihood = 1.0
        for name in names:
            value = view.get(name)
            assert value is not None
            likelihood *= world.probability(name, value)
        return likelihood
    same = all(view.get(n) == product.get(n) for n in names if n != "colour")
    if kind == "right":
        return float(same and view.colour == product.colour)
    return float(same and view.colour != product.colour) / (len(world.domains["colour"]) - 1)
