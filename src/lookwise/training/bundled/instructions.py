"""What the bundled readers are pretrained on: shop language and questions of other kinds than any task's.

In: a random.Random and how many questions.  Out: `Episode`s, each a context (contexts.py) and questions with answers:
copy a line, find a value or the line or lettered option that has it, compare two lines, count what they share.  It
knows no task: nothing here asks for a substitute, relevance, a relation, an opinion, whether a question can be
answered, what to buy next, or which category an item has among categories.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lookwise.bazaar import words
from lookwise.bazaar.lexicon import NUMBERS, VALUE_WORDS
from lookwise.bazaar.world import COMPANIONS, DEPARTMENTS, MARKS, World, department, draw_product
from lookwise.training.bundled.contexts import (
    ATTRIBUTES,
    CROWDS,
    LAYOUTS,
    LETTERS,
    Line,
    Value,
    all_worlds,
    draw_crowd,
    draw_facts,
    draw_line,
    draw_lines,
    implied,
    lettered,
)

__all__ = [
    "FINDING",
    "Episode",
    "Turn",
    "ask",
    "ask_crowd",
    "asked_as",
    "draw_episode",
    "draw_finds",
    "fixed_words",
    "plain_text",
]

_ASKED_AS: Mapping[str, tuple[str, ...]] = {"mark": ("mark", "brand", "logo"), "count": ("pack", "count")}


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer; `kind` names the sort of question, `about` the line that alone it is about."""

    kind: str
    question: str
    answer: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Episode:
    """A context and the questions asked about it, in turn."""

    lines: tuple[Line, ...]
    turns: tuple[Turn, ...]

    @property
    def context(self) -> str:
        """The lines as a prompt shows them."""
        return "\n".join(f"{line.name}: {line.text}" for line in self.lines)


# -- questions -------------------------------------------------------------------------------------------------------


def _plain(attribute: str, value: Value) -> str:
    return VALUE_WORDS[attribute][value][0]


def asked_as(attribute: str, rng: random.Random) -> str:
    """Return a word that a question may name an attribute by."""
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
_SPELL = ("tell all points of {one} and {two}",)
_WHO = ("which line says {word}?", "where is {word} said?")
_OPTION_NAMES = ("which option names {word}?", "find the option with {word}", "{word}: which letter?")
_OPTION_LIKE = ("which option has the {asked} of the {line}?", "find the option with the same {asked} as the {line}")
_OPTION_AGREES = ("which option agrees best with the {line}?", "find the option that repeats the {line}")
_ENDINGS = ("", " answer with the letter")
_COPY = ("repeat the {line}", "say the {line} again")
_DEPARTMENT = ("to which department does {word} belong?", "{word}: department?")
_LINK = ("which mark has the brand {word}?", "mark of {word}?")
_LINK_BACK = ("which brand has the {word} mark?", "brand with {word} mark?")
_NUMBERED = ("none", *NUMBERS, "five", "six", "seven", "eight", "nine")
_REPLY_WORDS = (("same", "differ", "unknown"), ("yes", "no", "unknown"), ("yes", "no", "no"))


def _judged(question: str, truth: int, kind: str, rng: random.Random) -> Turn:
    """Return a question whose answer is 0 agree, 1 differ, 2 unknown, in one of several forms of reply."""
    replies = rng.choice(_REPLY_WORDS)
    if rng.random() < 0.25:
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
    asked = asked_as(attribute, rng)
    return Turn("find", rng.choice(_FIND).format(asked=asked, line=line.name), _said(attribute, asked, line), line.name)


def _verdict(one: Line, two: Line, attributes: Sequence[str]) -> int:
    first, second = implied(one.facts), implied(two.facts)
    shared = [a for a in attributes if a in first and a in second]
    if not shared:
        return 2
    return int(any(first[a] != second[a] for a in shared))


def _ask_compare(lines: Sequence[Line], rng: random.Random) -> Turn:
    one, two = _pair(lines, rng)
    shared = [a for a in ATTRIBUTES if a in one.facts and a in two.facts]
    attribute = rng.choice(shared) if shared and rng.random() < 0.85 else rng.choice(ATTRIBUTES)
    question = rng.choice(_COMPARE).format(one=one.name, two=two.name, asked=asked_as(attribute, rng))
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
    turn = _judged(question, 0 if line.facts.get(attribute) == value else 1, "says", rng)
    return replace(turn, about=line.name)


