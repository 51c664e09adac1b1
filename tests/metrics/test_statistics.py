"""Intervals cover, are seeded and order-free; tests agree with their definitions; published worked examples."""

import math
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookwise.metrics import classification as c
from lookwise.metrics.statistics import bootstrap, compare, fleiss_kappa, holm, krippendorff_alpha, mcnemar

LABELS = ("A", "B", "C")


def sample(n, right, seed=0):
    rng = random.Random(seed)
    gold = [rng.choice(LABELS) for _ in range(n)]
    return gold, [g if rng.random() < right else rng.choice((*LABELS, None)) for g in gold]


@pytest.mark.parametrize("metric", [c.macro_f1("parsed", LABELS), c.accuracy("all"), c.f1("all", LABELS, "A")])
def test_the_fast_bootstrap_agrees_with_the_plain_one(metric):
    gold, answers = sample(120, 0.6)
    fast = bootstrap(gold, answers, metric.score, resamples=200)
    plain = bootstrap(gold, answers, lambda g, a: metric.score(g, a), resamples=200)
    assert fast.value == pytest.approx(plain.value)
    assert (fast.low, fast.high) == pytest.approx((plain.low, plain.high))


def test_intervals_are_seeded_and_do_not_depend_on_order():
    gold, answers = sample(80, 0.5)
    score = c.macro_f1("parsed", LABELS).score
    one = bootstrap(gold, answers, score, seed=3)
    assert one == bootstrap(gold, answers, score, seed=3)
    assert one == bootstrap(gold[::-1], answers[::-1], score, seed=3)
    assert one != bootstrap(gold, answers, score, seed=4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        rng = random.Random(seed)
        answers = ["A" if rng.random() < 0.7 else "B" for _ in range(200)]
        interval = bootstrap(["A"] * 200, answers, c.accuracy("all").score, resamples=300, seed=seed)
        covered += interval.low <= 0.7 <= interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_nothing_to_score_has_no_interval():
    assert all(math.isnan(x) for x in vars_of(bootstrap([], [], c.accuracy("all").score)))
    assert all(math.isnan(x) for x in vars_of(bootstrap(["A"], [None], c.accuracy("parsed").score)))


def vars_of(interval):
    return (interval.value, interval.low, interval.high)


def test_a_paired_difference_is_narrower_than_two_intervals():
    gold, a = sample(300, 0.6)
    b = [g if i % 10 == 0 else x for i, (g, x) in enumerate(zip(gold, a, strict=True))]
    score = c.accuracy("all").score
    difference = compare(gold, b, a, score)
    assert difference.low > 0
    assert difference.only_b == 0
    assert difference.p == pytest.approx(2 * 0.5**difference.only_a)
    assert difference.value == pytest.approx(difference.only_a / 300)
    assert compare(gold, a, a, score).value == 0
    assert math.isnan(compare(gold, a, a, score).p)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_a_symmetric_p_value(x, y):
    p = mcnemar(x, y)
    assert (math.isnan(p)) == (x + y == 0)
    if x + y:
        assert 0 < p <= 1
        assert p == mcnemar(y, x)


def test_mcnemar_by_hand():
    assert mcnemar(1, 5) == pytest.approx(2 * (1 + 6) / 64)
    assert mcnemar(3, 3) == 1.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.9])[0] == pytest.approx(1.0)
    assert math.isnan(holm([0.5, math.nan])[1])
    assert holm([]) == []


def test_fleiss_kappa_of_the_textbook_example():
    # Fleiss 1971, as commonly reprinted: ten subjects, fourteen raters, five categories, kappa 0.210.
    rows = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    units = [[k for k, count in enumerate(row) for _ in range(count)] for row in rows]
    assert fleiss_kappa(units) == pytest.approx(0.210, abs=5e-4)


def test_krippendorff_alpha_of_the_textbook_example():
    # Krippendorff's nominal example with three observers and missing values: alpha 0.691.
    a = [None, None, None, None, None, 3, 4, 1, 2, 1, 1, 3, 3, None, 3]
    b = [1, None, 2, 1, 3, 3, 4, 3, None, None, None, None, None, None, None]
    d = [None, None, 2, 1, 3, 4, 4, None, 2, 1, 1, 3, 3, None, 4]
    assert krippendorff_alpha(list(zip(a, b, d, strict=True))) == pytest.approx(0.691, abs=5e-4)


def test_agreement_of_one_opinion_is_undefined():
    assert math.isnan(fleiss_kappa([["yes", "yes"], ["yes", "yes"]]))
    assert math.isnan(krippendorff_alpha([["yes", "yes"], ["yes", None]]))
    assert krippendorff_alpha([["yes", "yes"], ["no", "no"]]) == 1.0
    assert math.isnan(fleiss_kappa([["yes", "no"], ["yes"]]))


def test_many_labels_take_no_room_of_their_square():
    labels = tuple(f"label {i}" for i in range(400))
    rng = random.Random(3)
    gold = [rng.choice(labels) for _ in range(1500)]
    answers = [g if rng.random() < 0.5 else rng.choice((None, *labels)) for g in gold]
    tracemalloc.start()
    found = bootstrap(gold, answers, c.macro_f1("all", labels).score, resamples=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.low < found.value + 0.05
    assert found.low < found.high
    assert peak < 100e6, "bytes; tables of 400 by 401 for every cell take gigabytes"
