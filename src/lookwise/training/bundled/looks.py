"""What the bundled looker is taught: questions about photos and lines of text, of other kinds than any task's.

In: an `Album`, a random.Random, how many questions.  Out: `Look`s (photos first, then named lines, then questions with
answers) and, with a tokenizer, their rows of token ids.  A photo is a line that is not written out: whatever is asked
of lines (instructions.py: find, compare, agree, list, repeat ...) is asked of photos, of photos beside lines, and of
several photos; of a photo beside a line, which of the two tells a thing; and what a photo beside a text does to the
answer to a question about the product.  It knows no task and no pixels.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lookwise.bazaar import words
from lookwise.bazaar.lexicon import VALUE_WORDS
from lookwise.bazaar.world import VISIBLE, Product, View, draw_product
from lookwise.benchmarks.utility import JUDGEMENTS, line_of, utility_label
from lookwise.training.bundled.contexts import (
    ATTRIBUTES,
    COUNTED,
    Line,
    agreement,
    all_worlds,
    draw_facts,
    draw_line,
    variant,
)
from lookwise.training.bundled.instructions import Episode, Turn, ask, ask_crowd, asked_as, draw_episode
from lookwise.training.bundled.rows import IGNORED, Row, Rows
from lookwise.training.bundled.shots import PLACES, Album, slot_words

__all__ = ["Look", "LookRows", "draw_look", "photo_names"]

_SINGLE: tuple[tuple[str, ...], ...] = ((), ("title",), ("title",), ("query", "title"), ("document",), ("review",))
_TEXTS = ("document", "title", "review", "query")
_SHARES = {"single": 0.38, "pair": 0.16, "many": 0.10, "worth": 0.18, "crowd": 0.18}
_CROWD, _FINDS, _BESIDE = (2, 5), (5, 8), 0.4
"""How many photos of unlike products, how many questions for what one of them shows, how often with a line of text."""
_MANY = (3, 6)
_ONE_OF = 0.2
"""How often, where there are several photos, one of them is asked about by its name, and nothing else."""
_WHERE_SHARE = 0.22
_WHERE_ALL = 0.35
"""Of those questions: all attributes at once."""
_NARROW = 0.8
"""How often a question is about a photo and one thing more."""


@dataclass(frozen=True, slots=True)
class Look:
    """Photos by their numbers in an album, what they show as lines that nobody writes, and an episode about all."""

    photos: tuple[int, ...]
    seen: tuple[Line, ...]
    episode: Episode


def photo_names(count: int) -> tuple[str, ...]:
    """Return what questions call so many photos, in their order."""
    return ("photo",) if count == 1 else tuple(f"photo {COUNTED[i]}" for i in range(count))


def _lines_of(views: Sequence[View]) -> tuple[Line, ...]:
    facts = [{name: value for name in VISIBLE if (value := view.get(name)) is not None} for view in views]
    captions = [words.caption(view) for view in views]
    return tuple(Line(*each) for each in zip(photo_names(len(views)), captions, facts, strict=True))


def _shown(view: View, rng: random.Random) -> Product:
    """Draw a product that the photo may be of."""
    facts = {name: value for name in VISIBLE if (value := view.get(name)) is not None}
    return draw_product(all_worlds(), rng, **facts)


def _spoken_of(view: View, rng: random.Random) -> Product:
    """Draw a product that a text beside the photo speaks of: the one shown, or one that differs from it."""
    product = _shown(view, rng)
    return product if rng.random() < 0.5 else variant(product, all_worlds(), rng)


def _single(album: Album, rng: random.Random, families: Sequence[str]) -> tuple[tuple[int, ...], tuple[Line, ...]]:
    number = album.any(rng)
    product = _spoken_of(album.views[number], rng)
    lines = []
    for name in rng.choice(_SINGLE):
        lines.append(draw_line(name, product, all_worlds(), rng, rng.choice(families)))
        product = variant(product, all_worlds(), rng)
    return (number,), tuple(lines)


def _several(album: Album, count: int, rng: random.Random) -> tuple[int, ...]:
    photos = [album.any(rng)]
    while len(photos) < count:
        photos.append(album.like(rng.choice(photos), rng) if rng.random() < 0.7 else album.any(rng))
    return tuple(photos)


def _pair(album: Album, rng: random.Random, families: Sequence[str]) -> tuple[tuple[int, ...], tuple[Line, ...]]:
    photos = _several(album, 2, rng)
    if rng.random() < 0.3:
        return photos, ()
    spoken = [_spoken_of(album.views[number], rng) for number in photos]
    names = ("item one", "item two")
    return photos, tuple(
        draw_line(name, product, all_worlds(), rng, rng.choice(families))
        for name, product in zip(names, spoken, strict=True)
    )


def _many(album: Album, rng: random.Random, families: Sequence[str]) -> tuple[tuple[int, ...], tuple[Line, ...]]:
    """A numbered line for each photo but the last, whose line is an item's title."""
    photos = _several(album, rng.randint(*_MANY), rng)
    lines = []
    for place, number in enumerate(photos[:-1], 1):
        facts = draw_facts(_spoken_of(album.views[number], rng), 0.25, rng)
        name, text = words.history_item(place, facts, rng, rng.choice(families)).split(": ", 1)
        lines.append(Line(name, text, facts))
    product = _spoken_of(album.views[photos[-1]], rng)
    return photos, (*lines, draw_line("item", product, all_worlds(), rng, rng.choice(families)))