def _ask_list(lines: Sequence[Line], rng: random.Random) -> Turn:
    """Every value of a line: as dense a lesson in finding as its length allows."""
    line = rng.choice(lines)
    answer = " ".join(f"{a} {_said(a, a, line)}" for a in ATTRIBUTES)
    return Turn("list", rng.choice(_LIST).format(line=line.name), answer, line.name)


def _ask_table(lines: Sequence[Line], rng: random.Random) -> Turn:
    """Every attribute of two lines compared: as dense a lesson in comparing."""
    one, two = _pair(lines, rng)
    replies = _REPLY_WORDS[0]
    answer = " ".join(f"{a} {replies[_verdict(one, two, (a,))]}" for a in ATTRIBUTES)
    return Turn("table", rng.choice(_TABLE).format(one=one.name, two=two.name), answer)


def _ask_spell(lines: Sequence[Line], rng: random.Random) -> Turn:
    """Every attribute of two lines told and compared: the table with its working shown."""
    one, two = _pair(lines, rng)
    replies = _REPLY_WORDS[0]
    points = (f"{a} {_said(a, a, one)} {_said(a, a, two)} {replies[_verdict(one, two, (a,))]}" for a in ATTRIBUTES)
    return Turn("spell", rng.choice(_SPELL).format(one=one.name, two=two.name), " ".join(points))


def _ask_who(lines: Sequence[Line], rng: random.Random) -> Turn:
    attribute, value, word = _any_word(rng.choice(lines), rng)
    names = [line.name for line in lines if line.facts.get(attribute) == value]
    return Turn("who", rng.choice(_WHO).format(word=word), names[0] if names else "none")


def _ask_copy(lines: Sequence[Line], rng: random.Random) -> Turn:
    line = rng.choice(lines)
    return Turn("copy", rng.choice(_COPY).format(line=line.name), line.text, line.name)


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
    (0.14, 0.14, _ask_find),
    (0.22, 0.22, _ask_compare),
    (0.14, 0.32, _ask_agree),
    (0.05, 0.06, _ask_differs),
    (0.01, 0.03, _ask_matches),
    (0.07, 0.10, _ask_says),
    (0.03, 0.03, _ask_who),
    (0.01, 0.02, _ask_copy),
    (0.03, 0.03, _ask_knowledge),
    (0.08, 0.01, _ask_list),
    (0.18, 0.03, _ask_table),
    (0.04, 0.01, _ask_spell),
)
"""Share among the questions of a dense episode, share among those of a single one, and the question."""
_PAIRED = (_ask_compare, _ask_agree, _ask_differs, _ask_matches, _ask_table, _ask_spell)


def ask(lines: Sequence[Line], rng: random.Random, dense: bool) -> Turn:
    """Return a question about the lines; those of a dense context have longer answers."""
    open_to = [(d if dense else s, one) for d, s, one in _QUESTIONS if len(lines) > 1 or one not in _PAIRED]
    return rng.choices([one for _, one in open_to], [w for w, _ in open_to])[0](lines, rng)


# -- lettered options ------------------------------------------------------------------------------------------------


def _options_episode(
    world: World, rng: random.Random, families: Sequence[str], questions: int, crowds: float
) -> Episode:
    """Lines of lettered options beside one described product; find the letter by a word, a value or the best match."""
    family = rng.choice(families)
    product = draw_product(world, rng)
    line = draw_line(rng.choice(("photo", "title", "query")), product, world, rng, family)
    count = rng.choice((3, 4, 5, 6, 6, 8, 12))
    attribute = rng.choice([a for a in ATTRIBUTES if a != "category"])
    if rng.random() < 0.5:  # one word an option
        attribute = rng.choice(ATTRIBUTES)
        values = rng.sample(list(VALUE_WORDS[attribute]), min(count, len(VALUE_WORDS[attribute])))
        texts = [words.value_word(attribute, v, rng) for v in values]
        facts: list[Mapping[str, Value]] = [{attribute: v} for v in values]
    else:  # a short description an option; one of them speaks of the line's product
        facts = [draw_facts(draw_product(world, rng), 0.35, rng) for _ in range(count - 1)]
        facts.insert(rng.randrange(count), draw_facts(product, 0.5, rng))
        texts = [words.history_item(1, f, rng, family).split(": ", 1)[1] for f in facts]
    lines = tuple(Line(LETTERS[i], text, f) for i, (text, f) in enumerate(zip(texts, facts, strict=True)))
    turns = tuple(_ask_option(line, lines, rng, crowds) for _ in range(questions))
    return Episode((line, *lines), turns)


