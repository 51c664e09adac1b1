"""What the bundled readers are pretrained on: shop language and questions of other kinds than any task's.

In: a random.Random.  Out: `Episode`s, each a context of named lines (query, title, photo ...) and questions with
answers: copy a line, find a value or the line or lettered option that has it, compare two lines, count what they share.
Which products, captions (right, of another product, hidden, blank, absent) and wordings occur is drawn here.  It knows
no task: nothing here asks for a substitute, relevance, a relation, an opinion, whether a question can be answered, what
to buy next, or which category an item has among categories.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lookwise.bazaar import words
from lookwise.bazaar.lexicon import NUMBERS, VALUE_WORDS
from lookwise.bazaar.world import (
    COMPANIONS,
    DEPARTMENTS,
    MARKS,
    OUT_OF_DOMAIN,
    Product,
    View,
    World,
    department,
    draw_product,
    in_domain,
    see,
)

__all__ = ["ATTRIBUTES", "Episode", "Line", "Turn", "all_worlds", "draw_episode", "fixed_words", "plain_text"]

Value = str | int
ATTRIBUTES = ("category", "colour", "pattern", "count", "mark", "material", "size", "style", "damage")
_FAMILIES = words.FAMILIES
LETTERS = "abcdefghijklmnopqrst"

_ASKED_AS: Mapping[str, tuple[str, ...]] = {"mark": ("mark", "brand", "logo"), "count": ("pack", "count")}
_LAYOUTS = (
    ("query", "title", "photo"),
    ("query", "title", "photo"),
    ("title", "photo"),
    ("query", "title"),
    ("item one", "photo one", "item two", "photo two"),
    ("document", "photo"),
    ("review", "photo"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One named line of a context: its text, the facts it states, and the product that it speaks of."""

    name: str
    text: str
    facts: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer; `kind` names the sort of question."""

    kind: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Episode:
    """A context and the questions asked about it, in turn."""

    lines: tuple[Line, ...]
    turns: tuple[Turn, ...]

    @property
    def context(self) -> str:
        """The lines as a prompt shows them."""
        return "\n".join(f"{line.name}: {line.text}" for line in self.lines)


def all_worlds() -> World:
    """Return the world of pretraining: every category, so that every word of the shop is known."""
    return replace(in_domain(), categories=in_domain().categories + OUT_OF_DOMAIN)


# -- contexts --------------------------------------------------------------------------------------------------------


def _variant(product: Product, world: World, rng: random.Random) -> Product:
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


def _facts(product: Product, share: float, rng: random.Random, damage: bool = False) -> dict[str, Value]:
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


def _line(name: str, product: Product, world: World, rng: random.Random, family: str) -> Line:
    share = rng.choice((0.25, 0.45, 0.7))
    if name.startswith("photo"):
        kind = rng.choices(("right", "hidden", "blank"), (0.84, 0.10, 0.06))[0]
        view = see(world, product, kind, rng)
        first = tuple(a for a in ATTRIBUTES if rng.random() < 0.25)
        return Line(name, words.caption(view, first), _view_facts(view))
    if name == "review":
        facts = _facts(product, 0.2, rng)
        damage = product.damage if rng.random() < 0.6 else None
        text = words.review(rng.choice(("good", "fair", "poor", None)), damage, facts, rng, family)
        return Line(name, text, {**facts, **({"damage": damage} if damage else {})})
    if name == "document":
        facts = _facts(product, 0.4, rng)
        keys = list(facts)
        rng.shuffle(keys)
        cut = rng.randrange(len(keys) + 1)
        parts = [{k: facts[k] for k in keys[:cut]}, {k: facts[k] for k in keys[cut:]}, {}]
        rng.shuffle(parts)
        return Line(name, "\n".join(words.snippet(p, rng, family) for p in parts), facts)
    facts = _facts(product, share, rng)
    say = words.query if name == "query" else words.title
    return Line(name, say(facts, rng, family), facts)


def _context(world: World, rng: random.Random, families: Sequence[str]) -> tuple[Line, ...]:
    layout = rng.choice(_LAYOUTS)
    product = draw_product(world, rng)
    lines = []
    for name in layout:
        if name.startswith("photo") and len(layout) > 2 and rng.random() < 0.3:
            continue
        lines.append(_line(name, product, world, rng, rng.choice(families)))
        product = _variant(product, world, rng)
    return tuple(lines)


# -- questions -------------------------------------------------------------------------------------------------------


def _plain(attribute: str, value: Value) -> str:
    return VALUE_WORDS[attribute][value][0]


def _asked(attribute: str, rng: random.Random) -> str:
    return rng.choice(_ASKED_AS.get(attribute, (attribute,)))


def _said(attribute: str, asked: str, line: Line) -> str:
    """Return the word for a line's value; a mark's shape or brand, as asked."""
    if attribute not in line.facts:
        return "unknown"
    if asked in ("mark", "logo"):
        return str(line.facts["mark"])
    return _plain(attribute, line.facts[attribute])


_FIND = (
    "which {asked} does the {line} name?", "{asked} in the {line}?", "tell the {asked} that the {line} has",
    "the {line} says which {asked}?", "{line}: {asked}?",
)  # fmt: skip
_COMPARE = (
    "do {one} and {two} have the same {asked}?", "is the {asked} of {one} and {two} the same?",
    "{one} and {two}: same {asked}?", "compare the {asked} of {one} with {two}",
)  # fmt: skip
_AGREE = (
    "do {one} and {two} agree?", "does all that {one} and {two} say agree?", "can {one} and {two} be about one thing?",
    "compare {one} with {two}",
)  # fmt: skip
_DIFFERS = ("what differs first between {one} and {two}?", "name one point where {one} and {two} differ")
_MATCHES = ("how many points of {one} and {two} agree?", "count what {one} and {two} share")
_SAYS = ("does the {line} say {word}?", "is {word} said in the {line}?", "the {line} names {word}?")
_LIST = ("tell all that the {line} says", "{line}: all points?")
_TABLE = ("compare all points of {one} and {two}", "{one} and {two}: all points the same?")
_WHO = ("which line says {word}?", "where is {word} said?")
_OPTION_NAMES = ("which option names {word}?", "find the option with {word}", "{word}: which letter?")
_OPTION_LIKE = ("which option has the {asked} of the {line}?", "find the option with the same {asked} as the {line}")
_OPTION_AGREES = ("which option agrees best with the {line}?", "find the option that repeats the {line}")
_COPY = ("repeat the {line}", "say the {line} again")
_DEPARTMENT = ("to which department does {word} belong?", "{word}: department?")
_LINK = ("which mark has the brand {word}?", "mark of {word}?")
_LINK_BACK = ("which brand has the {word} mark?", "brand with {word} mark?")
_NUMBERED = ("none", *NUMBERS, "five", "six", "seven", "eight", "nine")
_REPLY_WORDS = (("same", "differ", "unknown"), ("yes", "no", "unknown"), ("yes", "no", "no"))


def _judged(question: str, truth: int, kind: str, rng: random.Random) -> Turn:
    """Return a question whose answer is 0 agree, 1 differ, 2 unknown, in one of several forms of reply."""
    replies = rng.choice(_REPLY_WORDS)
    if rng.random() < 0.4:
        order = list(dict.fromkeys(replies))
        rng.shuffle(order)
        offer = ", ".join(f"{letter} {reply}" for letter, reply in zip(LETTERS, order, strict=False))
        asked = f"{question.rstrip('?')}: {offer}? answer with the letter"
        return Turn(kind, asked, LETTERS[order.index(replies[truth])])
    offer = " or ".join(dict.fromkeys(replies))
    return Turn(kind, f"{question} answer {offer}", replies[truth])


def _pair(lines: Sequence[Line], rng: random.Random) -> tuple[Line, Line]:
    one, two = rng.sample(list(lines), 2)
    return one, two


def _ask_find(lines: Sequence[Line], rng: random.Random) -> Turn:
    line = rng.choice(lines)
    known = [a for a in ATTRIBUTES if a in line.facts]
    attribute = rng.choice(known) if known and rng.random() < 0.8 else rng.choice(ATTRIBUTES)
    asked = _asked(attribute, rng)
    return Turn("find", rng.choice(_FIND).format(asked=asked, line=line.name), _said(attribute, asked, line))


def _verdict(one: Line, two: Line, attributes: Sequence[str]) -> int:
    first, second = _implied(one.facts), _implied(two.facts)
    shared = [a for a in attributes if a in first and a in second]
    if not shared:
        return 2
    return int(any(first[a] != second[a] for a in shared))


def _implied(facts: Mapping[str, Value]) -> Mapping[str, Value]:
    return {**facts, "department": department(str(facts["category"]))} if "category" in facts else facts


def _ask_compare(lines: Sequence[Line], rng: random.Random) -> Turn:
    one, two = _pair(lines, rng)
    shared = [a for a in ATTRIBUTES if a in one.facts and a in two.facts]
    attribute = rng.choice(shared) if shared and rng.random() < 0.85 else rng.choice(ATTRIBUTES)
    question = rng.choice(_COMPARE).format(one=one.name, two=two.name, asked=_asked(attribute, rng))
    return _judged(question, _verdict(one, two, (attribute,)), "compare", rng)


def _ask_agree(lines: Sequence[Line], rng: random.Random) -> Turn:
    one, two = _pair(lines, rng)
    question = rng.choice(_AGREE).format(one=one.name, two=two.name)
    return _judged(question, _verdict(one, two, (*ATTRIBUTES, "department")), "agree", rng)


def _ask_differs(lines: Sequence[Line], rng: random.Random) -> Turn:
    one, two = _pair(lines, rng)
    differing = [a for a in ATTRIBUTES if a in one.facts and a in two.facts and one.facts[a] != two.facts[a]]
    question = rng.choice(_DIFFERS).format(one=one.name, two=two.name)
    return Turn("differs", question, differing[0] if differing else "none")


def _ask_matches(lines: Sequence[Line], rng: random.Random) -> Turn:
    one, two = _pair(lines, rng)
    equal = sum(a in two.facts and one.facts[a] == two.facts[a] for a in ATTRIBUTES if a in one.facts)
    return Turn("count", rng.choice(_MATCHES).format(one=one.name, two=two.name), _NUMBERED[equal])


def _any_word(line: Line, rng: random.Random) -> tuple[str, Value, str]:
    """Return an attribute, value and word: one of the line's, or any."""
    known = [a for a in ATTRIBUTES if a in line.facts]
    if known and rng.random() < 0.5:
        attribute = rng.choice(known)
        value = line.facts[attribute]
    else:
        attribute = rng.choice(known or list(ATTRIBUTES))
        value = rng.choice(list(VALUE_WORDS[attribute]))
    return attribute, value, words.value_word(attribute, value, rng)