def _worth(photo: Line, line: Line, product: Product, rng: random.Random) -> Turn:
    """Ask what the photo does to the answer to a question about the product, for one who believes what it shows.

    From the text alone an attribute that it does not tell is unknown, and what it does not say is taken to be not so.
    """
    attribute = rng.choice(VISIBLE)
    true, told, seen = product.get(attribute), line.facts.get(attribute), photo.facts.get(attribute)
    if rng.random() < 0.5:
        asked = f"tell the {asked_as(attribute, rng)}"
        text, both = (value == true for value in (told, told if seen is None else seen))
    else:
        value = true if rng.random() < 0.5 else rng.choice(list(VALUE_WORDS[attribute]))
        asked = f"is {words.value_word(attribute, value, rng)} so?"
        said = told if seen is None else seen
        text, both = ((one == value) == (true == value) for one in (told, said))
    question = "\n".join((f"question: {asked}", "what does the photo do to the answer?", *JUDGEMENTS))
    return Turn("worth", question, line_of(utility_label(text, both)))


_DRAW = {"single": _single, "pair": _pair, "many": _many}


def draw_look(
    album: Album, rng: random.Random, questions: tuple[int, int], families: Sequence[str] = words.FAMILIES
) -> Look:
    """Draw photos, lines beside them and, from the fewest to the most, questions about both."""
    count = rng.randint(*questions)
    kind = rng.choices(tuple(_SHARES), tuple(_SHARES.values()))[0]
    if kind == "worth":
        return _worths(album, rng, count, families)
    if kind == "crowd":
        return _crowd(album, rng, count if count <= 2 else rng.randint(*_FINDS), families)
    photos, lines = _DRAW[kind](album, rng, families)
    seen = _lines_of([album.views[number] for number in photos])
    turns = tuple(_ask(seen, lines, rng, count > 2) for _ in range(count))
    return Look(photos, seen, Episode(lines, turns))


def _crowd(album: Album, rng: random.Random, count: int, families: Sequence[str]) -> Look:
    """Draw photos that have nothing to do with one another, at times a line with them, and questions for one's."""
    photos = tuple(album.any(rng) for _ in range(rng.randint(*_CROWD)))
    seen = _lines_of([album.views[number] for number in photos])
    lines: tuple[Line, ...] = ()
    if rng.random() < _BESIDE:
        world = all_worlds()
        lines = (draw_line(rng.choice(_TEXTS), draw_product(world, rng), world, rng, rng.choice(families)),)
    return Look(photos, seen, Episode(lines, tuple(ask_crowd((*seen, *lines), rng) for _ in range(count))))


