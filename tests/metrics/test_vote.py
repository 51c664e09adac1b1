"""Majorities: early certainty equals asking everybody, ties go by rule, the published program's ties are reproduced."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookwise.errors import RecipeError
from lookwise.metrics.vote import TIE_RULES, certain, majority

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "published_behaviour.json"
ballots = st.lists(st.sampled_from(["yes", "no", None]), max_size=9)


@given(ballots, st.sampled_from(TIE_RULES))
def test_deciding_early_equals_asking_everybody(cast, tie):
    for asked in range(len(cast) + 1):
        early = certain(cast[:asked], len(cast) - asked, tie)
        assert early in (None, majority(cast, tie))
    assert certain(cast, 0, tie) == majority(cast, tie)


@given(st.lists(st.sampled_from(["yes", "no", None]), max_size=6), st.integers(1, 5))
def test_it_is_certain_as_early_as_it_can_be(cast, left):
    outcomes = {majority([*cast, *["yes"] * k, *["no"] * (left - k)]) for k in range(left + 1)}
    strict = {majority([*cast, *["yes"] * k, *["no"] * (left - k)], "keep") for k in range(left + 1)}
    settled = len(outcomes | strict) == 1
    assert (certain(cast, left) is not None) == settled


@given(ballots)
def test_majority_is_strict_and_of_the_readable(cast):
    count = Counter(cast)
    assert (majority(cast) == "yes") == (count["yes"] > count["no"])
    assert (majority(cast, "keep") == "yes") == (count["yes"] >= count["no"])


@pytest.mark.parametrize(("tie", "verdict"), [("drop", "no"), ("keep", "yes"), ("first", "no"), ("published", "no")])
def test_ties(tie, verdict):
    assert majority([None, "no", "yes", "yes", "no"], tie) == verdict


def test_one_judge_and_none():
    assert majority(["yes"]) == "yes"
    assert majority([]) == "no"
    assert majority([], "published") == "no"


def test_unreadable_replies_vote_in_the_published_program_only():
    assert majority(["not", "not", "not", "yes", "yes"], "published") == "no"
    assert majority(["not", "not", "not", "yes", "yes"]) == "yes"


def test_unknown_rule_is_named():
    with pytest.raises(RecipeError, match="'drop'"):
        majority(["yes"], "dropp")


@pytest.mark.skipif(not GOLDEN.exists(), reason="golden cases are not here")
def test_published_votes():
    for case in json.loads(GOLDEN.read_text())["votes"]:
        assert majority(case["replies"], "published") == case["expected"], case
