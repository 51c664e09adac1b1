"""A conversation that says how the reply begins: models go on from there, servers find it in the question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lookwise.message import Message, TextPart, user
from lookwise.model import Generate, Rank, Request
from lookwise.models.hf.encode import Encoder
from lookwise.models.hf.model import HFModel
from lookwise.models.hf.texts import load_texts
from lookwise.models.http.spec import parse
from lookwise.models.http.wire import messages
from lookwise.models.open import open_model
from lookwise.models.place import locate
from lookwise.training.examples import Encoder as Lessons
from lookwise.training.examples import Example

BEGUN = Message("assistant", (TextPart("small toy "),))
TALK = (user("red kettle"), BEGUN)


@pytest.fixture(scope="module")
def folder(saved: Callable[..., Path]) -> Path:
    return saved("llama")


def test_the_prompt_ends_with_it_and_nothing_stands_between_it_and_an_option(folder: Path) -> None:
    place = locate(f"hf:{folder}", fetch=False)
    assert place is not None
    texts = load_texts(place)
    encoder = Encoder(texts, "x")
    plain, begun = encoder.encode(TALK[:1]), encoder.encode(TALK)
    rendered = encoder._render(TALK[:1], None)
    assert list(plain.ids) == list(texts.words.ids(rendered))
    assert list(begun.ids) == list(texts.words.ids(rendered + "small toy "))
    assert begun.tail.endswith("small toy ")
    stays, tree = encoder.options(begun, ("yes",))
    whole = list(begun.ids[:stays]) + [token for _, token in tree.paths[0]]
    assert whole == list(texts.words.ids(rendered + "small toy yes"))


def test_a_model_ranks_and_writes_from_there(folder: Path) -> None:
    model = open_model(f"hf:{folder}")
    assert isinstance(model, HFModel)
    try:
        with torch.no_grad():
            ranked, written = model.answer([Request(TALK, Rank(("yes", "no"))), Request(TALK, Generate(5))])
            other = model.answer([Request(TALK[:1], Rank(("yes", "no")))])[0]
    finally:
        model.close()
    assert ranked.ok
    assert ranked.scores != other.scores
    assert written.ok
    assert not (written.text or "").startswith("small toy")


def test_lessons_supervise_what_follows(folder: Path) -> None:
    from transformers import AutoTokenizer

    lessons = Lessons(AutoTokenizer.from_pretrained(folder), "x")
    (row,) = lessons.encode([Example(TALK, "yes", "t")])
    (plain,) = lessons.encode([Example(TALK[:1], "yes", "t")])
    assert row.start > plain.start
    assert row.ids[row.start :] == lessons.endings(TALK, ["yes"])[0]


def test_a_server_finds_it_at_the_end_of_the_question() -> None:
    (turn,) = messages(parse("http://127.0.0.1:1/v1#m"), TALK)
    assert turn == {"role": "user", "content": "red kettle\nsmall toy "}
