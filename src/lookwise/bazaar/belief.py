"""What can be known of one product from words and a photo: exact, factored inference over the shop's generative model.

In: a `World`, what a text states (`Stated`), a photo's `View` (or None where it is not looked at).  Out: `Belief`, the
joint probabilities P(stated, view, condition) for any condition that is a product of sets of attribute values.  It
knows nothing about tasks or answers.

Given the kind of the photo all attributes are independent but for material, which depends on the category; so a belief
is a sum of at most three terms (the kinds that could have given the view), each a product of one vector per attribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from lookwise.bazaar.cases import Stated
from lookwise.bazaar.world import DEPARTMENTS, VISIBLE, View, World

__all__ = ["Belief", "Reckoner", "Term", "Vector"]

Vector = NDArray[np.float64]
"""One number per value of an attribute, in the domain's order."""
_REMEMBERED = 512


@dataclass(frozen=True, eq=False)
class Term:
    """One kind of photo: a weight and one vector per attribute; `material` is categories × materials."""

    weight: float
    vectors: Mapping[str, Vector]

    @cached_property
    def sums(self) -> dict[str, float]:
        """Return the sum of every vector; "category" carries material with it."""
        sums = {name: float(v.sum()) for name, v in self.vectors.items() if name not in ("category", "material")}
        sums["category"] = float(self.categories().sum())
        return sums

    def categories(self, materials: Vector | None = None) -> Vector:
        """Return the vector over categories, summed over all materials or over those marked 1."""
        material = self.vectors["material"]
        summed: Vector = material.sum(axis=1) if materials is None else material @ materials
        return self.vectors["category"] * summed

    def rest(self, *without: str) -> float:
        """Return the weight times the sums of all attributes but those named."""
        product = self.weight
        for name, value in self.sums.items():
            if name not in without:
                product *= value
        return product

    def mass(self, allowed: Mapping[str, Vector]) -> float:
        """Return the sum over all products whose attributes lie in the allowed sets (vectors of 0 and 1)."""
        product = self.rest(*allowed, *(("category",) if "material" in allowed else ()))
        for name, mask in allowed.items():
            if name not in ("category", "material"):
                product *= float(self.vectors[name] @ mask)
        if "category" in allowed or "material" in allowed:
            categories = self.categories(allowed.get("material"))
            product *= float(categories @ allowed["category"]) if "category" in allowed else float(categories.sum())
        return product


@dataclass(frozen=True, eq=False)
class Belief:
    """A sum of terms: P(stated, view, condition)."""

    terms: tuple[Term, ...]

    def mass(self, allowed: Mapping[str, Vector]) -> float:
        """Return P(stated, view, every named attribute in its set)."""
        return sum(term.mass(allowed) for term in self.terms)

    def over(self, name: str) -> Vector:
        """Return P(stated, view, attribute = each of its values); not for material."""
        first, *others = [
            term.rest(name) * (term.categories() if name == "category" else term.vectors[name]) for term in self.terms
        ]
        return sum(others, start=first)


class Reckoner:
    """A world's prior as vectors, and the belief that words and a photo leave."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.domains: dict[str, tuple[str | int, ...]] = {
            name: world.values(name) for name in ("category", *world.domains, "material")
        }
        self.prior: dict[str, Vector] = {
            name: np.array([world.probability(name, v) for v in values])
            for name, values in self.domains.items()
            if name != "material"
        }
        self.prior["material"] = np.array(
            [[world.probability("material", m, c) for m in self.domains["material"]] for c in world.categories]
        )
        self.belief = lru_cache(_REMEMBERED)(self._belief)
        self.mask = lru_cache(_REMEMBERED)(self._mask)

    def _mask(self, name: str, *values: str | int) -> Vector:
        """Return 1 for the given values of an attribute, else 0."""
        return np.array([float(v in values) for v in self.domains[name]])

    def known(self, stated: Stated) -> dict[str, Vector]:
        """Return the prior with everything that contradicts the text set to 0."""
        vectors = dict(self.prior)
        for name, value in stated:
            if name == "department":
                vectors["category"] = vectors["category"] * self.mask("category", *DEPARTMENTS[str(value)])
            else:
                vectors[name] = vectors[name] * self.mask(name, value)
        return vectors

    def _belief(self, stated: Stated, view: View | None = None) -> Belief:
        """Return P(stated, view, ·); a view of None is a photo that is not looked at, not one that shows nothing."""
        known = self.known(stated)
        shares = self.world.shares
        if view is None:
            return Belief((Term(1.0, known),))
        if view.blank:
            return Belief((Term(shares["blank"], known),))
        names = ("category", "colour") if view.pattern is None else VISIBLE
        seen = {name: self._seen(name, view) for name in names}
        right = {**known, **{name: known[name] * mask for name, mask in seen.items()}}
        if view.pattern is None:
            return Belief((Term(shares["hidden"], right),))
        chance = float(np.prod([self.prior[name] @ mask for name, mask in seen.items()]))
        cast = {**right, "colour": known["colour"] * (1 - seen["colour"]) / (len(self.domains["colour"]) - 1)}
        return Belief(
            (
                Term(shares["right"], right),
                Term(shares["other"] * chance, known),
                Term(shares["cast"], cast),
            )
        )

    def _seen(self, name: str, view: View) -> Vector:
        value = view.get(name)
        return np.zeros(len(self.domains[name])) if value is None else self.mask(name, value)