def _ask_says(lines: Sequence[Line], rng: random.Random) -> Turn:
    line = rng.choice(lines)
    attribute, value, word = _any_word(line, rng)
    question = rng.choice(_SAYS).format(line=line.name, word=word)
    return _judged(question, 0 if line.facts.get(attribute) == value else 1, "says", rng)


def _ask_list(lines: Sequence[Line], rng: random.Random) -> Turn:
    """Every value of a line: as dense a lesson in finding as its length allows."""
    line = rng.choice(lines)
    names = rng.sample(ATTRIBUTES, rng.randint(3, len(ATTRIBUTES)))
    return Turn("list", rng.choice(_LIST).format(line=line.name), " ".join(f"{a} {_said(a, a, line)}" for a in names))


def _ask_table(lines: Sequence[Line], rng: random.Random) -> Turn:
    """Every attribute of two lines compared: as dense a lesson in comparing."""
    one, two = _pair(lines, rng)
    names = rng.sample(ATTRIBUTES, rng.randint(3, len(ATTRIBUTES)))
    replies = _REPLY_WORDS[0]
    answer = " ".join(f"{a} {replies[_verdict(one, two, (a,))]}" for a in names)
    return Turn("table", rng.choice(_TABLE).format(one=one.name, two=two.name), answer)


