"""The shop's samples: a split drawn in full, put into words, each with its truth beside it.

In: a seed, a split, how many samples of each task.  Out: `Made` (the `Sample` as any source would yield it, the wording
family, and `Drawn`, its truth).  It knows nothing about pixels, files or inference.

Every split has its own catalogues and its own seeds; out-of-domain samples come from the categories kept for them.  A
declared share of the in-domain test is worded by the held-out family and marked as a subset.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lookwise.bazaar import words
from lookwise.bazaar.cases import (
    HELD_OUT_SHARE,
    LETTERS,
    OUT_OF_DOMAIN_TASKS,
    RATINGS,
    TASKS,
    Case,
    Drawn,
    Split,
    world_of,
)
from lookwise.bazaar.catalogue import Catalogue
from lookwise.bazaar.tasks import DRAW
from lookwise.bazaar.world import World, in_domain, out_of_domain
from lookwise.benchmarks.mmecinstruct import FITS, RELATIONS
from lookwise.message import Media
from lookwise.sample import FieldValue, Sample, Visual

__all__ = [
    "BENCHMARK",
    "HELD_OUT_SUBSET",
    "INSTRUCTIONS",
    "Made",
    "Turn",
    "draw_split",
    "make_split",
    "picture_path",
    "split_tasks",
    "split_world",
    "worded",
]

BENCHMARK = "mmecinstruct"
HELD_OUT_SUBSET = "held-out wording"
_BASE_SIZE = 300
_SNIPPETS = (2, 3, 4)

INSTRUCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "answerability_prediction": "Can the question be answered from what is known of the product? Say yes or no.",
        "category_classification": "Choose the category that the product belongs to.",
        "product_relation_prediction": "Choose how the two products are related.",
        "product_substitute_identification": "Is the product a substitute for what the query asks? Say yes or no.",
        "multiclass_product_classification": "Choose how well the product serves the query.",
        "sentiment_analysis": "Choose how satisfied the writer of the review is.",
        "sequential_recommendation": "Choose the product that the user will most likely take next.",
    }
)
"""One sentence per task, as the published layout carries it with every row."""


@dataclass(frozen=True, slots=True)
class Made:
    """A sample, the family that worded it, and its truth."""

    sample: Sample
    family: str
    drawn: Drawn


@dataclass(frozen=True, slots=True)
class Turn:
    """A draw that waits for its words: `rng` goes on where the draw left it."""

    number: int
    drawn: Drawn
    family: str
    rng: random.Random


def split_world(split: Split) -> World:
    """Return the world that a split's products come from."""
    return out_of_domain() if split == "ood" else in_domain()


def split_tasks(split: Split) -> tuple[str, ...]:
    """Return the tasks that a split has."""
    return OUT_OF_DOMAIN_TASKS if split == "ood" else TASKS


def picture_path(listing_id: str) -> str:
    """Return where a listing's photo lies, relative to the dataset's folder."""
    return f"images/{listing_id}.png"


