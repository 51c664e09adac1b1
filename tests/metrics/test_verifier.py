"""A verifier's scores, by hand and against scikit-learn."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lookwise.metrics.verifier import area_under_roc, verifier_score
from lookwise.rows import Utility


def row(sample, label, probability=None, kind=None, candidate=0):
    source = "truth" if probability is None else "predicted"
    return Utility(sample, None, candidate, label, None, probability, None, None, "r", source, "m", kind)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.booleans()), min_size=2, max_size=30))
def test_the_area_is_scikit_learns(pairs):
    found = area_under_roc(pairs)
    if len({positive for _, positive in pairs}) < 2:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score([p for _, p in pairs], [s for s, _ in pairs]))


def test_by_hand():
    known = [row("a", "helpful"), row("b", "redundant"), row("c", "helpful"), row("d", "misleading"), row("e", None)]
    predicted = [
        row("a", "helpful", 0.9), row("b", "helpful", 0.92), row("c", "redundant", 0.3), row("d", None, 0.1),
        row("e", "helpful", 0.5), row("f", "helpful", 0.5),
    ]  # fmt: skip
    score = verifier_score(predicted, known)
    assert (score.n, score.helpful, score.unread) == (4, 2, 1)
    assert score.auc == 0.5
    assert score.confusion == {("helpful", "helpful"): 1, ("helpful", "redundant"): 1, ("redundant", "helpful"): 1}
    assert [(b.n, b.helpful) for b in score.bins] == [(1, 0.0), (1, 1.0), (2, 0.5)]
    assert score.error == pytest.approx((0.1 + 0.7 + 2 * 0.41) / 4)


def test_kinds_narrow_it_to_pictures_that_are_all_of_them():
    known = [
        row("a", "helpful", kind="view,detail"),
        row("b", "redundant", kind="view,other"),
        row("c", "redundant", kind="use"),
    ]
    predicted = [row("a", "helpful", 0.4), row("b", "helpful", 0.9), row("c", "helpful", 0.2)]
    assert verifier_score(predicted, known).auc == 0.5
    assert verifier_score(predicted, known, ("view", "detail", "use")).auc == 1.0
    assert verifier_score(predicted, known, ("blank",)).n == 0
    assert math.isnan(verifier_score([], []).error)


def test_judgements_without_probability_are_counted_with_what_they_judge():
    known = [row("a", "helpful"), row("b", "redundant")]
    written = [replace(row(name, "helpful", 0.5), probability=None) for name in "ab"]
    score = verifier_score(written, known)
    assert (score.n, score.helpful, score.bins) == (2, 1, ())
    assert math.isnan(score.auc)
