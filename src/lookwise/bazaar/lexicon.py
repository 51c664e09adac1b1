"""The shop's words: which words state which value, and the sentence shapes of every wording family.

Literal tables only.  A word that states a value states nothing else and stands nowhere else, so that a text can be
read back word by word (words.facts_in).  In: nothing.  Out: tables for words.py and the tiny tokenizer.  It knows no
product, no photo and no task.  The letters "a" and "i" are never words here, because they name options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lookwise.bazaar.world import MARKS

__all__ = [
    "ASKED_BY",
    "DAMAGES",
    "FAMILIES",
    "HELD_OUT",
    "NUMBERS",
    "OPINIONS",
    "SHAPES",
    "VALUE_WORDS",
    "FamilyShapes",
    "Shape",
]

FAMILIES = ("catalogue", "listing", "label", "tag")
"""The wording families that training may use."""
HELD_OUT = "stall"
"""The wording family that nothing is ever trained on: the same words in other sentence shapes."""

NUMBERS: tuple[str, ...] = ("one", "two", "three", "four")

DAMAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"intact": ("intact", "undamaged"), "scratched": ("scratched", "scuffed"), "broken": ("broken", "cracked")}
)
OPINIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "good": ("great", "excellent", "lovely"),
        "fair": ("okay", "average", "decent"),
        "poor": ("bad", "awful", "disappointing"),
    }
)

VALUE_WORDS: Mapping[str, Mapping[str | int, tuple[str, ...]]] = MappingProxyType(
    {
        "category": {
            "mug": ("mug", "cup"), "teapot": ("teapot", "kettle"), "knife": ("knife", "blade"),
            "bottle": ("bottle", "flask"), "pan": ("pan", "skillet"), "pencil": ("pencil", "crayon"),
            "book": ("book", "notebook"), "lamp": ("lamp", "lantern"), "envelope": ("envelope", "mailer"),
            "scissors": ("scissors", "shears"), "shirt": ("shirt", "blouse"), "trousers": ("trousers", "pants"),
            "sock": ("sock", "stocking"), "shoe": ("shoe", "sneaker"), "hat": ("hat", "cap"),
            "ball": ("ball", "football"), "robot": ("robot", "android"), "drum": ("drum", "bongo"),
            "boat": ("boat", "ship"), "kite": ("kite", "glider"), "bucket": ("bucket", "pail"),
            "rake": ("rake", "raker"), "planter": ("planter", "flowerpot"), "hose": ("hose", "hosepipe"),
            "birdhouse": ("birdhouse", "nestbox"), "chair": ("chair", "seat"), "table": ("table", "desk"),
            "clock": ("clock", "timepiece"), "vase": ("vase", "urn"), "candle": ("candle", "taper"),
        },
        "department": {
            "kitchen": ("kitchen",), "office": ("office",), "clothing": ("clothing",), "toys": ("toy",),
            "garden": ("garden",), "home": ("home",),
        },
        "colour": {
            c: (c,)
            for c in ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
        },
        "pattern": {
            "plain": ("plain", "solid"), "striped": ("striped", "stripy"), "dotted": ("dotted", "spotted"),
            "checked": ("checked", "chequered"), "zigzag": ("zigzag", "chevron"),
        },
        "count": {n: (word,) for n, word in enumerate(NUMBERS, start=1)},
        "mark": {mark: (brand,) for mark, brand in MARKS.items()},
        "damage": {name: spoken for name, spoken in DAMAGES.items()},  # noqa: C416  (a dict of the wider key type)
        "material": {
            "metal": ("metal", "steel"), "glass": ("glass",), "plastic": ("plastic",), "wood": ("wood", "wooden"),
            "paper": ("paper",), "cotton": ("cotton",), "wool": ("wool", "woollen"), "leather": ("leather",),
        },
        "size": {"small": ("small",), "medium": ("medium",), "large": ("large",)},
        "style": {"classic": ("classic",), "modern": ("modern",), "rustic": ("rustic",)},
    }
)  # fmt: skip
"""attribute -> value -> the words that state it; the first is the plain one, which captions use."""

ASKED_BY: Mapping[str, str] = MappingProxyType(
    {
        "category": "category", "colour": "colour", "pattern": "pattern", "pack": "count", "set": "count",
        "brand": "mark", "logo": "mark", "mark": "mark", "condition": "damage", "damage": "damage",
    }
)  # fmt: skip
"""Words that name a visible attribute without stating its value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How facts become one line: an opener, then a piece per stated attribute, in this order, joined.

    A piece is (attribute, templates); the attribute "noun" stands for category, department or neither.
    """

    openers: tuple[str, ...]
    pieces: tuple[tuple[str, tuple[str, ...]], ...]
    joiner: str = " "


@dataclass(frozen=True, slots=True)
class FamilyShapes:
    """One wording family.  `question` has the holes {adjective} and {topic}; `opinion` and `damage` one hole each."""

    title: Shape
    query: Shape
    state: Shape
    history: tuple[str, ...]
    question: tuple[str, ...]
    opinion: tuple[str, ...]
    damage: tuple[str, ...]
    talk_joiner: str


def _pieces(*pieces: tuple[str, str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((attribute, tuple(templates.split("|"))) for attribute, templates in pieces)


_WORD = "{}"
_CATALOGUE = FamilyShapes(
    title=Shape(
        ("",),
        _pieces(
            ("mark", _WORD), ("style", _WORD), ("size", _WORD), ("colour", _WORD), ("pattern", _WORD),
            ("material", _WORD), ("noun", _WORD), ("count", "pack of {}|set of {}"),
        ),
    ),
    query=Shape(
        ("", "need", "buy"),
        _pieces(
            ("colour", _WORD), ("pattern", _WORD), ("noun", _WORD), ("material", _WORD), ("size", _WORD),
            ("style", _WORD), ("mark", "by {}|brand {}"), ("count", "pack of {}"),
        ),
    ),
    state=Shape(
        ("bought this", "mine is"),
        _pieces(
            ("size", _WORD), ("style", _WORD), ("colour", _WORD), ("pattern", _WORD), ("material", _WORD),
            ("noun", _WORD), ("mark", "from {}|by {}"), ("count", "pack of {}"),
        ),
    ),
    history=("size", "style", "colour", "pattern", "material", "count", "noun", "mark"),
    question=("how {adjective} is the {topic}", "is the {topic} {adjective}"),
    opinion=("overall {}", "it is {}"),
    damage=("it came {}", "it was {}"),
    talk_joiner=" and ",
)  # fmt: skip
_LISTING = FamilyShapes(
    title=Shape(
        ("", "new :"),
        _pieces(
            ("noun", _WORD), ("colour", _WORD), ("pattern", _WORD), ("material", _WORD), ("size", _WORD),
            ("style", _WORD), ("mark", "by {}"), ("count", "set of {}"),
        ),
        ", ",
    ),
    query=Shape(
        ("looking for", "search for"),
        _pieces(
            ("noun", _WORD), ("colour", "in {}"), ("pattern", "with {} pattern"), ("material", "of {}"),
            ("size", _WORD), ("style", _WORD), ("mark", "brand {}"), ("count", "set of {}"),
        ),
    ),
    state=Shape(
        ("as shown :", "received :"),
        _pieces(
            ("noun", _WORD), ("mark", "by {}"), ("colour", "in {}"), ("material", "of {}"), ("pattern", _WORD),
            ("count", "set of {}"), ("style", _WORD), ("size", _WORD),
        ),
        ", ",
    ),
    history=("colour", "pattern", "material", "size", "style", "count", "noun", "mark"),
    question=("the {topic} : how {adjective} is it", "the {topic} , is it {adjective}"),
    opinion=("quality : {}", "the quality is {}"),
    damage=("arrived {}", "condition : {}"),
    talk_joiner=", ",
)  # fmt: skip
_LABEL = FamilyShapes(
    title=Shape(
        ("", "new"),
        _pieces(
            ("size", _WORD), ("style", "{} style"), ("noun", _WORD), ("colour", "in {}"),
            ("pattern", "with {} pattern|{}"), ("material", "of {}"), ("mark", "from {}"), ("count", "pack of {}"),
        ),
    ),
    query=Shape(
        ("show me", "we want"),
        _pieces(
            ("mark", _WORD), ("size", _WORD), ("material", _WORD), ("noun", _WORD), ("pattern", "{} pattern"),
            ("colour", "in {}"), ("count", "pack of {}"), ("style", "{} style"),
        ),
    ),
    state=Shape(
        ("we got", "we have"),
        _pieces(
            ("mark", _WORD), ("colour", _WORD), ("noun", _WORD), ("pattern", "with {} pattern"), ("material", "of {}"),
            ("size", "in {} size"), ("style", "{} style"), ("count", "set of {}"),
        ),
    ),
    history=("style", "size", "material", "pattern", "colour", "noun", "count", "mark"),
    question=("can you tell how {adjective} the {topic} is", "would you say the {topic} is {adjective}"),
    opinion=("we think it is {}", "we call it {}"),
    damage=("ours was {}", "we got it {}"),
    talk_joiner=" . ",
)  # fmt: skip
_TAG = FamilyShapes(
    title=Shape(
        ("",),
        _pieces(
            ("noun", _WORD), ("mark", "brand {}"), ("size", "size {}"), ("colour", "colour {}"),
            ("pattern", "pattern {}"), ("material", "made of {}"), ("style", "style {}"), ("count", "{} in pack"),
        ),
        ", ",
    ),
    query=Shape(
        ("which shop has", "want"),
        _pieces(
            ("style", _WORD), ("size", _WORD), ("noun", _WORD), ("mark", "made by {}"), ("material", "made of {}"),
            ("pattern", "with {} pattern"), ("colour", "in {}"), ("count", "{} in pack"),
        ),
        ", ",
    ),
    state=Shape(
        ("and more :", "to tell more :"),
        _pieces(
            ("colour", "{} colour"), ("pattern", "{} pattern"), ("size", "{} size"), ("style", "{} style"),
            ("material", "made of {}"), ("count", "{} in pack"), ("noun", _WORD), ("mark", "made by {}"),
        ),
        ", ",
    ),
    history=("pattern", "colour", "count", "style", "material", "size", "noun", "mark"),
    question=("tell me : {topic} , how {adjective}", "{topic} , is that {adjective}"),
    opinion=("{} buy", "my view : {}"),
    damage=("mine was {}", "mine came {}"),
    talk_joiner=" ; ",
)  # fmt: skip
_STALL = FamilyShapes(
    title=Shape(
        ("for you :", "the new"),
        _pieces(
            ("count", "{} in set"), ("pattern", _WORD), ("material", _WORD), ("style", "style {}"), ("noun", _WORD),
            ("size", "in {}"), ("mark", "made by {}"), ("colour", "colour {}"),
        ),
    ),
    query=Shape(
        ("would you show", "have you got"),
        _pieces(
            ("pattern", _WORD), ("style", _WORD), ("noun", _WORD), ("size", "size {}"), ("count", "set of {}"),
            ("mark", "from {}"), ("colour", "colour {}"), ("material", "in {}"),
        ),
    ),
    state=Shape(
        ("it is , as shown ,", "the shop has this :"),
        _pieces(
            ("material", "of {}"), ("count", "{} in set"), ("colour", "colour {}"), ("noun", _WORD),
            ("size", "size {}"), ("pattern", _WORD), ("mark", "brand {}"), ("style", _WORD),
        ),
        ", ",
    ),
    history=("count", "material", "colour", "style", "noun", "pattern", "size", "mark"),
    question=("say , is the {topic} {adjective}", "how {adjective} , would you say , is the {topic}"),
    opinion=("{} overall", "{} , we think"),
    damage=("this came {}", "{} as it arrived"),
    talk_joiner=" , and ",
)  # fmt: skip

SHAPES: Mapping[str, FamilyShapes] = MappingProxyType(
    {"catalogue": _CATALOGUE, "listing": _LISTING, "label": _LABEL, "tag": _TAG, HELD_OUT: _STALL}
)