def _worths(album: Album, rng: random.Random, count: int, families: Sequence[str]) -> Look:
    """Draw a photo, a text about a product that it may be of, and questions about what it is worth beside the text."""
    number = album.any(rng)
    seen = _lines_of([album.views[number]])
    product = _spoken_of(album.views[number], rng) if rng.random() < 0.5 else _shown(album.views[number], rng)
    line = draw_line(rng.choice(_TEXTS), product, all_worlds(), rng, rng.choice(families))
    return Look((number,), seen, Episode((line,), tuple(_worth(seen[0], line, product, rng) for _ in range(count))))


def _ask(seen: Sequence[Line], lines: Sequence[Line], rng: random.Random, dense: bool) -> Turn:
    photo = rng.choice(seen)
    if len(seen) > 1 and rng.random() < _ONE_OF:
        return ask((photo,), rng, dense)
    others = [line for line in (*seen, *lines) if line is not photo]
    if lines and rng.random() < _WHERE_SHARE:
        return _where(photo, rng.choice(lines), rng, dense)
    if not others or rng.random() >= _NARROW:
        return ask((*seen, *lines), rng, dense)
    pair = [photo, rng.choice(others)]
    rng.shuffle(pair)
    return ask(pair, rng, dense)


def _where(photo: Line, line: Line, rng: random.Random, dense: bool) -> Turn:
    """Ask which of the two tells an attribute, or every one."""
    names = (photo.name, line.name)
    offer = f"{names[0]} or {names[1]} or both or neither"

    def answer(attribute: str) -> str:
        tells = (attribute in photo.facts, attribute in line.facts)
        return "both" if all(tells) else "neither" if not any(tells) else names[tells.index(True)]

    if dense and rng.random() < _WHERE_ALL:
        told = " ".join(f"{a} {answer(a)}" for a in ATTRIBUTES)
        return Turn("where all", f"where are all points: {offer}?", told)
    attribute = rng.choice(ATTRIBUTES)
    return Turn("where", f"where is the {asked_as(attribute, rng)}: {offer}?", answer(attribute))


class LookRows:
    """Makes rows of looks, and of episodes without photos, with one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self.rows = Rows(tokenizer)
        self._tokenizer = tokenizer
        self._image = int(tokenizer.convert_tokens_to_ids("<image>"))
        self._break: list[int] = tokenizer("\n", add_special_tokens=False)["input_ids"]

    def look(self, look: Look) -> Row:
        """Return a look as a processor would write it: the photos first, each a named line of places."""
        row = self.rows.episode(look.episode, look.seen)
        held: list[int] = []
        agrees: list[int] = []
        names: list[int] = []
        for i, line in enumerate(look.seen):
            name = self._tokenizer(f"{line.name}:", add_special_tokens=False)["input_ids"]
            last = i == len(look.seen) - 1
            held += [*name, *[self._image] * PLACES, *([] if last and not look.episode.lines else self._break)]
            names += self.rows.names(line.name, len(name) + PLACES)
            told = [agreement(look.seen[:i], line, word) for word in slot_words(View(**line.facts))]  # type: ignore[arg-type]
            agrees += [*[IGNORED] * len(name), *(IGNORED if value is None else value for value in told)]
            agrees += [IGNORED] * (len(held) - len(agrees))
            names += [IGNORED] * (len(held) - len(names))
        return Row(
            [row.ids[0], *held, *row.ids[1:]],
            [row.weights[0], *[0.0] * len(held), *row.weights[1:]],
            [IGNORED, *agrees, *row.agrees[1:]],
            [IGNORED, *names, *row.names[1:]],
        )

    def text(self, rng: random.Random, questions: tuple[int, int]) -> Row:
        """Return an episode without photos."""
        return self.rows.episode(draw_episode(rng, questions))
