"""A policy's choice against the truth, by hand."""

import math

import pytest

from lookwise.metrics.gate import Pick, gate_score, picks
from lookwise.rows import Evidence, Utility


def utility(sample, slot, gain, label=None, candidate=0):
    return Utility(sample, slot, candidate, label, gain, None, None, None, "naive", "truth", "")


def test_by_hand():
    score = gate_score(
        [Pick(True, True, 1.0), Pick(True, False, -0.5), Pick(False, True, 0.25), Pick(False, False, 0.0)]
    )
    assert (score.n, score.kept, score.worth) == (4, 2, 2)
    assert (score.precision, score.recall, score.balanced_accuracy) == (0.5, 0.5, 0.5)
    # Kept rightly: nothing lost; a harmful one kept: 0.5; a good one left: 0.25.
    assert score.regret == pytest.approx((0.5 + 0.25) / 4)


def test_the_oracle_has_no_regret():
    chosen = [Pick(gain > 0, gain > 0, gain) for gain in (0.3, -0.2, 0.0, 1.5)]
    assert gate_score(chosen).regret == 0
    assert gate_score(chosen).balanced_accuracy == 1.0


def test_empty_denominators_are_nan():
    assert math.isnan(gate_score([]).precision)
    assert math.isnan(gate_score([Pick(False, False, None)]).regret)
    assert math.isnan(gate_score([Pick(True, False, None)]).recall)


def test_rows_meet_by_slot_or_by_the_whole():
    evidence = [
        Evidence("s", "p", "product 1", "caption", "c1", 0),
        Evidence("s", "p", "product 2", "none", None, 0),
        Evidence("t", "p", "product", "none", None, 0),
        Evidence("unknown", "p", "product", "none", None, 0),
    ]
    utilities = [utility("s", None, 0.7), utility("t", "product", None, "helpful")]
    assert picks(evidence, utilities) == [Pick(True, True, 0.7), Pick(False, True, 0.7), Pick(False, True, None)]
