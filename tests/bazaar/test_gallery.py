"""Eight photos of a listing: declared shares, views that show what they should, and inference equal to brute force."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import numpy as np
import pytest
from PIL import ImageChops, ImageStat

from lookwise.bazaar.cases import CLICK_SHARE, TASTE_IN_HISTORY, TASTE_IN_TARGET, TASTES, WHETHER_SHARE, world_of
from lookwise.bazaar.catalogue import Catalogue
from lookwise.bazaar.ceiling import decide
from lookwise.bazaar.close_up import draw_shot
from lookwise.bazaar.gallery import (
    RIGHT,
    SHARES,
    SHOT_KINDS,
    GalleryReckoner,
    belief_of_all,
    gallery,
    gallery_ceiling,
    gallery_predictions,
    gallery_utilities,
)
from lookwise.bazaar.samples import split_world
from lookwise.bazaar.tasks import DRAW
from lookwise.bazaar.world import DEPARTMENTS, UNSEEN, VISIBLE, Product, View, World, in_domain
from lookwise.benchmarks.ecommmmu import CANDIDATES

TINY = World(
    categories=("mug", "teapot"),
    domains={
        "colour": ("red", "blue"),
        "pattern": ("plain", "striped"),
        "count": (1, 2),
        "mark": ("star", "ring"),
        "damage": ("intact", "broken"),
        "size": ("small", "large"),
        "style": ("classic", "modern"),
    },
    prior={
        "colour": (0.6, 0.4),
        "pattern": (0.7, 0.3),
        "count": (0.6, 0.4),
        "mark": (0.8, 0.2),
        "damage": (0.75, 0.25),
        "size": (0.5, 0.5),
        "style": (0.3, 0.7),
    },
    materials={"mug": ("metal", "glass"), "teapot": ("metal", "glass", "plastic")},
)
SHOWN = {
    "view": VISIBLE,
    "other": VISIBLE,
    "detail": ("colour", "pattern", "damage"),
    "packaging": ("count", "mark"),
    "use": ("category", "colour"),
    "blank": (),
}


def every_product(world: World) -> list[tuple[Product, float]]:
    names = ("category", *world.domains)
    found = []
    for values in itertools.product(world.categories, *world.domains.values()):
        fixed = dict(zip(names, values, strict=True))
        chance = float(np.prod([world.probability(n, v) for n, v in fixed.items()]))
        for material in world.materials[str(fixed["category"])]:
            made = Product(material=material, **fixed)  # type: ignore[arg-type]
            found.append((made, chance * world.probability("material", material, made.category)))
    return [(p, w) for p, w in found if w > 0]


def likelihood(world: World, view: View, product: Product) -> float:
    """P(view | product), kind by kind, from the definitions."""
    total = 0.0
    for kind in SHOT_KINDS:
        shown = {name for name in VISIBLE if view.get(name) is not None}
        if shown != set(SHOWN[kind]):
            continue
        if kind == "other":
            total += SHARES[kind] * float(np.prod([world.probability(n, view.get(n)) for n in VISIBLE]))  # type: ignore[arg-type]
        else:
            total += SHARES[kind] * all(view.get(n) == product.get(n) for n in shown)
    return total


def weights(world: World, stated: tuple[tuple[str, str | int], ...], views: list[View]) -> list[tuple[Product, float]]:
    found = []
    for product, weight in every_product(world):
        fits = all(
            product.category in DEPARTMENTS[str(v)] if n == "department" else product.get(n) == v for n, v in stated
        )
        chance = weight * fits * float(np.prod([likelihood(world, view, product) for view in views]))
        found.append((product, chance))
    return found


@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_belief_equals_brute_force_after_any_number_of_photos(count: int) -> None:
    reckoner = GalleryReckoner(TINY)
    rng = random.Random(count)
    catalogue = Catalogue(TINY, "tiny", 12, rng)
    stated: tuple[tuple[str, str | int], ...] = (("department", "kitchen"), ("size", "small"))
    for listing in [catalogue.pick(rng) for _ in range(5)]:
        own = tuple((n, v) for n, v in stated if n == "department" or listing.product.get(n) == v)
        views = [shot.view for shot in gallery(TINY, listing)][:count]
        brute = weights(TINY, own, views)
        belief = belief_of_all(reckoner, own, views)
        assert belief.mass({}) == pytest.approx(sum(w for _, w in brute), rel=1e-9)
        for name in ("category", "colour", "mark", "material", "style"):
            for value in TINY.values(name):
                exact = sum(w for p, w in brute if p.get(name) == value)
                assert belief.mass({name: reckoner.mask(name, value)}) == pytest.approx(exact, rel=1e-9, abs=1e-15)
        if count == 1:
            assert reckoner.belief(own, views[0]).mass({}) == pytest.approx(belief.mass({}))


def test_whether_equals_brute_force() -> None:
    ceiling = gallery_ceiling(TINY)
    shop = world_of("", TINY)
    rng = random.Random(4)
    catalogue = Catalogue(shop, "tiny", 40, rng)
    seen = Counter()
    for i in range(30):
        drawn = DRAW["binary_question_answering"](TINY, catalogue, rng)
        ((name, value),) = drawn.case.asked
        views = [shot.view for shot in gallery(shop, drawn.listings[0])][: i % 3]
        brute = weights(shop, drawn.case.items[0].stated, views)
        yes = WHETHER_SHARE * sum(w for p, w in brute if p.get(name) == value)
        no = (1 - WHETHER_SHARE) * sum(w for p, w in brute if p.get(name) != value) / (len(shop.values(name)) - 1)
        belief = belief_of_all(ceiling.reckoner(drawn.case.task), drawn.case.items[0].stated, views)
        found = ceiling.weighed(drawn.case, [belief])
        if name in UNSEEN and name not in dict(drawn.case.items[0].stated):
            assert found == {"yes": 0.0, "no": 0.0, "cannot answer": 1.0}
            assert drawn.target == "cannot answer"
        else:
            assert found == pytest.approx({"yes": yes / (yes + no), "no": no / (yes + no), "cannot answer": 0.0})
            assert drawn.target == ("yes" if drawn.listings[0].product.get(name) == value else "no")
        seen[drawn.target] += 1
    assert set(seen) == {"yes", "no", "cannot answer"}


def test_click_equals_brute_force() -> None:
    ceiling = gallery_ceiling(TINY)
    shop = world_of("", TINY)
    rng = random.Random(6)
    catalogue = Catalogue(shop, "tiny", 40, rng)
    prior = every_product(shop)
    for i in range(4):
        drawn = DRAW["click_through_prediction"](TINY, catalogue, rng)
        assert [item.slot for item in drawn.case.items][-1] == "candidate"
        views = [[s.view for s in gallery(shop, listing)][: i % 3] for listing in drawn.listings]
        brute = [weights(shop, item.stated, v) for item, v in zip(drawn.case.items, views, strict=True)]
        joint = {"yes": 0.0, "no": 0.0}
        for name in TASTES:
            for value in shop.domains[name]:
                chance = sum(w for p, w in prior if p.get(name) == value)
                plain = [sum(w for _, w in item) for item in brute]
                loyal = [sum(w for p, w in item if p.get(name) == value) / chance for item in brute]
                weight = chance / len(TASTES)
                for one, other in zip(loyal[:-1], plain[:-1], strict=True):
                    weight *= TASTE_IN_HISTORY * one + (1 - TASTE_IN_HISTORY) * other
                click = TASTE_IN_TARGET * loyal[-1] + (1 - TASTE_IN_TARGET) * plain[-1]
                joint["yes"] += weight * CLICK_SHARE * click
                joint["no"] += weight * (1 - CLICK_SHARE) * plain[-1]
        reckoner = ceiling.reckoner(drawn.case.task)
        beliefs = [belief_of_all(reckoner, x.stated, v) for x, v in zip(drawn.case.items, views, strict=True)]
        total = sum(joint.values())
        assert ceiling.weighed(drawn.case, beliefs) == pytest.approx({a: w / total for a, w in joint.items()}, rel=1e-9)


def test_galleries_belong_to_their_listings_and_show_what_their_kind_shows() -> None:
    world = in_domain()
    rng = random.Random(2)
    catalogue = Catalogue(world, "shop", 400, rng)
    counts: Counter[str] = Counter()
    for listing in {catalogue.pick(rng) for _ in range(300)}:
        shots = gallery(world, listing)
        assert shots == gallery(world, listing)
        assert len(shots) == CANDIDATES
        for shot in shots:
            counts[shot.kind] += 1
            seen = {name for name in VISIBLE if shot.view.get(name) is not None}
            assert seen == set(SHOWN[shot.kind])
            if shot.kind in RIGHT:
                assert all(shot.view.get(name) == listing.product.get(name) for name in seen)
    total = counts.total()
    assert sum(SHARES.values()) == pytest.approx(1)
    for kind, share in SHARES.items():
        assert abs(counts[kind] / total - share) < 4 * (share * (1 - share) / total) ** 0.5, kind


def test_utilities_are_one_row_a_candidate_for_all_products_at_once() -> None:
    world = split_world("val")
    ceiling = gallery_ceiling(world)
    rng = random.Random(8)
    catalogue = Catalogue(world_of("", world), "val", 200, rng)
    for _ in range(12):
        drawn = DRAW["product_relation_prediction"](world, catalogue, rng)
        rows = gallery_utilities(ceiling, "s", drawn)
        assert [row.candidate for row in rows] == list(range(CANDIDATES))
        assert {row.slot for row in rows} == {None}
        assert all(row.kind is not None and len(row.kind.split(",")) == 2 for row in rows)
        for row in rows:
            if row.kind == "blank,blank":
                assert row.gain == 0
            assert row.text_right == rows[0].text_right


def test_the_exact_reader_of_all_photos_beats_that_of_the_text() -> None:
    world = split_world("test")
    ceiling = gallery_ceiling(world)
    rng = random.Random(5)
    catalogue = Catalogue(world_of("", world), "test", 300, rng)
    right: Counter[str] = Counter()
    for task in ("binary_question_answering", "click_through_prediction", "product_relation_prediction"):
        for _ in range(60):
            drawn = DRAW[task](world, catalogue, rng)
            views = [[s.view for s in gallery(world_of(task, world), x)] for x in drawn.listings]
            reckoner = ceiling.reckoner(task)
            beliefs = [belief_of_all(reckoner, i.stated, v) for i, v in zip(drawn.case.items, views, strict=True)]
            right["text"] += decide(ceiling.posterior(drawn.case)) == drawn.target
            right["all"] += decide(ceiling.weighed(drawn.case, beliefs)) == drawn.target
    assert right["all"] > right["text"] + 20


def test_close_ups_differ_by_what_they_show_and_equal_seeds_are_equal_pictures() -> None:
    detail = View(colour="blue", pattern="striped", damage="intact")
    box = View(count=2, mark="star")
    assert draw_shot(detail, 3, 64).tobytes() == draw_shot(detail, 3, 64).tobytes()
    assert draw_shot(detail, 3, 64).size == (64, 64)
    for one, other in (
        (detail, View(colour="red", pattern="striped", damage="intact")),
        (detail, View(colour="blue", pattern="dotted", damage="intact")),
        (detail, View(colour="blue", pattern="striped", damage="broken")),
        (detail, View(colour="blue", pattern="striped", damage="scratched")),
        (box, View(count=3, mark="star")),
        (box, View(count=2, mark="moon")),
    ):
        changed = ImageChops.difference(draw_shot(one, 7, 64), draw_shot(other, 7, 64))
        assert sum(ImageStat.Stat(changed).mean) > 1.5


def test_predictions_of_a_gallery_are_rows_of_both_exact_readers() -> None:
    from lookwise.bazaar.ecom import make_ecom_split

    made = next(iter(make_ecom_split(4, "val", 1, ("sequential_recommendation",))))
    text, seen = gallery_predictions(gallery_ceiling(split_world("val")), made.sample, made.drawn)
    assert (text.policy, seen.policy) == ("ceiling/text", "ceiling/pictures")
    assert len(text.option_scores) == 20
