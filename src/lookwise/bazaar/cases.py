"""What a sample of the shop means before it has words or pixels, and every share that the seven tasks are drawn with.

In: nothing.  Out: `Case` (what is stated, asked and offered: all that a reader of the text may use), `Drawn` (the case
with its truth) and the declared constants.  It knows nothing about wording, pixels, files or inference.

Two rules make inference exact: whether a text mentions an attribute never depends on the attribute's value, and a
photo's kind never depends on the product (world.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, get_args

from lookwise.bazaar.world import COMPANIONS, Listing, World

__all__ = [
    "ASKABLE",
    "ASKED_COUNT",
    "CATEGORY_MENTION",
    "CC_OPTIONS",
    "CLICK_SHARE",
    "ECOM_TASKS",
    "HELD_OUT_SHARE",
    "HISTORY_LENGTHS",
    "LETTERS",
    "MENTION",
    "MPC_SHARES",
    "OPINIONS",
    "OPINION_MENTION",
    "OUT_OF_DOMAIN_TASKS",
    "PRP_SHARES",
    "PSI_SHARES",
    "RATINGS",
    "SPLITS",
    "SR_OPTIONS",
    "TASKS",
    "TASTES",
    "TASTE_IN_HISTORY",
    "TASTE_IN_TARGET",
    "WHETHER_SHARE",
    "YES_SHARE",
    "Case",
    "Drawn",
    "Item",
    "Split",
    "Stated",
    "query_categories",
    "value_of",
    "world_of",
]

Stated = tuple[tuple[str, str | int], ...]
"""Attribute and value, in the order of the attributes; "department" in place of "category" where only that is said."""

Split = Literal["train", "val", "test", "ood"]
SPLITS: tuple[Split, ...] = get_args(Split)

TASKS = (
    "answerability_prediction",
    "category_classification",
    "product_relation_prediction",
    "product_substitute_identification",
    "multiclass_product_classification",
    "sentiment_analysis",
    "sequential_recommendation",
)
ECOM_TASKS = (
    "answerability_prediction",
    "binary_question_answering",
    "click_through_prediction",
    "sequential_recommendation",
    "multiclass_product_classification",
    "product_substitute_identification",
    "product_relation_prediction",
    "sentiment_analysis",
)
"""EcomMMMU's eight: six of the above and two of its own."""
OUT_OF_DOMAIN_TASKS = tuple(
    t for t in TASKS if t not in ("product_substitute_identification", "multiclass_product_classification")
)
"""The tasks that have an out-of-domain test."""

LETTERS = "ABCDEFGHIJKLMNOPQRST"
ASKABLE = ("pattern", "count", "mark", "colour", "material", "size", "style")
"""What a question or a query may ask about, each equally often: four that a photo shows, three that none does."""

YES_SHARE = 3 / 8
"""Answerability: how often the product has what the question presupposes."""
WHETHER_SHARE = 1 / 2
"""Binary questions: how often the product is as the question supposes, whether or not that can be known."""
CLICK_SHARE = 2 / 5
"""Click-through: how often the offered product is one that the customer clicks on."""
CC_OPTIONS = 6
PRP_SHARES: Mapping[str, float] = MappingProxyType({"A": 4 / 8, "B": 3 / 8, "C": 1 / 8})
MPC_SHARES: Mapping[str, float] = MappingProxyType({"A": 20 / 32, "B": 7 / 32, "C": 1 / 32, "D": 4 / 32})
"""Exact, substitute, complement, irrelevant: 20 : 7 : 1 : 4."""
PSI_SHARES: Mapping[str, float] = MappingProxyType({"A": 0.75 * 20 / 25, "B": 0.25, "C": 0.75 / 25, "D": 0.75 * 4 / 25})
"""The same four relations, rebalanced: a quarter are substitutes (the answer is yes), the others 20 : 1 : 4."""
ASKED_COUNT: Mapping[int, float] = MappingProxyType({1: 0.5, 2: 0.5})
"""How many attributes a query asks for besides the category."""
_YES_NO_TASKS = ("answerability_prediction", "click_through_prediction", "product_substitute_identification")
OPINIONS: Mapping[str, float] = MappingProxyType({"good": 0.7, "fair": 0.2, "poor": 0.1})
OPINION_MENTION = 0.8
RATINGS = ("very positive", "positive", "neutral", "negative", "very negative")
"""Rating index = index of the opinion + index of the damage, each 0 to 2."""
TASTES = ("colour", "mark", "pattern")
TASTE_IN_HISTORY = 0.85
TASTE_IN_TARGET = 0.9
"""How often what was bought, and what is bought next, suits the taste; the other options never do."""
HISTORY_LENGTHS = (3, 4, 5)
SR_OPTIONS = 20
HELD_OUT_SHARE = 0.25
"""Share of the in-domain test samples that are worded by the family that no training ever sees."""

