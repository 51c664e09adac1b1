"""The best that anybody could answer: exact posteriors of the shop's generative model, as scripted readers.

In: a `Case` (what the text of a sample says) and, where pictures are looked at, the `View` of each.  Out: a probability
per answer, predictions as rows, and what each picture is worth to the naive reader.  It knows the model that tasks.py
draws from and the shares of photo kinds; it never sees a product, a photo's kind or the answer (`utilities` compares
with the answer afterwards).

Three readers:
ceiling-text      the exact posterior from the text alone: no reader of text can be right more often
ceiling-pictures  the exact posterior from text and pictures, knowing how often photos of each kind occur
naive             the exact text posterior; a picture's attributes replace what the text says of that item, at face
                  value.  A stated material that the seen category does not come in is dropped; a picture that leaves
                  no answer possible is set aside
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from lookwise.bazaar.belief import Belief, Reckoner, Vector
from lookwise.bazaar.cases import (
    CLICK_SHARE,
    MPC_SHARES,
    OPINIONS,
    PRP_SHARES,
    PSI_SHARES,
    TASTE_IN_HISTORY,
    TASTE_IN_TARGET,
    TASTES,
    WHETHER_SHARE,
    YES_SHARE,
    Case,
    Drawn,
    Item,
    value_of,
    world_of,
)
from lookwise.bazaar.world import COMPANIONS, UNSEEN, VISIBLE, View, World
from lookwise.benchmarks.utility import utility_label
from lookwise.rows import Prediction, Utility
from lookwise.sample import Sample

__all__ = [
    "NAIVE",
    "Ceiling",
    "Views",
    "ceiling_row",
    "decide",
    "face_value",
    "predictions",
    "utilities",
    "utility_row",
]

NAIVE = "scripted:naive"
Views = Sequence[View | None]
"""One per item; None where its picture is not looked at."""
_FLOOR = 1e-6


class Ceiling:
    """Exact posteriors for all tasks in one world (the whole world: `world_of` gives each task its own).

    `reckoner` knows the kinds of photos; by default those of one photo a listing.
    """

    def __init__(self, world: World, reckoner: Callable[[World], Reckoner] = Reckoner) -> None:
        self._shop = reckoner(world_of("", world))
        self._reviews = reckoner(world)

    def reckoner(self, task: str) -> Reckoner:
        """Return the inference over the world that a task's items come from."""
        return self._reviews if task == "sentiment_analysis" else self._shop

    def posterior(self, case: Case, views: Views | None = None) -> dict[str, float]:
        """Return P(answer | text, the views looked at); all zeros where the model holds them to be impossible."""
        reckoner = self.reckoner(case.task)
        seen = views if views is not None else [None] * len(case.items)
        return self.weighed(case, [reckoner.belief(i.stated, v) for i, v in zip(case.items, seen, strict=True)])

    def weighed(self, case: Case, beliefs: Sequence[Belief]) -> dict[str, float]:
        """Return P(answer | what is believed of each item)."""
        weights = _WEIGH[case.task](self.reckoner(case.task), case, beliefs)
        total = sum(weights)
        return {a: w / total if total > 0 else 0.0 for a, w in zip(case.answers, weights, strict=True)}

    def naive(self, case: Case, views: Views) -> dict[str, float]:
        """Return the naive reader's posterior: what it sees replaces what it read."""
        world = self._reviews.world
        believed = replace(case, items=tuple(face_value(world, i, v) for i, v in zip(case.items, views, strict=True)))
        posterior = self.posterior(believed)
        return posterior if sum(posterior.values()) > 0 else self.posterior(case)


def face_value(world: World, item: Item, view: View | None) -> Item:
    """Return the item with every attribute that the picture shows in place of what the text states of it."""
    if view is None or view.blank:
        return item
    stated = dict(item.stated)
    seen = {name: value for name in VISIBLE if (value := view.get(name)) is not None}
    if "category" in seen:
        stated.pop("department", None)
        if stated.get("material") not in (None, *world.materials[str(seen["category"])]):
            del stated["material"]
    return Item(item.slot, tuple({**stated, **seen}.items()))


def decide(posterior: Mapping[str, float]) -> str:
    """Return the likeliest answer; of equals (to nine digits) the first."""
    return max(posterior, key=lambda answer: round(posterior[answer], 9))


def predictions(ceiling: Ceiling, sample: Sample, drawn: Drawn) -> tuple[Prediction, Prediction]:
    """Return what both ceilings answer, as rows; option scores are log-probabilities (nats)."""
    views = [listing.photo.view for listing in drawn.listings]
    return (
        ceiling_row(sample, "ceiling/text", ceiling.posterior(drawn.case)),
        ceiling_row(sample, "ceiling/pictures", ceiling.posterior(drawn.case, views)),
    )


