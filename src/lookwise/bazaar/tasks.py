"""MMECInstruct's seven tasks and EcomMMMU's two more as draws from the shop, one function each, exactly invertible.

In: a world, catalogues, a seeded generator.  Out: `Drawn` (what the text states, the listings behind it, the answer).
It knows nothing about wording (samples.py), pixels (draw.py) or inference (ceiling.py inverts these very functions).

answerability   product from the prior; one attribute; the question presupposes its value (3 in 8) or, uniformly,
                another of the world's values; yes if the product has it
category        product from the prior; its category among five others, drawn uniformly, in random order
relation        the relation; product 1 from the prior; product 2 from the prior given the relation
query tasks     category and one or two attributes with values from the prior; the relation; the product given both
sentiment       a piece as it arrived; an opinion; the rating is the sum of both indices
whether         product from the prior; one attribute; the question supposes its value (1 in 2) or another; it cannot be
                answered where no photo could show the attribute and the document does not state it
click           a taste and a history as below; the offered product follows the taste (2 in 5), or is any
recommendation  a taste (colour, mark or pattern and a value from the prior); history, target and distractors; a listing
                is stated in the same way in every sample, as a shop has one title for a product
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from lookwise.bazaar.cases import (
    ASKABLE,
    ASKED_COUNT,
    CATEGORY_MENTION,
    CC_OPTIONS,
    CLICK_SHARE,
    HISTORY_LENGTHS,
    LETTERS,
    MENTION,
    MPC_SHARES,
    OPINION_MENTION,
    OPINIONS,
    PRP_SHARES,
    PSI_SHARES,
    SR_OPTIONS,
    TASTE_IN_HISTORY,
    TASTE_IN_TARGET,
    TASTES,
    WHETHER_SHARE,
    YES_SHARE,
    Case,
    Drawn,
    Item,
    Stated,
    query_categories,
)
from lookwise.bazaar.catalogue import ANY, Catalogue, Want, having
from lookwise.bazaar.world import COMPANIONS, UNSEEN, Listing, Product, World, department

__all__ = ["DRAW", "Draw", "relation_want"]

Draw = Callable[[World, Catalogue, random.Random], Drawn]
T = TypeVar("T")
_STATABLE = ("colour", "pattern", "count", "mark", "damage", "material", "size", "style")


def _one(rng: random.Random, shares: Mapping[T, float]) -> T:
    return rng.choices(tuple(shares), tuple(shares.values()))[0]


def _prior_value(world: World, rng: random.Random, attribute: str, category: str) -> str | int:
    if attribute == "material":
        return rng.choice(world.materials[category])
    return rng.choices(world.domains[attribute], world.prior[attribute])[0]


def _state(task: str, product: Product, rng: random.Random) -> Stated:
    """Return what a text mentions: each attribute with its own probability, whatever its value."""
    exact, partial, _ = CATEGORY_MENTION[task]
    chance = rng.random()
    stated: list[tuple[str, str | int]] = []
    if chance < exact:
        stated.append(("category", product.category))
    elif chance < exact + partial:
        stated.append(("department", department(product.category)))
    stated += [(name, product.get(name)) for name in _STATABLE if rng.random() < MENTION[task][name]]
    return tuple(stated)


def _item(task: str, slot: str, listing: Listing, rng: random.Random) -> Item:
    return Item(slot, _state(task, listing.product, rng))


def _titled(task: str, slot: str, listing: Listing) -> Item:
    """Return an item that states the same of its listing in every sample of the task."""
    return _item(task, slot, listing, listing.own("stated"))


def _supposed(
    world: World, catalogue: Catalogue, rng: random.Random, share: float
) -> tuple[Listing, tuple[str, str | int], bool]:
    """Return a listing, an attribute with a value that it has (at this share) or has not, and whether it has it."""
    listing = catalogue.pick(rng)
    attribute = rng.choice(ASKABLE)
    value = listing.product.get(attribute)
    yes = rng.random() < share
    if not yes:
        value = rng.choice([v for v in world.values(attribute) if v != value])
    return listing, (attribute, value), yes


def _answerability(world: World, catalogue: Catalogue, rng: random.Random) -> Drawn:
    task = "answerability_prediction"
    listing, asked, yes = _supposed(world, catalogue, rng, YES_SHARE)
    case = Case(task, (_item(task, "product", listing, rng),), asked=(asked,))
    return Drawn(case, (listing,), "yes" if yes else "no")


def _whether(world: World, catalogue: Catalogue, rng: random.Random) -> Drawn:
    task = "binary_question_answering"
    listing, asked, yes = _supposed(world, catalogue, rng, WHETHER_SHARE)
    item = _item(task, "product", listing, rng)
    unknown = asked[0] in UNSEEN and asked[0] not in dict(item.stated)
    target = "cannot answer" if unknown else "yes" if yes else "no"
    return Drawn(Case(task, (item,), asked=(asked,)), (listing,), target)


def _category(world: World, catalogue: Catalogue, rng: random.Random) -> Drawn:
    task = "category_classification"
    listing = catalogue.pick(rng)
    own = listing.product.category
    others = [c for c in world.categories if c != own]
    choices = [own, *rng.sample(others, min(CC_OPTIONS - 1, len(others)))]
    rng.shuffle(choices)
    case = Case(task, (_item(task, "product", listing, rng),), choices=tuple(choices))
    return Drawn(case, (listing,), LETTERS[choices.index(own)])


def relation_want(relation: str, first: Product) -> Want:
    """Return what product 2 must be: A another category; B recoloured; C of the same category, colour and pattern."""
    if relation == "A":
        return Want(f"not {first.category}", (), lambda p: p.category != first.category)
    same: Stated = (("category", first.category),)
    if relation == "B":
        return having(same, f"not {first.colour}", lambda p: p.colour != first.colour)
    return having((*same, ("colour", first.colour), ("pattern", first.pattern)))


def _relation(world: World, catalogue: Catalogue, rng: random.Random) -> Drawn:
    task = "product_relation_prediction"
    relation = _one(rng, PRP_SHARES)
    first = catalogue.pick(rng)
    second = catalogue.pick(rng, relation_want(relation, first.product), {first.listing_id})
    items = (_item(task, "product 1", first, rng), _item(task, "product 2", second, rng))
    return Drawn(Case(task, items), (first, second), relation)


def _query_want(relation: str, asked: Stated) -> Want:
    """Return what the product must be: A all that is asked; B the category only; C its companion; D neither."""
    (_, category), *wishes = asked
    companion = COMPANIONS[str(category)]
    if relation == "A":
        return having(asked)
    if relation == "B":
        return having(asked[:1], f"not {wishes}", lambda p: any(p.get(name) != value for name, value in wishes))
    if relation == "C":
        return having((("category", companion),))
    return Want(f"not {category} {companion}", (), lambda p: p.category not in (category, companion))


def _query(task: str, shares: Mapping[str, float]) -> Draw:
    def draw(world: World, catalogue: Catalogue, rng: random.Random) -> Drawn:
        category = rng.choice(query_categories(world))
        wishes = rng.sample(ASKABLE, _one(rng, ASKED_COUNT))
        asked = (("category", category), *((a, _prior_value(world, rng, a, category)) for a in wishes))
        relation = _one(rng, shares)
        listing = catalogue.pick(rng, _query_want(relation, asked))
        case = Case(task, (_item(task, "product", listing, rng),), asked=asked)
        target = relation if "yes" not in case.answers else ("yes" if relation == "B" else "no")
        return Drawn(case, (listing,), target, (("relation", relation),))

    return draw


def _sentiment(world: World, catalogue: Catalogue, rng: random.Random) -> Drawn:
    task = "sentiment_analysis"
    listing = catalogue.pick(rng)
    opinion = _one(rng, OPINIONS)
    said = opinion if rng.random() < OPINION_MENTION else None
    rating = tuple(OPINIONS).index(opinion) + world.domains["damage"].index(listing.product.damage)
    case = Case(task, (_item(task, "review", listing, rng),), opinion=said)
    return Drawn(case, (listing,), LETTERS[rating], (("opinion", opinion),))


def _customer(
    world: World, catalogue: Catalogue, rng: random.Random
) -> tuple[Stated, list[Listing], Callable[..., Listing]]:
    """Return a taste, a history that follows it, and how a further listing is picked that follows it at some share."""
    attribute = rng.choice(TASTES)
    taste: Stated = ((attribute, _prior_value(world, rng, attribute, "")),)
    used: dict[str, Listing] = {}

    def pick(faithful: float, otherwise: Want = ANY) -> Listing:
        listing = catalogue.pick(rng, having(taste) if rng.random() < faithful else otherwise, used)
        used[listing.listing_id] = listing
        return listing

    return taste, [pick(TASTE_IN_HISTORY) for _ in range(rng.choice(HISTORY_LENGTHS))], pick


def _missing(taste: Stated) -> Want:
    """Return the condition that a product does not suit a taste."""
    return having((), f"not {taste}", lambda product: all(product.get(name) != value for name, value in taste))


def _recommendation(world: World, catalogue: Catalogue, rng: random.Random) -> Drawn:
    task = "sequential_recommendation"
    taste, history, pick = _customer(world, catalogue, rng)
    place = rng.randrange(SR_OPTIONS)
    options = [pick(TASTE_IN_TARGET)]
    options += [pick(0.0, _missing(taste)) for _ in range(SR_OPTIONS - 1)]
    options[0], options[place] = options[place], options[0]
    items = tuple(
        _titled(task, f"{group}[{i}]", listing)
        for group, listings in (("history", history), ("options", options))
        for i, listing in enumerate(listings)
    )
    return Drawn(Case(task, items), (*history, *options), LETTERS[place], taste)


def _click(world: World, catalogue: Catalogue, rng: random.Random) -> Drawn:
    task = "click_through_prediction"
    taste, history, pick = _customer(world, catalogue, rng)
    click = rng.random() < CLICK_SHARE
    offered = pick(TASTE_IN_TARGET if click else 0.0)
    items = [_titled(task, f"history[{i}]", listing) for i, listing in enumerate(history)]
    items.append(_titled(task, "candidate", offered))
    return Drawn(Case(task, tuple(items)), (*history, offered), "yes" if click else "no", taste)


DRAW: Mapping[str, Draw] = MappingProxyType(
    {
        "answerability_prediction": _answerability,
        "binary_question_answering": _whether,
        "click_through_prediction": _click,
        "category_classification": _category,
        "product_relation_prediction": _relation,
        "product_substitute_identification": _query("product_substitute_identification", PSI_SHARES),
        "multiclass_product_classification": _query("multiclass_product_classification", MPC_SHARES),
        "sentiment_analysis": _sentiment,
        "sequential_recommendation": _recommendation,
    }
)
"""One draw per task, by its name."""
