"""Scores: by hand on small cases, scikit-learn against counts on random ones, denominators."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookwise.metrics import classification as c

LABELS = ("A", "B", "C")
EVERY = [
    metric
    for over in ("parsed", "all")
    for metric in (
        c.accuracy(over, LABELS),
        c.recall_at_1(over, LABELS),
        *(make(over, LABELS, "B") for make in (c.precision, c.recall, c.f1)),
        *(make(over, LABELS) for make in (c.macro_precision, c.macro_recall, c.macro_f1)),
        *(make(over, LABELS) for make in (c.weighted_precision, c.weighted_recall, c.weighted_f1)),
    )
]
pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, None])), max_size=12)


def table(rows):
    counts = np.zeros((3, 4))
    for gold, answer in rows:
        counts[LABELS.index(gold), 3 if answer is None else LABELS.index(answer)] += 1
    return counts


@settings(deadline=None, max_examples=30)
@given(pairs)
def test_counts_give_what_scikit_learn_gives(rows):
    gold, answers = [g for g, _ in rows], [a for _, a in rows]
    for metric in EVERY:
        direct = metric.score(gold, answers)
        assert metric.score.of_counts(table(rows)[None])[0] == pytest.approx(direct, nan_ok=True), metric


def test_denominators_by_hand():
    gold, answers = ["yes", "yes", "yes", "no"], ["yes", None, "no", "no"]
    labels = ("yes", "no")
    assert c.accuracy("parsed").score(gold, answers) == pytest.approx(2 / 3)
    assert c.accuracy("all").score(gold, answers) == pytest.approx(2 / 4)
    assert c.recall("parsed", labels, "yes").score(gold, answers) == pytest.approx(1 / 2)
    assert c.recall("all", labels, "yes").score(gold, answers) == pytest.approx(1 / 3)
    assert c.precision("all", labels, "yes").score(gold, answers) == 1.0
    assert c.f1("parsed", labels, "yes").score(gold, answers) == pytest.approx(2 / 3)


def test_a_class_absent_from_the_gold_is_wrong_and_not_skipped():
    metric = c.macro_f1("parsed", LABELS)
    # A: precision 1, recall 1/2; C was never gold: 0; B neither gold nor answered: no class to average.
    assert metric.score(["A", "A"], ["A", "C"]) == pytest.approx((2 / 3 + 0) / 2)
    assert c.accuracy("parsed", LABELS).score(["A", "A"], ["A", "C"]) == 0.5


@pytest.mark.parametrize("metric", EVERY, ids=lambda m: f"{m.name}-{m.over}")
def test_nothing_to_score_is_nan(metric):
    assert math.isnan(metric.score([], []))
    assert math.isnan(metric.score(["A"], [None])) == (metric.over == "parsed")


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        c.accuracy("all").score(["A", "B"], ["A"])
