"""A policy's choice against the truth, by hand."""

import math

import pytest

from lookwise.metrics.gate import choice_score
from lookwise.rows import Evidence, Utility


def utility(sample, slot, gain, label=None, candidate=0):
    return Utility(sample, slot, candidate, label, gain, None, None, None, "naive", "truth", "")


def shown(sample, *candidates, of=3, slots=("product",)):
    return [
        Evidence(sample, "p", slot, "image" if i in candidates else "none", None, i)
        for slot in slots
        for i in range(of)
    ]


def worths(sample, *gains):
    return [utility(sample, None, gain, candidate=i) for i, gain in enumerate(gains)]


def test_choices_by_hand():
    evidence = [*shown("a", 1), *shown("b", 0), *shown("c"), *shown("d"), *shown("unknown", 2)]
    known = [*worths("a", 0.5, 2.0, 0), *worths("b", -1.0, 0.5, 0), *worths("c", 0.25, 0, 0), *worths("d", -1, -2, 0)]
    score = choice_score(evidence, known)
    assert (score.n, score.looked, score.gained, score.worthwhile) == (4, 2, 1, 3)
    assert (score.precision, score.recall) == (0.5, pytest.approx(1 / 3))
    # Best chosen: nothing lost; a harmful one chosen where a good one was: 1.5; a good one left: 0.25; rightly left: 0.
    assert score.regret == pytest.approx((0 + 1.5 + 0.25 + 0) / 4)
    assert score.pictures == 0.5


def test_the_best_choice_has_no_regret_and_pictures_count_every_slot():
    known = [*worths("a", 0.5, 2.0, 0), *worths("b", -1.0, -0.5, 0)]
    score = choice_score([*shown("a", 1, slots=("product 1", "product 2")), *shown("b")], known)
    assert score.regret == 0
    assert score.pictures == 1.0
    both = choice_score([*shown("a", 0, 1), *shown("b")], known)
    assert both.regret == pytest.approx((2.0 - 1.25) / 2)
    assert math.isnan(choice_score([], []).regret)