_PLAIN = {
    "colour": 0.25, "pattern": 0.25, "count": 0.25, "mark": 0.25, "damage": 0.0,
    "material": 0.45, "size": 0.45, "style": 0.45,
}  # fmt: skip
_SHORT = {
    "colour": 0.25, "pattern": 0.25, "count": 0.15, "mark": 0.25, "damage": 0.0,
    "material": 0.15, "size": 0.15, "style": 0.15,
}  # fmt: skip

MENTION: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "answerability_prediction": _PLAIN,
        "binary_question_answering": _PLAIN,
        "click_through_prediction": _SHORT,
        "category_classification": _PLAIN,
        "product_relation_prediction": _PLAIN,
        "product_substitute_identification": _PLAIN,
        "multiclass_product_classification": _PLAIN,
        "sentiment_analysis": {**_SHORT, "damage": 0.35},
        "sequential_recommendation": _SHORT,
    }
)
"""P(the text mentions an attribute), whatever its value."""

CATEGORY_MENTION: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "answerability_prediction": (0.5, 0.3, 0.2),
        "binary_question_answering": (0.5, 0.3, 0.2),
        "click_through_prediction": (0.5, 0.3, 0.2),
        "category_classification": (0.3, 0.4, 0.3),
        "product_relation_prediction": (0.4, 0.35, 0.25),
        "product_substitute_identification": (0.4, 0.35, 0.25),
        "multiclass_product_classification": (0.4, 0.35, 0.25),
        "sentiment_analysis": (0.6, 0.3, 0.1),
        "sequential_recommendation": (0.5, 0.3, 0.2),
    }
)
"""P(the text names the category, only its department, neither of them)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One pictured thing of a sample: the slot of its picture and what the text states of it."""

    slot: str
    stated: Stated


@dataclass(frozen=True, slots=True)
class Case:
    """All that the text of a sample says.

    `asked`: what the question presupposes (one pair) or the query wants (category first).  `choices`: the categories
    that are offered.  `opinion`: the reviewer's, where the review states it.
    """

    task: str
    items: tuple[Item, ...]
    asked: Stated = ()
    choices: tuple[str, ...] = ()
    opinion: str | None = None

    @property
    def answers(self) -> tuple[str, ...]:
        """The canonical answers, in the order of the options."""
        if self.task in _YES_NO_TASKS:
            return ("yes", "no")
        if self.task == "binary_question_answering":
            return ("yes", "no", "cannot answer")
        counts = {
            "category_classification": len(self.choices),
            "product_relation_prediction": len(PRP_SHARES),
            "multiclass_product_classification": len(MPC_SHARES),
            "sentiment_analysis": len(RATINGS),
            "sequential_recommendation": len(self.indices("options")),
        }
        return tuple(LETTERS[: counts[self.task]])

    def indices(self, group: str) -> tuple[int, ...]:
        """Return the positions of the items whose slot belongs to a group ("history", "options")."""
        return tuple(i for i, item in enumerate(self.items) if item.slot.startswith(f"{group}["))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A case with its truth: the listings behind its items (in order), the answer, and what was drawn on the way."""

    case: Case
    listings: tuple[Listing, ...]
    target: str
    latent: Stated = ()


def value_of(stated: Stated, attribute: str) -> str | int | None:
    """Return what is stated of an attribute, or None."""
    return dict(stated).get(attribute)


def world_of(task: str, world: World) -> World:
    """Return the world that a task's items come from: catalogue pieces are intact, reviewed ones as they arrived."""
    if task == "sentiment_analysis":
        return world
    intact = tuple(float(v == "intact") for v in world.domains["damage"])
    return replace(world, prior={**world.prior, "damage": intact})


def query_categories(world: World) -> tuple[str, ...]:
    """Return the categories that queries ask for: those whose companion this world sells too."""
    return tuple(c for c in world.categories if COMPANIONS[c] in world.categories)
