"""Scripted models keep the protocol that real ones keep."""

from __future__ import annotations

import pytest

from lookwise.bazaar.ceiling import Ceiling, predictions, utilities
from lookwise.bazaar.samples import make_split, split_world
from lookwise.errors import ModelError
from lookwise.message import Media, user
from lookwise.model import Generate, Model, Rank, Request
from lookwise.models.open import check_spec, fingerprint, open_model
from lookwise.models.scripted import SCRIPTS, ScriptedModel, check_scripted, echo, open_scripted


def test_scripts_write_and_rank() -> None:
    model: Model = open_scripted("no")
    wrote, ranked = model.answer([Request((user("a b c"),), Generate()), Request((user("a"),), Rank(("Yes", "No")))])
    assert (wrote.text, wrote.tokens_in, wrote.tokens_out) == ("no", 3, 1)
    assert (ranked.text, ranked.tokens) == ("No", (1, 1))
    assert ranked.scores[1] > ranked.scores[0]


def test_echo_keeps_text_as_it_is_within_its_length() -> None:
    model = open_scripted("echo")
    request = Request((user("first"), user(" two  words ")), Generate())
    assert model.answer([request])[0].text == " two  words "
    assert model.answer([Request(request.conversation, Generate(max_new_tokens=1))])[0].text == "two"
    assert model.answer([Request((user("blue"),), Rank(("red", "blue")))])[0].text == "blue"


def test_first_takes_the_first() -> None:
    model = open_scripted("first")
    assert model.answer([Request((user("one two"),), Generate())])[0].text == "one"
    assert model.answer([Request((user("b"),), Rank(("a", "c")))])[0].text == "a"
    assert model.answer([Request((), Generate())])[0].text == ""
    assert not model.answer([Request((), Rank(()))])[0].ok


def test_names_are_checked_and_fingerprints_differ() -> None:
    with pytest.raises(ModelError, match="did you mean 'echo'"):
        check_scripted("ehco")
    assert len({open_scripted(name).fingerprint for name in SCRIPTS}) == len(SCRIPTS)
    assert open_scripted("yes").name == "scripted:yes"


def test_an_exact_readers_name_is_refused_with_where_its_rows_come_from() -> None:
    ceiling = Ceiling(split_world("test"))
    made = next(iter(make_split(3, "test", 1, ["product_relation_prediction"])))
    rows = predictions(ceiling, made.sample, made.drawn)
    names = {*(row.model for row in rows), *(u.model for u in utilities(ceiling, made.sample.id, made.drawn))}
    assert len(names) == 3
    for name in names:  # what one finds in rows, and may try to open
        for attempt in (check_spec, open_model, fingerprint):
            with pytest.raises(ModelError, match=f"'{name}'.* computed when the generated shop is made.*ceiling/text"):
                attempt(name)


def test_lengths_count_words_and_pictures_and_a_closed_model_refuses() -> None:
    model = ScriptedModel("m", echo, batch_tokens=7)
    assert model.batch_tokens == 7
    assert model.length(Request((user("a b", Media("p")), user("c")), Generate())) == 67
    model.close()
    with pytest.raises(ModelError, match="closed"):
        model.answer([])