def _ask_who(lines: Sequence[Line], rng: random.Random) -> Turn:
    attribute, value, word = _any_word(rng.choice(lines), rng)
    names = [line.name for line in lines if line.facts.get(attribute) == value]
    return Turn("who", rng.choice(_WHO).format(word=word), names[0] if names else "none")


def _ask_copy(lines: Sequence[Line], rng: random.Random) -> Turn:
    line = rng.choice(lines)
    return Turn("copy", rng.choice(_COPY).format(line=line.name), line.text)


def _ask_knowledge(_lines: Sequence[Line], rng: random.Random) -> Turn:
    if rng.random() < 0.4:
        category = rng.choice(list(VALUE_WORDS["category"]))
        word = words.value_word("category", category, rng)
        answer = _plain("department", department(str(category)))
        return Turn("know", rng.choice(_DEPARTMENT).format(word=word), answer)
    mark, brand = rng.choice(list(MARKS.items()))
    if rng.random() < 0.5:
        return Turn("know", rng.choice(_LINK).format(word=brand), mark)
    return Turn("know", rng.choice(_LINK_BACK).format(word=mark), brand)


_Asker = Callable[[Sequence[Line], random.Random], Turn]
_QUESTIONS: tuple[tuple[float, float, _Asker], ...] = (
    (0.14, 0.12, _ask_find),
    (0.18, 0.22, _ask_compare),
    (0.14, 0.34, _ask_agree),
    (0.06, 0.06, _ask_differs),
    (0.02, 0.04, _ask_matches),
    (0.06, 0.10, _ask_says),
    (0.04, 0.03, _ask_who),
    (0.02, 0.02, _ask_copy),
    (0.04, 0.04, _ask_knowledge),
    (0.14, 0.01, _ask_list),
    (0.20, 0.02, _ask_table),
)
"""Share among the questions of a dense episode, share among those of a single one, and the question."""
_PAIRED = (_ask_compare, _ask_agree, _ask_differs, _ask_matches, _ask_table)