def ceiling_row(sample: Sample, policy: str, posterior: Mapping[str, float]) -> Prediction:
    """Return what a posterior answers, as a row."""
    name = f"scripted:{policy.replace('/', '-')}"
    return Prediction(
        sample_id=sample.id,
        task=sample.task,
        split=sample.split,
        policy=policy,
        tuned_on="",
        reply=None,
        answer=decide(posterior),
        option_scores=tuple(_log(p) for p in posterior.values()),
        model=name,
        reader=name,
    )


def utilities(ceiling: Ceiling, sample_id: str, drawn: Drawn) -> tuple[Utility, ...]:
    """Return what each picture is worth to the naive reader, each alone; where there are several, all of them last."""
    text = ceiling.posterior(drawn.case)
    photos = [listing.photo for listing in drawn.listings]
    rows = []
    for i, (item, photo) in enumerate(zip(drawn.case.items, photos, strict=True)):
        alone = ceiling.naive(drawn.case, [photo.view if i == j else None for j in range(len(photos))])
        rows.append(utility_row(sample_id, item.slot, photo.kind, drawn.target, text, alone))
    if len(photos) > 1:
        together = ceiling.naive(drawn.case, [photo.view for photo in photos])
        rows.append(utility_row(sample_id, None, None, drawn.target, text, together))
    return tuple(rows)


def utility_row(
    sample_id: str,
    slot: str | None,
    kind: str | None,
    target: str,
    text: Mapping[str, float],
    seen: Mapping[str, float],
    candidate: int = 0,
) -> Utility:
    """Return what a picture (or all of one candidate number) is worth: the posterior with it against that without."""
    text_right, visual_right = decide(text) == target, decide(seen) == target
    return Utility(
        sample_id=sample_id,
        slot=slot,
        candidate=candidate,
        label=utility_label(text_right, visual_right),
        gain=_log(seen[target]) - _log(text[target]),
        probability=None,
        text_right=text_right,
        visual_right=visual_right,
        reader=NAIVE,
        source="truth",
        model=NAIVE,
        kind=kind,
    )


def _log(probability: float) -> float:
    return math.log(min(max(probability, _FLOOR), 1.0))


# ------------------------------------------------------------------------- one weight per answer, up to a common factor


def _answerability(r: Reckoner, case: Case, beliefs: Sequence[Belief]) -> list[float]:
    ((name, value),) = case.asked
    mask = r.mask(name, value)
    yes, no = beliefs[0].mass({name: mask}), beliefs[0].mass({name: 1 - mask})
    return [YES_SHARE * yes, (1 - YES_SHARE) * no / (len(mask) - 1)]


def _whether(r: Reckoner, case: Case, beliefs: Sequence[Belief]) -> list[float]:
    ((name, value),) = case.asked
    if name in UNSEEN and value_of(case.items[0].stated, name) is None:
        return [0.0, 0.0, 1.0]
    mask = r.mask(name, value)
    yes, no = beliefs[0].mass({name: mask}), beliefs[0].mass({name: 1 - mask})
    return [WHETHER_SHARE * yes, (1 - WHETHER_SHARE) * no / (len(mask) - 1), 0.0]


def _category(r: Reckoner, case: Case, beliefs: Sequence[Belief]) -> list[float]:
    return [beliefs[0].mass({"category": r.mask("category", c)}) for c in case.choices]


def _relation(r: Reckoner, case: Case, beliefs: Sequence[Belief]) -> list[float]:
    """Sum over both photos' kinds; each relation's mass is divided by its prior chance given product 1."""
    n = len(r.domains["category"])
    colour, pattern = r.prior["colour"], r.prior["pattern"]
    weights = np.zeros(3)
    for one in beliefs[0].terms:
        for two in beliefs[1].terms:
            c1, c2 = one.categories(), two.categories()
            k1, k2 = one.vectors["colour"], two.vectors["colour"]
            rest = one.rest("category", "colour", "pattern") * two.rest("category", "colour", "pattern")
            patterns = one.sums["pattern"] * two.sums["pattern"]
            other = (c1.sum() * c2.sum() - c1 @ c2) / (1 - 1 / n) * k1.sum() * k2.sum() * patterns
            recoloured = n * (c1 @ c2) * float((k1 / (1 - colour)) @ (k2.sum() - k2)) * patterns
            alike = (
                n * (c1 @ c2) * _same(k1, k2, colour) * _same(one.vectors["pattern"], two.vectors["pattern"], pattern)
            )
            weights += rest * np.array([other, recoloured, alike])
    return [share * float(w) for share, w in zip(PRP_SHARES.values(), weights, strict=True)]


