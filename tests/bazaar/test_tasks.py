"""The seven tasks: declared shares come out, answers follow from the truth, samples carry what their task needs."""

from __future__ import annotations

from collections import Counter

import pytest

from lookwise.bazaar import words
from lookwise.bazaar.cases import (
    CATEGORY_MENTION,
    HELD_OUT_SHARE,
    HISTORY_LENGTHS,
    MENTION,
    MPC_SHARES,
    OPINIONS,
    OUT_OF_DOMAIN_TASKS,
    PRP_SHARES,
    PSI_SHARES,
    TASKS,
    TASTE_IN_TARGET,
    YES_SHARE,
    query_categories,
)
from lookwise.bazaar.samples import HELD_OUT_SUBSET, Made, make_split, split_world
from lookwise.bazaar.world import COMPANIONS, OUT_OF_DOMAIN

N = 800


@pytest.fixture(scope="module")
def rows_of() -> dict[str, list[Made]]:
    by_task: dict[str, list[Made]] = {task: [] for task in TASKS}
    for made in make_split(3, "test", N):
        by_task[made.drawn.case.task].append(made)
    return by_task


def near(count: int, share: float, n: int = N) -> bool:
    """Within four standard deviations of the declared share."""
    return abs(count / n - share) < 4 * (share * (1 - share) / n) ** 0.5 + 1e-9


def test_class_shares(rows_of: dict[str, list[Made]]) -> None:
    ap = Counter(m.sample.target for m in rows_of["answerability_prediction"])
    assert near(ap["yes"], YES_SHARE)
    psi = Counter(m.sample.target for m in rows_of["product_substitute_identification"])
    assert near(psi["yes"], PSI_SHARES["B"])
    assert PSI_SHARES["B"] == pytest.approx(0.25)
    for task, shares in (
        ("product_relation_prediction", PRP_SHARES),
        ("multiclass_product_classification", MPC_SHARES),
    ):
        counts = Counter(m.sample.target for m in rows_of[task])
        assert all(near(counts[answer], share) for answer, share in shares.items()), counts
    opinions = Counter(dict(m.drawn.latent)["opinion"] for m in rows_of["sentiment_analysis"])
    assert all(near(opinions[name], share) for name, share in OPINIONS.items())
    for shares in (PRP_SHARES, MPC_SHARES, PSI_SHARES, OPINIONS):
        assert sum(shares.values()) == pytest.approx(1)


def test_mentions_do_not_depend_on_the_value(rows_of: dict[str, list[Made]]) -> None:
    for task in ("answerability_prediction", "sentiment_analysis"):
        items = [(m.drawn.case.items[0], m.drawn.listings[0].product) for m in rows_of[task]]
        for name, chance in MENTION[task].items():
            assert near(sum(name in dict(item.stated) for item, _ in items), chance), (task, name)
        exact, partial, _ = CATEGORY_MENTION[task]
        assert near(sum("category" in dict(item.stated) for item, _ in items), exact)
        assert near(sum("department" in dict(item.stated) for item, _ in items), partial)
        plain = [item for item, product in items if product.pattern == "plain"]
        assert near(sum("pattern" in dict(item.stated) for item in plain), MENTION[task]["pattern"], len(plain))


def test_statements_are_true(rows_of: dict[str, list[Made]]) -> None:
    for task in TASKS:
        for made in rows_of[task][:100]:
            for item, listing in zip(made.drawn.case.items, made.drawn.listings, strict=True):
                facts = dict(item.stated)
                facts.pop("department", None)
                assert all(listing.product.get(name) == value for name, value in facts.items())


def test_answers_follow_from_the_products(rows_of: dict[str, list[Made]]) -> None:
    for made in rows_of["answerability_prediction"]:
        ((name, value),) = made.drawn.case.asked
        assert (made.sample.target == "yes") == (made.drawn.listings[0].product.get(name) == value)
    for made in rows_of["category_classification"]:
        letters = {option[0]: option[3:] for option in made.sample.options}
        assert letters[made.sample.target or ""] == made.drawn.listings[0].product.category
        assert len(letters) == 6
    for made in rows_of["product_relation_prediction"]:
        one, two = (listing.product for listing in made.drawn.listings)
        same = one.category == two.category
        expected = "A" if not same else ("B" if one.colour != two.colour else "C")
        assert made.sample.target == expected
        assert expected != "C" or one.pattern == two.pattern
    for made in rows_of["multiclass_product_classification"]:
        product = made.drawn.listings[0].product
        (_, category), *wishes = made.drawn.case.asked
        met = all(product.get(name) == value for name, value in wishes)
        same = "A" if met else "B"
        other = "C" if product.category == COMPANIONS[str(category)] else "D"
        assert made.sample.target == (same if product.category == category else other)
    for made in rows_of["sentiment_analysis"]:
        damage = ("intact", "scratched", "broken").index(made.drawn.listings[0].product.damage)
        opinion = ("good", "fair", "poor").index(str(dict(made.drawn.latent)["opinion"]))
        assert made.sample.target == "ABCDE"[damage + opinion]