def _ask(lines: Sequence[Line], rng: random.Random, dense: bool) -> Turn:
    open_to = [(d if dense else s, ask) for d, s, ask in _QUESTIONS if len(lines) > 1 or ask not in _PAIRED]
    return rng.choices([ask for _, ask in open_to], [w for w, _ in open_to])[0](lines, rng)


# -- lettered options ------------------------------------------------------------------------------------------------


def _options_episode(world: World, rng: random.Random, families: Sequence[str], questions: int) -> Episode:
    """Lines of lettered options beside one described product; find the letter by a word, a value or the best match."""
    family = rng.choice(families)
    product = draw_product(world, rng)
    line = _line(rng.choice(("photo", "title", "query")), product, world, rng, family)
    count = rng.choice((3, 4, 5, 6, 6, 8, 12))
    attribute = rng.choice([a for a in ATTRIBUTES if a != "category"])
    if rng.random() < 0.5:  # one word an option
        attribute = rng.choice(ATTRIBUTES)
        values = rng.sample(list(VALUE_WORDS[attribute]), min(count, len(VALUE_WORDS[attribute])))
        texts = [words.value_word(attribute, v, rng) for v in values]
        facts: list[Mapping[str, Value]] = [{attribute: v} for v in values]
    else:  # a short description an option; one of them speaks of the line's product
        facts = [_facts(draw_product(world, rng), 0.35, rng) for _ in range(count - 1)]
        facts.insert(rng.randrange(count), _facts(product, 0.5, rng))
        texts = [words.history_item(1, f, rng, family).split(": ", 1)[1] for f in facts]
    lines = tuple(Line(LETTERS[i], text, f) for i, (text, f) in enumerate(zip(texts, facts, strict=True)))
    turns = tuple(_ask_option(line, lines, rng) for _ in range(questions))
    return Episode((line, *lines), turns)