def make_split(
    seed: int,
    split: Split,
    samples: int,
    tasks: Collection[str] = TASKS,
    most: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[Made]:
    """Yield `samples` of every task of the split (of those named), task by task; `most` caps single tasks."""
    named = tuple(task for task in split_tasks(split) if task in tasks)
    for turn in draw_split(seed, split, samples, named, most):
        yield Made(_sample(turn, split), turn.family, turn.drawn)


def draw_split(
    seed: int, split: Split, samples: int, tasks: Collection[str], most: Mapping[str, int]
) -> Iterator[Turn]:
    """Yield the draws of these tasks, task by task: a task's are the same whatever is drawn besides it."""
    world = split_world(split)
    size = _BASE_SIZE + samples
    catalogues = {
        kind: Catalogue(world_of(task, world), f"{split}-{kind}", size, random.Random(f"{seed}/{split}/{kind}"))
        for kind, task in (("shop", ""), ("review", "sentiment_analysis"))
    }
    for task in tasks:
        catalogue = catalogues["review" if task == "sentiment_analysis" else "shop"]
        for number in range(min(samples, most.get(task, samples))):
            rng = random.Random(f"{seed}/{split}/{task}/{number}")
            drawn = DRAW[task](world, catalogue, rng)
            held_out = split == "test" and rng.random() < HELD_OUT_SHARE
            family = words.HELD_OUT if held_out else rng.choice(words.FAMILIES)
            yield Turn(number, drawn, family, rng)


def worded(turn: Turn) -> Worded:
    """Return a draw's fields and options, in MMECInstruct's names."""
    return _WORDS[turn.drawn.case.task](turn.drawn, turn.rng, turn.family)


def _sample(turn: Turn, split: Split) -> Sample:
    drawn, case = turn.drawn, turn.drawn.case
    fields, options = worded(turn)
    return Sample(
        id=f"{case.task}/{split}/{turn.number:05d}",
        benchmark=BENCHMARK,
        task=f"{BENCHMARK}/{case.task}",
        split=split,
        fields=fields,
        visuals=tuple(
            Visual(item.slot, Media(picture_path(listing.listing_id)))
            for item, listing in zip(case.items, drawn.listings, strict=True)
        ),
        options=options,
        target=drawn.target,
        subset=HELD_OUT_SUBSET if turn.family == words.HELD_OUT else None,
    )


# ------------------------------------------------------------------------------------------------ cases put into words

Worded = tuple[tuple[tuple[str, FieldValue], ...], tuple[str, ...]]
"""Fields and options."""


def _answerability(drawn: Drawn, rng: random.Random, family: str) -> Worded:
    ((attribute, value),) = drawn.case.asked
    document = _document(drawn, rng, family)
    return (("question", words.question(attribute, value, rng, family)), ("document", document)), ()


def _document(drawn: Drawn, rng: random.Random, family: str) -> tuple[str, ...]:
    """Spread what is stated over some snippets; one that gets nothing is empty talk."""
    snippets: list[dict[str, str | int]] = [{} for _ in range(rng.choice(_SNIPPETS))]
    for name, stated in drawn.case.items[0].stated:
        rng.choice(snippets)[name] = stated
    return tuple(words.snippet(facts, rng, family) for facts in snippets)


def _whether(drawn: Drawn, rng: random.Random, family: str) -> Worded:
    ((attribute, value),) = drawn.case.asked
    question = words.whether(attribute, value, rng, family)
    return (("question", question), ("document", _document(drawn, rng, family))), ()


def _category(drawn: Drawn, rng: random.Random, family: str) -> Worded:
    options = tuple(words.option(letter, c) for letter, c in zip(LETTERS, drawn.case.choices, strict=False))
    return (("title", _title(drawn.case, 0, rng, family)),), options


def _relation(drawn: Drawn, rng: random.Random, family: str) -> Worded:
    items = enumerate(drawn.case.items)
    return tuple((item.slot, _title(drawn.case, i, rng, family)) for i, item in items), RELATIONS


def _substitute(drawn: Drawn, rng: random.Random, family: str) -> Worded:
    query = words.query(dict(drawn.case.asked), rng, family)
    return (("query", query), ("product title", _title(drawn.case, 0, rng, family))), ()


def _relevance(drawn: Drawn, rng: random.Random, family: str) -> Worded:
    return _substitute(drawn, rng, family)[0], FITS


def _sentiment(drawn: Drawn, rng: random.Random, family: str) -> Worded:
    case = drawn.case
    facts = dict(case.items[0].stated)
    damage = facts.pop("damage", None)
    review = words.review(case.opinion, None if damage is None else str(damage), facts, rng, family)
    return (("review", review),), tuple(words.option(letter, r) for letter, r in zip(LETTERS, RATINGS, strict=False))


def _recommendation(drawn: Drawn, rng: random.Random, family: str) -> Worded:
    """Word every listing by its own generator: the same listing bears the same title in every sample of a family.

    Unless the wording is held out, the family is the listing's own, as every seller writes in one style.
    """
    listed = enumerate(drawn.case.indices("options"))
    options = tuple(words.option(LETTERS[n], words.title(*_sellers(drawn, i, family))) for n, i in listed)
    return (("history", _history(drawn, family)),), options


def _click(drawn: Drawn, rng: random.Random, family: str) -> Worded:
    offered = words.title(*_sellers(drawn, len(drawn.listings) - 1, family))
    return (("history", _history(drawn, family)), ("candidate", offered)), ()


def _history(drawn: Drawn, family: str) -> tuple[str, ...]:
    indices = enumerate(drawn.case.indices("history"), 1)
    return tuple(words.history_item(n, *_sellers(drawn, i, family)) for n, i in indices)


def _sellers(drawn: Drawn, index: int, family: str) -> tuple[words.Facts, random.Random, str]:
    """Return what a listing's own words need: facts, its generator, its seller's family unless wording is held out."""
    own = drawn.listings[index].own("title")
    sellers = own.choice(words.FAMILIES)
    return dict(drawn.case.items[index].stated), own, family if family == words.HELD_OUT else sellers


def _title(case: Case, index: int, rng: random.Random, family: str) -> str:
    return words.title(dict(case.items[index].stated), rng, family)


_WORDS: Mapping[str, Callable[[Drawn, random.Random, str], Worded]] = MappingProxyType(
    {
        "answerability_prediction": _answerability,
        "binary_question_answering": _whether,
        "click_through_prediction": _click,
        "category_classification": _category,
        "product_relation_prediction": _relation,
        "product_substitute_identification": _substitute,
        "multiclass_product_classification": _relevance,
        "sentiment_analysis": _sentiment,
        "sequential_recommendation": _recommendation,
    }
)
