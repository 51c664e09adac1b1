"""The ceilings against brute force: every product, every kind of photo, by the plain definitions in world.py."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from lookwise.bazaar.cases import (
    ASKED_COUNT,
    MPC_SHARES,
    OPINIONS,
    PRP_SHARES,
    PSI_SHARES,
    TASKS,
    TASTE_IN_HISTORY,
    TASTE_IN_TARGET,
    TASTES,
    YES_SHARE,
    Case,
    Drawn,
    Item,
    Stated,
    world_of,
)
from lookwise.bazaar.catalogue import Catalogue
from lookwise.bazaar.ceiling import Ceiling, decide, face_value, predictions, utilities
from lookwise.bazaar.samples import make_split, split_world
from lookwise.bazaar.tasks import DRAW
from lookwise.bazaar.world import COMPANIONS, DEPARTMENTS, KINDS, Product, View, World, in_domain, view_likelihood

TINY = World(
    categories=("mug", "teapot", "lamp"),
    domains={
        "colour": ("red", "blue", "black"),
        "pattern": ("plain", "striped"),
        "count": (1, 2),
        "mark": ("star", "ring"),
        "damage": ("intact", "scratched", "broken"),
        "size": ("small", "large"),
        "style": ("classic", "modern"),
    },
    prior={
        "colour": (0.5, 0.3, 0.2),
        "pattern": (0.7, 0.3),
        "count": (0.6, 0.4),
        "mark": (0.8, 0.2),
        "damage": (0.6, 0.25, 0.15),
        "size": (0.5, 0.5),
        "style": (0.3, 0.7),
    },
    materials={"mug": ("metal", "glass"), "teapot": ("metal", "glass", "plastic"), "lamp": ("wood", "plastic")},
)
Weighted = list[tuple[Product, float]]


def every_product(world: World) -> Weighted:
    names = ("category", *world.domains)
    found = []
    for values in itertools.product(world.categories, *world.domains.values()):
        fixed = dict(zip(names, values, strict=True))
        chance = float(np.prod([world.probability(n, v) for n, v in fixed.items()]))
        for material in world.materials[fixed["category"]]:
            product = Product(material=material, **fixed)
            found.append((product, chance * world.probability("material", material, product.category)))
    return [(p, w) for p, w in found if w > 0]


def fits(product: Product, stated: Stated) -> bool:
    for name, value in stated:
        if name == "department":
            if product.category not in DEPARTMENTS[value]:
                return False
        elif product.get(name) != value:
            return False
    return True


def evidence(world: World, product: Product, stated: Stated, view: View | None) -> float:
    if not fits(product, stated):
        return 0.0
    if view is None:
        return 1.0
    return sum(world.shares[k] * view_likelihood(world, view, product, k) for k in KINDS)


def brute_force(whole: World, case: Case, views: list[View | None]) -> dict[str, float]:
    """P(answer | text, views), summed over products one by one."""
    world = world_of(case.task, whole)
    prior = every_product(world)
    seen = [
        [(p, w * e) for p, w in prior if (e := evidence(world, p, item.stated, view)) > 0]
        for item, view in zip(case.items, views, strict=True)
    ]
    joint = BRUTE[case.task](world, case, prior, seen)
    total = sum(joint.values())
    return {answer: joint[answer] / total for answer in case.answers}


def ap(world: World, case: Case, prior: Weighted, seen: list[Weighted]) -> dict[str, float]:
    joint = {"yes": 0.0, "no": 0.0}
    ((name, value),) = case.asked
    for product, weight in seen[0]:
        if product.get(name) == value:
            joint["yes"] += weight * YES_SHARE
        else:
            joint["no"] += weight * (1 - YES_SHARE) / (len(world.values(name)) - 1)
    return joint


def cc(world: World, case: Case, prior: Weighted, seen: list[Weighted]) -> dict[str, float]:
    joint = dict.fromkeys(case.answers, 0.0)
    for product, weight in seen[0]:
        if product.category in case.choices:
            joint[case.answers[case.choices.index(product.category)]] += weight
    return joint


def related(label: str, one: Product, two: Product) -> bool:
    same = one.category == two.category
    if label == "A":
        return not same
    if label == "B":
        return same and one.colour != two.colour
    return same and (one.colour, one.pattern) == (two.colour, two.pattern)


def prp(world: World, case: Case, prior: Weighted, seen: list[Weighted]) -> dict[str, float]:
    joint = dict.fromkeys(PRP_SHARES, 0.0)
    for label, share in PRP_SHARES.items():
        chance: dict[tuple[str, str, str], float] = {}
        for one, weight in seen[0]:
            key = (one.category, one.colour, one.pattern)
            if key not in chance:
                chance[key] = sum(w for two, w in prior if related(label, one, two))
            mass = sum(w for two, w in seen[1] if related(label, one, two))
            joint[label] += share * weight * mass / chance[key]
    return joint


def query(shares: Mapping[str, float]) -> Callable[..., dict[str, float]]:
    def weigh(world: World, case: Case, prior: Weighted, seen: list[Weighted]) -> dict[str, float]:
        (_, category), *wishes = case.asked

        def label(product: Product) -> str:
            if product.category == category:
                return "A" if all(product.get(n) == v for n, v in wishes) else "B"
            return "C" if product.category == COMPANIONS[category] else "D"

        chance: dict[str, float] = defaultdict(float)
        mass: dict[str, float] = defaultdict(float)
        for product, weight in prior:
            chance[label(product)] += weight
        for product, weight in seen[0]:
            mass[label(product)] += weight
        joint = {x: shares[x] * mass[x] / chance[x] for x in shares}
        if "yes" not in case.answers:
            return joint
        return {"yes": joint["B"], "no": sum(v for x, v in joint.items() if x != "B")}

    return weigh


def sa(world: World, case: Case, prior: Weighted, seen: list[Weighted]) -> dict[str, float]:
    joint = dict.fromkeys(case.answers, 0.0)
    for i, (opinion, share) in enumerate(OPINIONS.items()):
        if case.opinion in (None, opinion):
            for product, weight in seen[0]:
                joint["ABCDE"[i + ("intact", "scratched", "broken").index(product.damage)]] += share * weight
    return joint


def sr(world: World, case: Case, prior: Weighted, seen: list[Weighted]) -> dict[str, float]:
    """For each taste, an item is a draw from the prior, from the prior given the taste, or given that it misses it."""
    history = [i for i, item in enumerate(case.items) if item.slot.startswith("history")]
    options = [i for i, item in enumerate(case.items) if item.slot.startswith("options")]
    joint = dict.fromkeys(case.answers, 0.0)
    for name in TASTES:
        for value in world.domains[name]:
            chance = sum(w for p, w in prior if p.get(name) == value)
            plain = [sum(w for _, w in item) for item in seen]
            loyal = [sum(w for p, w in item if p.get(name) == value) / chance for item in seen]
            missing = [sum(w for p, w in item if p.get(name) != value) / (1 - chance) for item in seen]
            weight = chance / len(TASTES)
            for i in history:
                weight *= TASTE_IN_HISTORY * loyal[i] + (1 - TASTE_IN_HISTORY) * plain[i]
            for answer, target in zip(case.answers, options, strict=True):
                term = TASTE_IN_TARGET * loyal[target] + (1 - TASTE_IN_TARGET) * plain[target]
                joint[answer] += weight * term * float(np.prod([missing[i] for i in options if i != target]))
    return joint


BRUTE = {
    "answerability_prediction": ap,
    "category_classification": cc,
    "product_relation_prediction": prp,
    "product_substitute_identification": query(PSI_SHARES),
    "multiclass_product_classification": query(MPC_SHARES),
    "sentiment_analysis": sa,
    "sequential_recommendation": sr,
}


def draw_many(world: World, task: str, count: int, seed: int) -> list[Drawn]:
    rng = random.Random(seed)
    shop = world_of(task, world)
    catalogue = Catalogue(shop, "tiny", 60, rng)
    return [DRAW[task](world, catalogue, rng) for _ in range(count)]


@pytest.mark.parametrize("task", TASKS)
def test_posterior_equals_brute_force(task: str) -> None:
    ceiling = Ceiling(TINY)
    count = 2 if task == "sequential_recommendation" else 8
    for i, drawn in enumerate(draw_many(TINY, task, count, 5)):
        full: list[View | None] = [listing.photo.view for listing in drawn.listings]
        part = [view if j % 2 == i % 2 else None for j, view in enumerate(full)]
        for views in (full, part, [None] * len(full)):
            exact = brute_force(TINY, drawn.case, views)
            found = ceiling.posterior(drawn.case, views)
            assert found == pytest.approx(exact, abs=1e-9)
            assert found[drawn.target] > 0


@pytest.mark.parametrize("view", [View("mug", "red", "plain", 1, "star", "intact"), View("lamp", "blue"), View()])
def test_every_kind_of_view_equals_brute_force(view: View) -> None:
    case = Case("category_classification", (Item("product", (("department", "kitchen"), ("colour", "red"))),))
    case = replace(case, choices=TINY.categories)
    found = Ceiling(TINY).posterior(case, [view]) if view != View("lamp", "blue") else None
    if found is None:  # a covered lamp cannot be a kitchen item: the model rules it out
        assert sum(Ceiling(TINY).posterior(case, [view]).values()) == 0
    else:
        assert found == pytest.approx(brute_force(TINY, case, [view]), abs=1e-9)


def test_text_posterior_is_the_posterior_with_no_picture_looked_at() -> None:
    ceiling = Ceiling(in_domain())
    for task in TASKS:
        for drawn in draw_many(in_domain(), task, 3, 9):
            assert ceiling.posterior(drawn.case) == ceiling.posterior(drawn.case, [None] * len(drawn.listings))


@pytest.fixture(scope="module")
def scored() -> list[tuple[str, float, float, bool, bool]]:
    """Task, confidence of both ceilings, and whether each was right, on in-domain samples of the full shop."""
    ceiling = Ceiling(split_world("test"))
    rows = []
    for made in make_split(11, "test", 120):
        views = [listing.photo.view for listing in made.drawn.listings]
        text, seen = ceiling.posterior(made.drawn.case), ceiling.posterior(made.drawn.case, views)
        target = made.drawn.target
        rows.append(
            (
                made.drawn.case.task,
                max(text.values()),
                max(seen.values()),
                decide(text) == target,
                decide(seen) == target,
            )
        )
    return rows


def test_posteriors_are_calibrated(scored: list[tuple[str, float, float, bool, bool]]) -> None:
    for confidence, right in ((1, 3), (2, 4)):
        expected = np.array([row[confidence] for row in scored])
        spread = float(np.sqrt((expected * (1 - expected)).sum())) / len(scored)
        assert abs(float(np.mean([row[right] for row in scored])) - float(expected.mean())) < 3 * spread


def test_pictures_lift_every_task(scored: list[tuple[str, float, float, bool, bool]]) -> None:
    for task in TASKS:
        rows = [row for row in scored if row[0] == task]
        assert np.mean([r[2] for r in rows]) > np.mean([r[1] for r in rows]) + 0.03, task


def test_face_value_replaces_words_and_drops_an_impossible_material() -> None:
    item = Item("product", (("department", "kitchen"), ("colour", "red"), ("material", "glass"), ("size", "small")))
    seen = face_value(in_domain(), item, View("shirt", "blue"))
    assert dict(seen.stated) == {"category": "shirt", "colour": "blue", "size": "small"}
    assert face_value(in_domain(), item, View()) == item
    assert face_value(in_domain(), item, None) == item


def test_naive_sets_a_picture_aside_that_leaves_no_answer() -> None:
    case = Case("category_classification", (Item("product", ()),), choices=("mug", "lamp"))
    ceiling = Ceiling(in_domain())
    assert ceiling.naive(case, [View("shirt", "blue")]) == {"A": 0.5, "B": 0.5}
    assert ceiling.naive(case, [View("lamp", "blue")]) == {"A": 0.0, "B": 1.0}


def test_utility_rows_name_label_gain_and_kind() -> None:
    ceiling = Ceiling(split_world("val"))
    for made in make_split(4, "val", 6):
        rows = utilities(ceiling, made.sample.id, made.drawn)
        pictures = [row for row in rows if row.slot is not None]
        assert [row.slot for row in pictures] == [visual.slot for visual in made.sample.visuals]
        assert [row.kind for row in pictures] == [listing.photo.kind for listing in made.drawn.listings]
        assert (len(rows) > len(pictures)) == (len(pictures) > 1)
        for row in rows:
            assert row.source == "truth"
            assert row.reader == "scripted:naive"
            assert (
                row.label
                == {(0, 1): "helpful", (0, 0): "ineffective", (1, 1): "redundant", (1, 0): "misleading"}[
                    (int(bool(row.text_right)), int(bool(row.visual_right)))
                ]
            )
            if row.kind == "blank":
                assert row.gain == 0
            if row.label == "helpful":
                assert row.gain is not None
                assert row.gain > 0


def test_predictions_are_rows_of_the_sample() -> None:
    made = next(iter(make_split(4, "val", 1)))
    text, seen = predictions(Ceiling(split_world("val")), made.sample, made.drawn)
    assert (text.policy, text.model) == ("ceiling/text", "scripted:ceiling-text")
    assert (seen.policy, seen.model) == ("ceiling/pictures", "scripted:ceiling-pictures")
    assert {text.sample_id, seen.sample_id} == {made.sample.id}
    assert text.answer in made.drawn.case.answers
    assert len(text.option_scores) == len(made.drawn.case.answers)


def test_equal_chances_go_to_the_first_answer() -> None:
    assert decide({"A": 0.25, "B": 0.25 + 1e-13, "C": 0.5 - 1e-13}) == "C"
    assert decide({"A": 0.5, "B": 0.5 + 1e-13}) == "A"


def test_queries_ask_one_or_two_attributes() -> None:
    assert set(ASKED_COUNT) == {1, 2}