def _ask_option(line: Line, options: Sequence[Line], rng: random.Random) -> Turn:
    ending = rng.choice(("", " answer with the letter"))
    likely = [a for a in ATTRIBUTES if a in line.facts and a != "category" and any(a in o.facts for o in options)]
    if likely and rng.random() < 0.4:
        attribute = rng.choice(likely)
        found = [o.name for o in options if o.facts.get(attribute) == line.facts[attribute]]
        question = rng.choice(_OPTION_LIKE).format(asked=_asked(attribute, rng), line=line.name)
        return Turn("option", question + ending, found[0] if found else "none")
    if len(options[0].facts) > 1 and rng.random() < 0.5:
        question = rng.choice(_OPTION_AGREES).format(line=line.name)
        return Turn("option", question + ending, max(options, key=lambda o: _overlap(o, line)).name)
    target = rng.choice(options)
    attribute = rng.choice(list(target.facts) or ["category"])
    value = target.facts.get(attribute, "mug")
    first = next((o.name for o in options if o.facts.get(attribute) == value), "none")
    question = rng.choice(_OPTION_NAMES).format(word=words.value_word(attribute, value, rng))
    return Turn("option", question + ending, first)


def _overlap(option: Line, line: Line) -> float:
    shared = [a for a in option.facts if a in line.facts]
    return sum(1.0 if option.facts[a] == line.facts[a] else -1.0 for a in shared)


# -- what callers draw -----------------------------------------------------------------------------------------------


def draw_episode(rng: random.Random, questions: int, families: Sequence[str] = _FAMILIES) -> Episode:
    """Draw a context and this many questions about it."""
    world = all_worlds()
    if rng.random() < 0.2:
        return _options_episode(world, rng, families, questions)
    lines = _context(world, rng, families)
    return Episode(lines, tuple(_ask(lines, rng, questions > 2) for _ in range(questions)))


def plain_text(rng: random.Random) -> str:
    """Return a few lines of shop language without questions: which mark a brand carries, what stands together."""
    lines = [words.link(rng.choice(list(MARKS)), rng) for _ in range(3)]
    for _ in range(3):
        category = rng.choice(list(COMPANIONS))
        word = words.value_word("category", category, rng)
        lines.append(f"{word} goes with {words.value_word('category', COMPANIONS[category], rng)}")
        lines.append(f"{word} is {_plain('department', department(category))} item")
    rng.shuffle(lines)
    return "\n".join(lines)


def fixed_words() -> tuple[str, ...]:
    """Return every text of the templates, from which the tokenizer takes its words."""
    templates = (
        *_FIND, *_COMPARE, *_AGREE, *_DIFFERS, *_MATCHES, *_SAYS, *_WHO, *_OPTION_NAMES, *_OPTION_LIKE,
        *_OPTION_AGREES, *_COPY, *_LIST, *_TABLE, *_DEPARTMENT, *_LINK, *_LINK_BACK,
    )  # fmt: skip
    named = (n for layout in _LAYOUTS for n in layout)
    asked = (n for names in _ASKED_AS.values() for n in names)
    rest = ("answer or with the letter yes no same differ unknown none goes with is item",)
    return (*templates, *_NUMBERED, *ATTRIBUTES, *DEPARTMENTS, *named, *asked, *rest)
