"""The shop's language: titles, queries, questions, reviews, histories, reference captions, and how to read them.

Pure functions of (values, random.Random, family).  In: `Facts`, the attribute values that a text shall state; the key
"category" states the exact category, "department" only the department ("kitchen item"), neither leaves "item".  Out:
text that states exactly these facts and nothing else about the product.  A brand is told by its name; a caption, made
from what a photo shows, tells its mark instead.  It does not know who chooses the facts (tasks.py) nor how pictures
look (draw.py).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from types import MappingProxyType

from lookwise.bazaar.lexicon import ASKED_BY, FAMILIES, HELD_OUT, NUMBERS, OPINIONS, SHAPES, VALUE_WORDS, Shape
from lookwise.bazaar.world import MARKS, VISIBLE, View

__all__ = [
    "FAMILIES",
    "HELD_OUT",
    "Facts",
    "caption",
    "facts_in",
    "history_item",
    "lead",
    "lexicon",
    "link",
    "opinion_in",
    "option",
    "ordinal",
    "query",
    "question",
    "read_caption",
    "review",
    "snippet",
    "title",
    "value_word",
    "whether",
]

Facts = Mapping[str, str | int]

_TALK = (
    "quick delivery", "well packed", "came with the post", "sent as gift", "my friend wanted it", "will order again",
    "easy to clean", "late delivery", "the box was heavy", "second time here",
)  # fmt: skip
_ADJECTIVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pattern": ("wide", "bright"), "count": ("heavy", "equal"), "mark": ("bright", "wide"),
        "colour": ("bright", "dark"), "material": ("heavy", "soft"), "size": ("heavy", "long"),
        "style": ("new", "popular"),
    }
)  # fmt: skip
_TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "pattern": "{} pattern", "count": "pack of {}", "mark": "{} logo", "colour": "{} colour",
        "material": "{} part", "size": "{} size", "style": "{} style",
    }
)  # fmt: skip
_WHETHER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "catalogue": ("has it {}", "is it with {}"), "listing": ("the item : has it {}", "the item , is it with {}"),
        "label": ("can you tell , has it {}", "would you say it has {}"),
        "tag": ("tell me : has it {}", "{} , is that it"),
        HELD_OUT: ("say , has this {}", "have you got this in {}"),
    }
)  # fmt: skip
_LINKS = ("{brand} goods carry the {mark} mark", "the {mark} mark is from {brand}", "brand {brand} , mark {mark}")
_BLANK = "blank photo, nothing can be seen"
_OPENER = "photo shows"
_REST_HIDDEN = "the rest is hidden"
_WORDS = re.compile(r"[a-z]+")


def value_word(attribute: str, value: str | int, rng: random.Random) -> str:
    """Return one of the words that state the value (a brand's name for a mark)."""
    return rng.choice(VALUE_WORDS[attribute][value])


def _noun(facts: Facts, rng: random.Random) -> str:
    if "category" in facts:
        return value_word("category", facts["category"], rng)
    if "department" in facts:
        return value_word("department", facts["department"], rng) + " item"
    return "item"


def _fill(shape: Shape, facts: Facts, rng: random.Random) -> str:
    parts = []
    for attribute, templates in shape.pieces:
        if attribute == "noun":
            parts.append(_noun(facts, rng))
        elif attribute in facts:
            parts.append(rng.choice(templates).format(value_word(attribute, facts[attribute], rng)))
    return f"{rng.choice(shape.openers)} {shape.joiner.join(parts)}".strip()


def title(facts: Facts, rng: random.Random, family: str) -> str:
    """Return a product's title."""
    return _fill(SHAPES[family].title, facts, rng)


def query(facts: Facts, rng: random.Random, family: str) -> str:
    """Return what a shopper asks for."""
    return _fill(SHAPES[family].query, facts, rng)


def question(attribute: str, value: str | int, rng: random.Random, family: str) -> str:
    """Return a question that makes sense only if the product's attribute has this value."""
    topic = _TOPICS[attribute].format(value_word(attribute, value, rng))
    adjective = rng.choice(_ADJECTIVES[attribute])
    return rng.choice(SHAPES[family].question).format(adjective=adjective, topic=topic) + "?"


def whether(attribute: str, value: str | int, rng: random.Random, family: str) -> str:
    """Return a question whether the product's attribute has this value."""
    return rng.choice(_WHETHER[family]).format(_TOPICS[attribute].format(value_word(attribute, value, rng))) + "?"


def _talk(rng: random.Random, family: str, sentences: int) -> str:
    return SHAPES[family].talk_joiner.join(rng.sample(_TALK, sentences))


def snippet(facts: Facts, rng: random.Random, family: str) -> str:
    """Return one snippet of a review: the facts, or empty talk where there are none."""
    return _state(facts, rng, family) if facts else _talk(rng, family, 2)


def _state(facts: Facts, rng: random.Random, family: str) -> str:
    shapes = SHAPES[family]
    text = _fill(shapes.state, facts, rng)
    if "damage" in facts:
        text += " . " + rng.choice(shapes.damage).format(value_word("damage", facts["damage"], rng))
    return text


def review(opinion: str | None, damage: str | None, facts: Facts, rng: random.Random, family: str) -> str:
    """Return a review of more than ten words; an opinion or damage of None is not spoken of."""
    told = {**facts, **({"damage": damage} if damage else {})}
    parts = [_state(told, rng, family)]
    if opinion:
        parts.append(rng.choice(SHAPES[family].opinion).format(rng.choice(OPINIONS[opinion])))
    rng.shuffle(parts)
    talk = list(rng.sample(_TALK, 5))
    parts.insert(rng.randrange(len(parts) + 1), talk.pop())
    while sum(len(_WORDS.findall(part)) for part in parts) <= 10:
        parts.append(talk.pop())
    return " . ".join(parts)


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, 11th, 21st, 111th and so on."""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def history_item(number: int, facts: Facts, rng: random.Random, family: str) -> str:
    """Return the number-th item of a history, in the published shape: "1st: title category brand"."""
    parts = []
    for attribute in SHAPES[family].history:
        if attribute == "noun":
            parts.append(_noun(facts, rng))
        elif attribute in facts:
            word = value_word(attribute, facts[attribute], rng)
            parts.append(f"pack of {word}" if attribute == "count" else word)
    return f"{ordinal(number)}: {' '.join(parts)}"


def option(letter: str, text: str) -> str:
    """Return a lettered option."""
    return f"{letter}: {text}"


def link(mark: str, rng: random.Random) -> str:
    """Return a sentence that tells which brand carries a mark: how readers come to know it."""
    return rng.choice(_LINKS).format(brand=MARKS[mark], mark=mark)


def _seen(attribute: str, value: str | int) -> str:
    if attribute == "count":
        return f"pack of {NUMBERS[int(value) - 1]}"
    return f"{value} mark" if attribute == "mark" else str(value)


def caption(view: View, lead: tuple[str, ...] = ()) -> str:
    """Return the reference caption of a view: what `lead` names first, then the rest; the mark by its shape."""
    if view.blank:
        return _BLANK
    seen = {name: value for name in VISIBLE if (value := view.get(name)) is not None}
    first = [_seen(name, seen[name]) for name in VISIBLE if name in lead and name in seen]
    body = [_seen(n, seen[n]) for n in ("colour", "pattern", "category") if n in seen and n not in lead]
    rest = [_seen(n, seen[n]) for n in ("count", "mark", "damage") if n in seen and n not in lead]
    parts = [*first, *([" ".join(body)] if body else []), *rest]
    if view.pattern is None:
        parts.append(_REST_HIDDEN)
    return f"{_OPENER} {', '.join(parts)}"


def lead(context: str) -> tuple[str, ...]:
    """Return the visible attributes that a context names or asks about, in the order of world.VISIBLE."""
    named = {*facts_in(context), *(ASKED_BY[w] for w in _WORDS.findall(context.lower()) if w in ASKED_BY)}
    return tuple(name for name in VISIBLE if name in named)


def _value_table() -> dict[str, tuple[str, str | int]]:
    table: dict[str, tuple[str, str | int]] = {}
    for attribute, values in VALUE_WORDS.items():
        for value, words in values.items():
            for word in words:
                if word in table:
                    raise ValueError(f"the word {word!r} states both {table[word]} and {(attribute, value)}")
                table[word] = (attribute, value)
    return table


_VALUES = _value_table()
_OPINION_OF = {word: opinion for opinion, words in OPINIONS.items() for word in words}


def facts_in(text: str) -> dict[str, str | int]:
    """Return the facts that a text states (the first mention of each attribute), a mark's shape and brand alike."""
    found: dict[str, str | int] = {}
    for word in _WORDS.findall(text.lower()):
        if word in MARKS:
            found.setdefault("mark", word)
        elif word in _VALUES:
            found.setdefault(*_VALUES[word])
    return found


def opinion_in(text: str) -> str | None:
    """Return the opinion that a review states, or None."""
    return next((_OPINION_OF[w] for w in _WORDS.findall(text.lower()) if w in _OPINION_OF), None)


def read_caption(text: str) -> View:
    """Return the view that a caption describes (a blank one where no category is named)."""
    facts = facts_in(text)
    if "category" not in facts:
        return View()

    def word(name: str) -> str | None:
        return str(facts[name]) if name in facts else None

    count = int(facts["count"]) if "count" in facts else None
    return View(word("category"), word("colour"), word("pattern"), count, word("mark"), word("damage"))


def _family_texts(family: str) -> list[str]:
    shapes = SHAPES[family]
    lines = [*shapes.question, *shapes.opinion, *shapes.damage]
    for shape in (shapes.title, shapes.query, shapes.state):
        lines += [*shape.openers, *(t for _, templates in shape.pieces for t in templates)]
    return lines


def lexicon() -> tuple[str, ...]:
    """Return every word of every grammar, sorted."""
    lines = [line for family in (*FAMILIES, HELD_OUT) for line in _family_texts(family)]
    lines += [*_TALK, *_TOPICS.values(), *_LINKS, _BLANK, _OPENER, _REST_HIDDEN, "and item pack of"]
    lines += [template for templates in _WHETHER.values() for template in templates]
    lines += [word for adjectives in _ADJECTIVES.values() for word in adjectives]
    lines += [*_VALUES, *_OPINION_OF, *MARKS, *ASKED_BY]
    holes = re.compile(r"\{[a-z]*\}")
    return tuple(sorted({word for line in lines for word in _WORDS.findall(holes.sub(" ", line))}))