def _ask_option(line: Line, options: Sequence[Line], rng: random.Random, crowds: float) -> Turn:
    ending = rng.choice(_ENDINGS)
    likely = [a for a in ATTRIBUTES if a in line.facts and a != "category" and any(a in o.facts for o in options)]
    if likely and rng.random() < 0.4:
        attribute = rng.choice(likely)
        found = [o.name for o in options if o.facts.get(attribute) == line.facts[attribute]]
        question = rng.choice(_OPTION_LIKE).format(asked=asked_as(attribute, rng), line=line.name)
        return Turn("option", question + ending, found[0] if found else "none")
    if len(options[0].facts) > 1 and rng.random() < 0.5:
        question = rng.choice(_OPTION_AGREES).format(line=line.name)
        return Turn("option", question + ending, max(options, key=lambda o: _overlap(o, line)).name)
    return _ask_named(rng.choice(options), options, rng, None if crowds else ending)


def _ask_named(target: Line, options: Sequence[Line], rng: random.Random, ending: str | None = None) -> Turn:
    """Ask which option names a value of this one; the ending is drawn where none is given."""
    ending = rng.choice(_ENDINGS) if ending is None else ending
    attribute = rng.choice(list(target.facts) or ["category"])
    value = target.facts.get(attribute, "mug")
    first = next((o.name for o in options if o.facts.get(attribute) == value), "none")
    question = rng.choice(_OPTION_NAMES).format(word=words.value_word(attribute, value, rng))
    return Turn("option", question + ending, first)


def _overlap(option: Line, line: Line) -> float:
    shared = [a for a in option.facts if a in line.facts]
    return sum(1.0 if option.facts[a] == line.facts[a] else -1.0 for a in shared)


# -- what callers draw -----------------------------------------------------------------------------------------------


_OPTIONS_SHARE = 0.2
FINDING = (0.4, 0.4)
"""Of contexts for finding: those whose lines are options; of their questions: those from the value to the line."""


def draw_episode(
    rng: random.Random,
    questions: tuple[int, int],
    families: Sequence[str] = words.FAMILIES,
    crowds: float = CROWDS,
) -> Episode:
    """Draw a context and, from the fewest to the most, questions about it; `crowds` is the share of unlike lines."""
    world = all_worlds()
    count = rng.randint(*questions)
    if rng.random() < _OPTIONS_SHARE:
        return _options_episode(world, rng, families, count, crowds)
    lines = draw_lines(world, rng, families, crowds)
    return Episode(lines, tuple(ask(lines, rng, count > 2) for _ in range(count)))


def draw_finds(
    rng: random.Random,
    questions: tuple[int, int],
    families: Sequence[str] = words.FAMILIES,
    shares: tuple[float, float] = FINDING,
) -> Episode:
    """Draw many lines about unlike products and questions for a value in one of them; `shares` as FINDING has them."""
    lines = draw_crowd(all_worlds(), rng, families)
    options = rng.random() < shares[0]
    if options:
        lines = lettered(lines)
    asker = (lambda some, draws: _ask_named(draws.choice(some), some, draws)) if options else _ask_who
    count = rng.randint(*questions)
    return Episode(lines, tuple(ask_crowd(lines, rng, shares[1], asker) for _ in range(count)))


def ask_crowd(
    lines: Sequence[Line], rng: random.Random, backwards: float = FINDING[1], asker: _Asker = _ask_who
) -> Turn:
    """Return a question for what one of the lines, by its name, says; at times (`asker`) which of them says a thing."""
    return asker(lines, rng) if rng.random() < backwards else _ask_find(lines, rng)


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
        *_OPTION_AGREES, *_COPY, *_LIST, *_TABLE, *_SPELL, *_DEPARTMENT, *_LINK, *_LINK_BACK,
    )  # fmt: skip
    named = (n for layout in LAYOUTS for n in layout)
    asked = (n for names in _ASKED_AS.values() for n in names)
    rest = ("answer or with the letter yes no same differ unknown none goes with is item",)
    return (*templates, *_NUMBERED, *ATTRIBUTES, *DEPARTMENTS, *named, *asked, *rest)
