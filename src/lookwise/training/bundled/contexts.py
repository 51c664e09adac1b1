"""The contexts that bundled readers are pretrained on: a few named lines about products that agree, or do not.

In: a random.Random.  Out: `Line`s (query, title, photo ...) with the facts that each states, and for any
word of a line whether it agrees with the lines before.  Which products, captions (right, of another product, hidden,
blank, absent) and wordings occur is drawn here.  It knows no question (instructions.py) and no task.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lookwise.bazaar import words
from lookwise.bazaar.lexicon import NUMBERS, VALUE_WORDS
from lookwise.bazaar.world import (
    MARKS,
    OUT_OF_DOMAIN,
    Kind,
    Product,
    View,
    World,
    department,
    draw_product,
    in_domain,
    see,
)

__all__ = [
    "ATTRIBUTES",
    "COUNTED",
    "CROWDS",
    "LAYOUTS",
    "LETTERS",
    "Line",
    "Value",
    "agreement",
    "all_worlds",
    "draw_crowd",
    "draw_facts",
    "draw_line",
    "draw_lines",
    "implied",
    "lettered",
    "variant",
]

Value = str | int
ATTRIBUTES = ("category", "colour", "pattern", "count", "mark", "material", "size", "style", "damage")

LAYOUTS = (
    ("query", "title", "photo"),
    ("query", "title", "photo"),
    ("title", "photo"),
    ("query", "title"),
    ("item one", "photo one", "item two", "photo two"),
    ("document", "photo"),
    ("review", "photo"),
)
_MEANINGS: Mapping[str, tuple[str, Value]] = {
    **{w: (a, v) for a, values in VALUE_WORDS.items() for v, ws in values.items() for w in ws},
    **{mark: ("mark", mark) for mark in MARKS},
}


@dataclass(frozen=True, slots=True)
class Line:
    """One named line of a context: its text, the facts it states, and the product that it speaks of."""

    name: str
    text: str
    facts: Mapping[str, Value]


def all_worlds() -> World:
    """Return the world of pretraining: every category, so that every word of the shop is known."""
    return replace(in_domain(), categories=in_domain().categories + OUT_OF_DOMAIN)


def variant(product: Product, world: World, rng: random.Random) -> Product:
    """Return the same product, one that differs in some attributes, or quite another one."""
    fate = rng.random()
    if fate < 0.3:
        return product
    other = draw_product(world, rng)
    if fate < 0.45:
        return other
    changed = {a: other.get(a) for a in ATTRIBUTES if a not in ("category", "material") and rng.random() < 0.3}
    if rng.random() < 0.25:
        changed |= {"category": other.category, "material": other.material}
    return replace(product, **changed)  # type: ignore[arg-type]


def draw_facts(product: Product, share: float, rng: random.Random, damage: bool = False) -> dict[str, Value]:
    """Draw what a line states: each attribute with probability `share`; category, department or neither."""
    names = [a for a in ATTRIBUTES if a not in ("category", "damage") and rng.random() < share]
    facts = {a: product.get(a) for a in names}
    noun = rng.random()
    if noun < 0.7:
        facts["category"] = product.category
    elif noun < 0.85:
        facts["department"] = department(product.category)
    if damage:
        facts["damage"] = product.damage
    return facts


def _view_facts(view: View) -> dict[str, Value]:
    return {a: value for a in ATTRIBUTES if (value := view.get(a)) is not None}


def draw_line(name: str, product: Product, world: World, rng: random.Random, family: str) -> Line:
    """Draw a line of this name about a product."""
    share = rng.choice((0.25, 0.45, 0.7))
    if name.startswith("photo"):
        kinds: tuple[Kind, ...] = ("right", "hidden", "blank")
        kind = rng.choices(kinds, (0.84, 0.10, 0.06))[0]
        view = see(world, product, kind, rng)
        first = tuple(a for a in ATTRIBUTES if rng.random() < 0.25)
        return Line(name, words.caption(view, first), _view_facts(view))
    if name == "review":
        facts = draw_facts(product, 0.2, rng)
        damage = product.damage if rng.random() < 0.6 else None
        text = words.review(rng.choice(("good", "fair", "poor", None)), damage, facts, rng, family)
        return Line(name, text, {**facts, **({"damage": damage} if damage else {})})
    if name == "document":
        facts = draw_facts(product, 0.4, rng)
        keys = list(facts)
        rng.shuffle(keys)
        cut = rng.randrange(len(keys) + 1)
        parts = [{k: facts[k] for k in keys[:cut]}, {k: facts[k] for k in keys[cut:]}, {}]
        rng.shuffle(parts)
        return Line(name, "\n".join(words.snippet(p, rng, family) for p in parts), facts)
    facts = draw_facts(product, share, rng)
    say = words.query if name == "query" else words.title
    return Line(name, say(facts, rng, family), facts)


LETTERS = "abcdefghijklmnopqrst"
COUNTED = (*NUMBERS, "five", "six")
CROWDS = 0.3
"""Of contexts: many lines, each about a product of its own.  Where lines are about one thing nearly always, a reader
learns to find a value anywhere instead of in the line that is named."""
_CROWD = (2, 5)


def draw_lines(world: World, rng: random.Random, families: Sequence[str], crowds: float = CROWDS) -> tuple[Line, ...]:
    """Draw a context: lines about one product, or about products that differ a little or altogether."""
    if crowds and rng.random() < crowds:
        return draw_crowd(world, rng, families)
    layout = rng.choice(LAYOUTS)
    product = draw_product(world, rng)
    lines = []
    for name in layout:
        if name.startswith("photo") and len(layout) > 2 and rng.random() < 0.3:
            continue
        lines.append(draw_line(name, product, world, rng, rng.choice(families)))
        product = variant(product, world, rng)
    return tuple(lines)


def draw_crowd(world: World, rng: random.Random, families: Sequence[str]) -> tuple[Line, ...]:
    """Draw lines about products of which each differs from the last in most, or shares nothing with it."""
    numbers = range(rng.randint(*_CROWD))
    kind = rng.choice(("photo", "pair", "history", "kinds"))
    if kind == "photo":
        names = [f"photo {COUNTED[i]}" for i in numbers]
    elif kind == "pair":
        names = [f"{thing} {COUNTED[i]}" for i in numbers[:2] for thing in ("item", "photo")]
    elif kind == "history":
        names = [*(words.ordinal(i + 1) for i in numbers), "item"]
    else:
        names = rng.sample(("title", "query", "photo", "review", "document"), len(numbers))
    product = draw_product(world, rng)
    lines = []
    for name in names:
        lines.append(_numbered(name, product, world, rng, rng.choice(families)))
        other = draw_product(world, rng)
        kept = {a: product.get(a) for a in ATTRIBUTES if a not in ("category", "material") and rng.random() < 0.15}
        product = replace(other, **kept)  # type: ignore[arg-type]
    return tuple(lines)


def lettered(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lines with letters for names, as options have them."""
    return tuple(replace(line, name=LETTERS[i]) for i, line in enumerate(lines))


def _numbered(name: str, product: Product, world: World, rng: random.Random, family: str) -> Line:
    """Draw a line of this name; an ordinal names a bought item."""
    if not name[0].isdigit():
        return draw_line(name, product, world, rng, family)
    facts = draw_facts(product, rng.choice((0.25, 0.45)), rng)
    return Line(name, words.history_item(1, facts, rng, family).split(": ", 1)[1], facts)


def agreement(earlier: Sequence[Line], line: Line, word: str) -> int | None:
    """Return whether a word of a line agrees with the lines before it: 0 not spoken of there, 1 agrees, 2 differs.

    None for words that state nothing of this line's product.  A category agrees with its department.
    """
    if word not in _MEANINGS or not earlier:
        return None
    attribute, value = _MEANINGS[word]
    facts = implied(line.facts)
    if facts.get(attribute) != value:
        return None
    for before in reversed(earlier):
        told = implied(before.facts)
        if attribute in told:
            return 1 if told[attribute] == value else 2
        if attribute == "category" and "department" in told:
            return 0 if told["department"] == department(str(value)) else 2
    return 0


def implied(facts: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return the facts with the department that a stated category implies."""
    return {**facts, "department": department(str(facts["category"]))} if "category" in facts else facts
