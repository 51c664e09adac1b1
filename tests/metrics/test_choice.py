"""Which candidate is worth a look: by hand, and the threshold against every alternative."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from lookwise.metrics.choice import above, best, by_candidate, cost_curve, drawn_helpful, likeliest, threshold_at
from lookwise.rows import Utility


def row(candidate, label=None, gain=None, probability=None, slot=None, sample="s"):
    source = "measured" if probability is None else "predicted"
    return Utility(sample, slot, candidate, label, gain, probability, None, None, "r", source, "m")


def test_the_published_selector_draws_among_the_helpful_with_a_seed():
    rows = [row(0, "redundant"), row(3, "helpful"), row(5, "helpful"), row(6, "misleading"), row(7)]
    drawn = {drawn_helpful(rows, random.Random(seed)) for seed in range(40)}
    assert drawn == {(3,), (5,)}
    assert drawn_helpful(rows, random.Random(1)) == drawn_helpful(rows[::-1], random.Random(1))
    assert drawn_helpful([row(0, "redundant")], random.Random(0)) == ()


def test_by_probability():
    rows = [row(0, probability=0.2), row(1, probability=0.7), row(2, probability=0.7), row(3)]
    assert likeliest(rows) == (1,)
    assert likeliest(rows, 3) == (1, 2, 0)
    assert above(rows, 0.7) == (1,)
    assert above(rows, 0.71) == ()
    assert likeliest([]) == above([row(0)], 0.0) == ()


def test_the_best_is_the_largest_gain_or_the_first_helpful():
    assert best([row(0, gain=0.1), row(1, gain=0.4), row(2, gain=-3.0)]) == (1,)
    assert best([row(0, gain=0.0), row(1, gain=-0.4)]) == ()
    assert best([row(0, "redundant"), row(1, "helpful"), row(2, "helpful")]) == (1,)


def test_all_slots_together_or_the_only_slot():
    assert by_candidate([row(0, slot="product"), row(1, slot="product")]).keys() == {0, 1}
    assert by_candidate([row(0, slot="product 1"), row(0, slot="product 2")]) == {}
    whole = row(0, "helpful")
    assert by_candidate([row(0, slot="product 1"), whole]) == {0: whole}


CASES = st.lists(
    st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.floats(-3, 3, allow_nan=False)), min_size=1, max_size=12
)


@given(CASES, st.sampled_from([0.0, 0.2, 1.0]))
def test_the_threshold_is_the_best_of_all(cases, price):
    predicted = {f"s{i}": [row(0, probability=p)] for i, (p, _) in enumerate(cases)}
    known = {f"s{i}": [row(0, gain=gain)] for i, (_, gain) in enumerate(cases)}
    curve = cost_curve(predicted, known)
    chosen = threshold_at(curve, price)

    def value(threshold):
        looks = [gain - price for p, gain in cases if p >= threshold]
        return math.fsum(looks) / len(cases)

    assert value(chosen) >= max(value(t) for t in (0.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.9, 1.0)) - 1e-9
    assert [look.looked for look in curve] == sorted((look.looked for look in curve), reverse=True)
    for look in curve:
        assert math.isclose(
            look.worth, math.fsum(g for p, g in cases if p >= look.threshold) / len(cases), abs_tol=1e-9
        )


def test_nothing_to_choose_by_never_looks():
    assert cost_curve({}, {}) == []
    assert threshold_at([]) == math.inf
    (never,) = cost_curve({}, {"s": [row(0, gain=1.0)]})
    assert (never.looked, never.worth, never.n) == (0.0, 0.0, 1)
    assert threshold_at(cost_curve({"s": [row(0, probability=0.9)]}, {"s": [row(0, gain=-1.0)]})) == math.inf


def test_a_look_of_unknown_worth_is_no_look_that_gains_nothing():
    predicted = {name: [row(0, probability=0.9), row(1, probability=0.2)] for name in "abc"}
    known = {"a": [row(0), row(1, "helpful", 1.0)], "b": [row(0, "helpful", 2.0)], "c": [row(0), row(1)]}
    always, never = cost_curve(predicted, known)
    assert (always.looked, always.worth, always.n) == (1.0, 2.0, 1)
    assert never.n == 1
