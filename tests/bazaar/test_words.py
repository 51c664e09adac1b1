"""The shop's language states exactly the facts it is given, in every family, and captions can be read back."""

import random
import re

import pytest

from lookwise.bazaar import words
from lookwise.bazaar.world import KINDS, MARKS, VISIBLE, View, draw_product, in_domain, out_of_domain, see
from lookwise.bazaar.world import department as department_of

ALL = (*words.FAMILIES, words.HELD_OUT)
ATTRIBUTES = ("colour", "pattern", "count", "mark", "material", "size", "style")


def random_facts(rng: random.Random) -> dict[str, str | int]:
    product = draw_product(rng.choice((in_domain(), out_of_domain())), rng)
    facts = {name: product.get(name) for name in ATTRIBUTES if rng.random() < 0.5}
    noun = rng.choice(("category", "department", "neither"))
    if noun == "category":
        facts["category"] = product.category
    elif noun == "department":
        facts["department"] = department_of(product.category)
    return facts


@pytest.mark.parametrize("family", ALL)
def test_every_text_states_exactly_its_facts(family: str) -> None:
    rng = random.Random(7)
    for _ in range(300):
        facts = random_facts(rng)
        assert words.facts_in(words.title(facts, rng, family)) == facts
        assert words.facts_in(words.query(facts, rng, family)) == facts
        assert words.facts_in(words.history_item(rng.randrange(1, 30), facts, rng, family)) == facts
        damage = rng.choice((None, "intact", "scratched", "broken"))
        told = {**facts, "damage": damage} if damage else facts
        assert words.facts_in(words.snippet(told, rng, family)) == told
        opinion = rng.choice((None, "good", "fair", "poor"))
        text = words.review(opinion, damage, facts, rng, family)
        assert words.facts_in(text) == told
        assert words.opinion_in(text) == opinion
        assert len(text.split()) > 10


@pytest.mark.parametrize("family", ALL)
def test_a_question_names_exactly_what_it_presupposes(family: str) -> None:
    rng = random.Random(3)
    world = in_domain()
    for attribute in ATTRIBUTES:
        for value in world.values(attribute):
            text = words.question(attribute, value, rng, family)
            assert words.facts_in(text) == {attribute: value}
            assert attribute not in VISIBLE or attribute in words.lead(text)


def test_families_differ_and_the_held_out_one_uses_the_same_words() -> None:
    rng = random.Random(5)
    facts = {"category": "mug", "colour": "red", "mark": "star", "size": "small", "count": 2, "material": "glass"}
    titles = {re.sub(r"cup|mug", "n", words.title(facts, rng, family)) for family in ALL}
    assert len(titles) == len(ALL)
    seen: dict[bool, set[str]] = {True: set(), False: set()}
    for family in ALL:
        for _ in range(400):
            facts = random_facts(rng)
            told = rng.choice(("good", "fair", "poor"))
            attribute = rng.choice(ATTRIBUTES)
            text = " ".join(
                (
                    words.title(facts, rng, family),
                    words.query(facts, rng, family),
                    words.review(told, "broken", facts, rng, family),
                    words.question(attribute, rng.choice(in_domain().values(attribute)), rng, family),
                )
            )
            seen[family == words.HELD_OUT].update(re.findall("[a-z]+", text))
    assert seen[True] - seen[False] == set()
    assert seen[True] | seen[False] <= set(words.lexicon())
    assert not {"a", "i"} & set(words.lexicon())


@pytest.mark.parametrize("kind", KINDS)
def test_captions_are_read_back_whatever_leads(kind: str) -> None:
    rng = random.Random(11)
    for _ in range(200):
        world = rng.choice((in_domain(), out_of_domain()))
        view = see(world, draw_product(world, rng), kind, rng)  # type: ignore[arg-type]
        lead = tuple(name for name in VISIBLE if rng.random() < 0.4)
        text = words.caption(view, lead)
        assert words.read_caption(text) == view
        assert len(text.split()) <= 16
        assert not set(MARKS.values()) & set(text.split()), "a caption tells the mark, not the brand"
        assert set(re.findall("[a-z]+", text)) <= set(words.lexicon())


def test_a_caption_starts_with_what_the_context_asks_about() -> None:
    view = View("mug", "red", "striped", 3, "star", "scratched")
    assert words.caption(view).startswith("photo shows red striped mug")
    assert words.caption(view, words.lead("is the velkin logo wide?")).startswith("photo shows star mark")
    assert words.caption(view, words.lead("in what condition is it?")).startswith("photo shows scratched")
    assert words.lead("large wool item") == ()


def test_ordinals_hold_beyond_twenty() -> None:
    rng = random.Random(0)
    for number, text in {1: "1st", 11: "11th", 12: "12th", 21: "21st", 22: "22nd", 111: "111th", 101: "101st"}.items():
        assert words.history_item(number, {}, rng, "tag") == f"{text}: item"


def test_the_same_seed_says_the_same() -> None:
    def say() -> list[str]:
        rng = random.Random(1)
        return [words.title(random_facts(rng), rng, family) for family in ALL]

    assert say() == say()