def test_recommendation_follows_the_taste(rows_of: dict[str, list[Made]]) -> None:
    rows = rows_of["sequential_recommendation"]
    loyal = 0
    for made in rows:
        ((name, value),) = made.drawn.latent
        history, options = made.drawn.case.indices("history"), made.drawn.case.indices("options")
        assert len(history) in HISTORY_LENGTHS
        assert len(options) == 20
        assert [o[:2] for o in made.sample.options] == [f"{letter}:" for letter in "ABCDEFGHIJKLMNOPQRST"]
        ids = [listing.listing_id for listing in made.drawn.listings]
        assert len(set(ids)) == len(ids)
        target = made.drawn.listings[options["ABCDEFGHIJKLMNOPQRST".index(made.sample.target or "")]]
        loyal += target.product.get(name) == value
        others = [made.drawn.listings[i] for i in options if made.drawn.listings[i] is not target]
        assert all(listing.product.get(name) != value for listing in others)
    assert loyal / N > TASTE_IN_TARGET - 0.04
    places = Counter(made.sample.target for made in rows)
    assert all(near(places[letter], 1 / 20) for letter in "ABCDEFGHIJKLMNOPQRST")


def test_a_listing_bears_one_title_in_all_recommendations(rows_of: dict[str, list[Made]]) -> None:
    titles: dict[tuple[str, str | None, str], set[str]] = {}
    for made in rows_of["sequential_recommendation"]:
        for i in made.drawn.case.indices("options"):
            listing = made.drawn.listings[i].listing_id
            text = made.sample.options[i - len(made.drawn.case.indices("history"))][3:]
            titles.setdefault((listing, made.sample.subset, "options"), set()).add(text)
    assert max(map(len, titles.values())) == 1
    assert len(titles) < sum(len(m.sample.options) for m in rows_of["sequential_recommendation"]) / 4


def test_words_state_the_facts(rows_of: dict[str, list[Made]]) -> None:
    for made in rows_of["category_classification"][:200]:
        facts = {k: v for k, v in made.drawn.case.items[0].stated if k != "department"}
        assert {k: v for k, v in words.facts_in(made.sample.text("title")).items() if k != "department"} == facts


def test_held_out_wording_is_a_marked_share_of_the_test_split_only(rows_of: dict[str, list[Made]]) -> None:
    rows = list(rows_of["category_classification"])
    assert near(sum(made.sample.subset == HELD_OUT_SUBSET for made in rows), HELD_OUT_SHARE)
    assert all((made.family == words.HELD_OUT) == (made.sample.subset == HELD_OUT_SUBSET) for made in rows)
    for split in ("train", "val", "ood"):
        assert all(made.family in words.FAMILIES and made.sample.subset is None for made in make_split(3, split, 20))


def test_splits_share_no_listing_and_ood_its_own_categories() -> None:
    seen: dict[str, set[str]] = {}
    for split in ("train", "val", "test", "ood"):
        made = list(make_split(3, split, 10))
        assert {m.drawn.case.task for m in made} == set(OUT_OF_DOMAIN_TASKS if split == "ood" else TASKS)
        seen[split] = {listing.listing_id for m in made for listing in m.drawn.listings}
        out = {listing.product.category in OUT_OF_DOMAIN for m in made for listing in m.drawn.listings}
        assert out == {split == "ood"}
    assert sum(len(ids) for ids in seen.values()) == len(set().union(*seen.values()))


def test_same_seed_same_samples_and_ids() -> None:
    one, two = list(make_split(8, "val", 4)), list(make_split(8, "val", 4))
    assert one == two
    assert one != list(make_split(9, "val", 4))
    assert [m.sample.id for m in one[:2]] == [
        "answerability_prediction/val/00000",
        "answerability_prediction/val/00001",
    ]


def test_queries_only_ask_for_categories_whose_companion_is_sold() -> None:
    world = split_world("train")
    assert "knife" not in query_categories(world)  # its companion, the pan, is kept for the out-of-domain test
    assert all(COMPANIONS[c] in world.categories for c in query_categories(world))
