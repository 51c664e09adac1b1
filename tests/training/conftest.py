"""Tiny models and examples for the tuning room: random weights, a word-level tokenizer, a rule that can be learned."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from lookwise.message import user
from lookwise.training.examples import Example

COLOURS = ("red", "blue", "green", "black", "white")
THINGS = ("kettle", "blanket", "torch", "helmet")


def make_examples(n: int, seed: int = 0, task: str = "match") -> list[Example]:
    """Does the title name the colour that the query asks for?  Lengths vary with filler."""
    rng = random.Random(seed)
    made = []
    for _ in range(n):
        asked, thing = rng.choice(COLOURS), rng.choice(THINGS)
        named = asked if rng.random() < 0.5 else rng.choice([c for c in COLOURS if c != asked])
        filler = " ".join(rng.choice(("sturdy", "small", "large", "new")) for _ in range(rng.randrange(12)))
        text = f"query: {asked} {thing}. title: {filler} {named} {thing}. does the colour match?"
        made.append(Example((user(text),), "yes" if named == asked else "no", task, ("yes", "no")))
    return made


@pytest.fixture(scope="session")
def shop_examples() -> Callable[..., list[Example]]:
    """The maker of examples: (n, seed, task)."""
    return make_examples


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved random Llama of about 20 k parameters, head tied, with tokenizer and template."""
    from lookwise.training.scratch import build_tokenizer, new_reader

    folder = tmp_path_factory.mktemp("base") / "reader"
    examples = make_examples(50)
    tokenizer = build_tokenizer([e.conversation[0].text for e in examples] + ["yes no", "yes no"])
    new_reader(tokenizer, width=32, layers=2, heads=2, seed=1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