def _same(one: Vector, two: Vector, prior: Vector) -> float:
    return float(np.divide(one * two, prior, out=np.zeros_like(prior), where=prior > 0).sum())


def _query(shares: Mapping[str, float]) -> Callable[[Reckoner, Case, Sequence[Belief]], list[float]]:
    def weigh(r: Reckoner, case: Case, beliefs: Sequence[Belief]) -> list[float]:
        (_, category), *wishes = case.asked
        own, companion = r.mask("category", category), r.mask("category", COMPANIONS[str(category)])
        exact = {"category": own, **{name: r.mask(name, value) for name, value in wishes}}
        prior = r.belief(())

        def lift(allowed: Mapping[str, Vector]) -> float:
            return beliefs[0].mass(allowed) / prior.mass(allowed)

        all_of, chance = beliefs[0].mass(exact), prior.mass(exact)
        some = (beliefs[0].mass({"category": own}) - all_of) / (prior.mass({"category": own}) - chance)
        apart = 1 - own - companion
        relations = (all_of / chance, max(some, 0.0), lift({"category": companion}), lift({"category": apart}))
        weights = [share * relation for share, relation in zip(shares.values(), relations, strict=True)]
        return weights if len(case.answers) == len(weights) else [weights[1], weights[0] + weights[2] + weights[3]]

    return weigh


def _sentiment(r: Reckoner, case: Case, beliefs: Sequence[Belief]) -> list[float]:
    damage = beliefs[0].over("damage")
    opinion = [share * float(case.opinion in (None, name)) for name, share in OPINIONS.items()]
    weights = np.convolve(opinion, damage)
    return [float(w) for w in weights] + [0.0] * (len(case.answers) - len(weights))


def _recommendation(r: Reckoner, case: Case, beliefs: Sequence[Belief]) -> list[float]:
    """The target suits the taste at its share; every other option is a draw from the prior given that it does not."""
    wanted, chance = _wanted(r, case, beliefs), _taste_values(r)
    lifts = np.array([_lifts(r, beliefs[i]) for i in case.indices("options")])
    misses = np.maximum(1 - chance * lifts, 0) / (1 - chance)
    one = np.ones_like(misses[:1])  # the product over all others is that over those before times that over those after
    others = (
        np.cumprod(np.vstack([one, misses[:-1]]), axis=0) * np.cumprod(np.vstack([one, misses[:0:-1]]), axis=0)[::-1]
    )
    weights: list[float] = ((TASTE_IN_TARGET * lifts + 1 - TASTE_IN_TARGET) * others @ wanted).tolist()
    return weights


def _click(r: Reckoner, case: Case, beliefs: Sequence[Belief]) -> list[float]:
    wanted = _wanted(r, case, beliefs)
    loyal = float(_lifts(r, beliefs[-1]) @ wanted)
    chance = float(wanted.sum())
    return [CLICK_SHARE * (TASTE_IN_TARGET * loyal + (1 - TASTE_IN_TARGET) * chance), (1 - CLICK_SHARE) * chance]


def _wanted(r: Reckoner, case: Case, beliefs: Sequence[Belief]) -> Vector:
    """Return P(taste, history); an item's lift is P(taste's value | item) / P(value)."""
    prior = _taste_values(r) / len(TASTES)
    history = np.ones_like(prior)
    for i in case.indices("history"):
        history *= TASTE_IN_HISTORY * _lifts(r, beliefs[i]) + 1 - TASTE_IN_HISTORY
    return prior * history


@lru_cache(8)
def _taste_values(r: Reckoner) -> Vector:
    """Return the prior of every value that may be a taste, attribute after attribute."""
    values: Vector = np.concatenate([r.prior[name] for name in TASTES])
    return values


@lru_cache(512)
def _lifts(r: Reckoner, belief: Belief) -> Vector:
    found, prior = np.concatenate([belief.over(name) for name in TASTES]), _taste_values(r)
    lifts: Vector = np.divide(found, prior, out=np.zeros_like(prior), where=prior > 0) / belief.mass({})
    return lifts


_WEIGH: Mapping[str, Callable[[Reckoner, Case, Sequence[Belief]], list[float]]] = MappingProxyType(
    {
        "answerability_prediction": _answerability,
        "binary_question_answering": _whether,
        "click_through_prediction": _click,
        "category_classification": _category,
        "product_relation_prediction": _relation,
        "product_substitute_identification": _query(PSI_SHARES),
        "multiclass_product_classification": _query(MPC_SHARES),
        "sentiment_analysis": _sentiment,
        "sequential_recommendation": _recommendation,
    }
)
