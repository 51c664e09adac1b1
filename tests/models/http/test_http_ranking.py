"""How options are ranked by what a chat can say; nothing is ever guessed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookwise.models.http.ranking import rank_body, read_rank
from lookwise.models.http.spec import Way, parse
from lookwise.models.http.wire import Said

ENDPOINT = parse("http://h/v1#m")


def said(text: str = "", **first: float) -> Said:
    return Said(text, "stop", None, tuple(sorted(first.items(), key=lambda p: -p[1])), 10, 1)


def test_first_tokens_are_summed_by_the_option_that_they_begin() -> None:
    found = read_rank(
        ("yes", "no"), said("Yes", **{"Yes": -1.0, " yes": -2.0, "No": -0.9, "the": -3.0}), "logprobs", last=False
    )
    assert found is not None
    assert found.text == "yes"
    assert found.scores[0] == pytest.approx(math.log(math.exp(-1) + math.exp(-2)))
    assert found.scores[1] == pytest.approx(-0.9)
    assert (found.tokens, found.tokens_in, found.tokens_out) == ((1, 1), 10, 1)


def test_an_option_that_no_token_begins_scores_below_all_that_were_listed() -> None:
    found = read_rank(("A", "B", "C"), said("x", B=-2.0, x=-0.1, y=-2.0), "logprobs", last=False)
    assert found is not None
    assert found.text == "B"
    assert found.scores[0] == found.scores[2] < -2.0
    assert found.scores[0] == pytest.approx(-2.0)


def test_a_letter_is_that_letter() -> None:
    found = read_rank(("A", "B"), said("a", a=-0.1, An=-0.2, **{" B.": -4.0}), "logprobs", last=False)
    assert found is not None
    assert found.text == "B"


def test_first_tokens_that_two_options_share_decide_nothing() -> None:
    options = ("very positive", "very negative")
    assert read_rank(options, said("very", very=-0.1), "logprobs", last=False) is None
    assert read_rank(options, said("Sure", Sure=-0.1), "logprobs", last=False) is None


def test_an_option_said_outright_is_taken_where_there_are_no_alternatives() -> None:
    found = read_rank(("relevant", "irrelevant"), said(" Relevant"), "logprobs", last=False)
    assert found is not None
    assert (found.text, found.scores) == ("relevant", ())
    assert read_rank(("relevant", "irrelevant"), said("ir"), "logprobs", last=False) is None


@pytest.mark.parametrize(
    ("way", "text", "chosen"),
    [
        ("constrained", '{"answer": "no"}', "no"),
        ("constrained", '"No"', "no"),
        ("constrained", "no", "no"),
        ("constrained", '{"answer": 3}', None),
        ("text", "No.", "no"),
        ("text", "The answer is: yes", "yes"),
        ("text", "yes or no? no", None),
        ("text", "nothing", None),
        ("text", "", None),
    ],
)
def test_constrained_and_plain_text(way: Way, text: str, chosen: str | None) -> None:
    found = read_rank(("yes", "no"), said(text), way, last=True)
    assert found is not None
    assert found.text == chosen
    assert found.ok == (chosen is not None)
    assert found.kept  # it was paid for, and asking again would bring the same
    assert read_rank(("yes", "no"), said(text), way, last=False) == (found if found.ok else None)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("A red kettle, so B.", "B"), ("(C)", "C"), ("A", "A"), ("A cat", None), ("A: or B:", None), ("**B**", "B")],
)
def test_a_lone_letter_must_be_marked_off(text: str, chosen: str | None) -> None:
    found = read_rank(("A", "B", "C"), said(text), "text", last=True)
    assert found is not None
    assert found.text == chosen


def test_a_longer_option_does_not_name_the_shorter_one_inside_it() -> None:
    options = ("positive", "very positive", "neutral")
    found = [
        read_rank(options, said(text), "text", last=True) for text in ("It is very positive!", "so positive, very")
    ]
    assert [f.text for f in found if f] == ["very positive", "positive"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6, unique=True),
    st.text(max_size=60),
    st.sampled_from(["logprobs", "constrained", "text"]),
)
def test_any_text_gives_an_option_or_a_reason(options: list[str], text: str, way: Way) -> None:
    found = read_rank(options, Said(text, "", None, ((text[:3], -1.0),), 0, 0), way, last=True)
    assert found is not None
    assert found.text in options if found.ok else found.failure


def test_bodies_of_the_three_ways() -> None:
    turns = [{"role": "user", "content": "?"}]
    first = rank_body(ENDPOINT, turns, ("a", "b"), "logprobs", "max_tokens")
    assert (first["max_tokens"], first["logprobs"], first["top_logprobs"], first["temperature"]) == (1, True, 20, 0)
    schema = rank_body(ENDPOINT, turns, ("a", "b"), "constrained", "max_completion_tokens")
    assert schema["response_format"]["json_schema"]["schema"]["properties"]["answer"]["enum"] == ["a", "b"]
    assert schema["max_completion_tokens"] > 1
    assert "response_format" not in rank_body(ENDPOINT, turns, ("a", "b"), "text", "max_tokens")
