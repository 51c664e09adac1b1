"""A split's catalogue: listings that samples share, each with one photo, and how a sample picks among them.

In: a world, a name, a size, a seeded generator.  Out: `Listing`s that meet a `Want`.  It knows nothing about tasks.

The base listings are independent draws from the prior, so one picked uniformly among those that meet a condition is a
draw from the conditional prior (further picks of one sample: up to one part in the number of listings that meet it).
Where none is left a listing is drawn from that conditional prior and kept for this very condition only; offered to
others, it would tilt their draws.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass

from lookwise.bazaar.cases import Stated
from lookwise.bazaar.world import Listing, Product, World, draw_product, take_photo

__all__ = ["ANY", "Catalogue", "Want", "having"]

_TRIES = 64


@dataclass(frozen=True)
class Want:
    """A condition on a product: `key` names it, `fixed` are values that a draw can respect, `holds` tests the rest."""

    key: str
    fixed: Stated
    holds: Callable[[Product], bool]

    def met(self, product: Product) -> bool:
        """Return whether the product meets the whole condition."""
        return all(product.get(name) == value for name, value in self.fixed) and self.holds(product)


ANY = Want("any", (), lambda _: True)


def having(fixed: Stated, key: str = "", holds: Callable[[Product], bool] = lambda _: True) -> Want:
    """Return the condition that attributes have these values, and whatever else `holds` tests (then `key` names it)."""
    return Want(f"{fixed} {key}", fixed, holds)


class Catalogue:
    """The listings of one split that tasks pick from."""

    def __init__(self, world: World, name: str, size: int, rng: random.Random) -> None:
        self._world = world
        self._name = name
        self._rng = rng
        self._count = 0
        self._base = [self._add(ANY) for _ in range(size)]
        self._shelves: dict[str, list[Listing]] = {}
        for listing in self._base:
            self._shelves.setdefault(listing.product.category, []).append(listing)
        self._extra: dict[str, list[Listing]] = {}

    def _add(self, want: Want) -> Listing:
        product = draw_product(self._world, self._rng, **dict(want.fixed))
        while not want.holds(product):
            product = draw_product(self._world, self._rng, **dict(want.fixed))
        listing_id = f"{self._name}-{self._count:05d}"
        self._count += 1
        return Listing(listing_id, product, take_photo(self._world, product, listing_id, self._rng))

    def pick(self, rng: random.Random, want: Want = ANY, used: Collection[str] = ()) -> Listing:
        """Return a listing that meets the condition, drawn uniformly among those whose id is not in `used`."""
        extra = self._extra.get(want.key, [])
        category = dict(want.fixed).get("category")
        shelf = self._base if category is None else self._shelves.get(str(category), [])
        if shelf and not extra:  # probing at random is uniform too, and soon done for a common condition
            for _ in range(_TRIES):
                listing = rng.choice(shelf)
                if listing.listing_id not in used and want.met(listing.product):
                    return listing
        met = [x for x in (*shelf, *extra) if x.listing_id not in used and want.met(x.product)]
        if met:
            return rng.choice(met)
        new = self._add(want)
        self._extra.setdefault(want.key, []).append(new)
        return new
