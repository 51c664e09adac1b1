"""How sure a number is: bootstrap intervals, paired comparison, several tests at once, agreement between judges.

In: gold and answers (None is a failure), or ballots.  Out: values with intervals, p-values, agreement.  Everything is
seeded; resampling is over samples, failures included, and a score over "parsed" drops them inside each resample.

A resample of n pairs is a multinomial draw over the distinct (gold, answer) cells, so that a score with `of_sums`
(classification.py) is bootstrapped 2,000 times in milliseconds; any other score is called once per resample.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookwise.metrics.classification import Score

__all__ = [
    "Difference",
    "Interval",
    "bootstrap",
    "bootstrap_all",
    "bootstrap_mean",
    "compare",
    "fleiss_kappa",
    "holm",
    "krippendorff_alpha",
    "mcnemar",
]

ScoreCall = Callable[[Sequence[str], Sequence[str | None]], float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its percentile interval; all nan where nothing could be scored."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Score of a less score of b on the same samples, its interval, and the exact McNemar test on right and wrong.

    `only_a`: samples that a alone answered rightly; `p` is nan where the two never differ.
    """

    value: float
    low: float
    high: float
    p: float
    only_a: int
    only_b: int
    n: int


def bootstrap(
    gold: Sequence[str],
    answers: Sequence[str | None],
    score: ScoreCall,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return a score with its percentile interval over resampled samples."""
    return bootstrap_all(gold, answers, [score], resamples=resamples, level=level, seed=seed)[0]


def bootstrap_all(
    gold: Sequence[str],
    answers: Sequence[str | None],
    scores: Sequence[ScoreCall],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> list[Interval]:
    """Return several scores with their intervals, all over the same resamples."""
    values = [score(gold, answers) for score in scores]
    if all(math.isnan(value) for value in values):
        return [Interval(value, math.nan, math.nan) for value in values]
    draws = _resampled(list(zip(gold, answers, strict=True)), resamples, seed)
    return [
        Interval(v, *((math.nan, math.nan) if math.isnan(v) else _percentiles(_score_draws(draws, s, 1), level)))
        for v, s in zip(values, scores, strict=True)
    ]


def bootstrap_mean(
    parts: Sequence[tuple[Sequence[str], Sequence[str | None], ScoreCall]],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the mean of several scores, each over samples of its own (gold, answers, score), all parts equal.

    Every part is resampled by itself, so that the interval is over the samples and not over the parts.
    """
    values = [score(gold, answers) for gold, answers, score in parts]
    if not values or any(math.isnan(value) for value in values):
        return Interval(math.nan, math.nan, math.nan)
    drawn = [
        _score_draws(_resampled(list(zip(gold, answers, strict=True)), resamples, seed + i), score, 1)
        for i, (gold, answers, score) in enumerate(parts)
    ]
    mean = np.mean(np.stack(drawn), axis=0)
    return Interval(math.fsum(values) / len(values), *_percentiles(mean, level))


def compare(
    gold: Sequence[str],
    a: Sequence[str | None],
    b: Sequence[str | None],
    score: ScoreCall,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Return how much better a is than b, paired on the same samples."""
    rows = list(zip(gold, a, b, strict=True))
    only_a = sum(x == g != y for g, x, y in rows)
    only_b = sum(y == g != x for g, x, y in rows)
    value = score(gold, a) - score(gold, b)
    low = high = math.nan
    if rows and not math.isnan(value):
        draws = _resampled(rows, resamples, seed)
        low, high = _percentiles(_score_draws(draws, score, 1) - _score_draws(draws, score, 2), level)
    return Difference(value, low, high, mcnemar(only_a, only_b), only_a, only_b, len(rows))


# -------------------------------------------------------------------------------------------------------- the bootstrap


@dataclass(frozen=True, slots=True)
class _Draws:
    """Resamples as counts: `counts[r, c]` is how often distinct row `cells[c]` occurs in resample r."""

    cells: tuple[tuple[str | None, ...], ...]
    counts: NDArray[np.int64]


def _resampled(rows: Sequence[tuple[str | None, ...]], resamples: int, seed: int) -> _Draws:
    # Sorted, so that the draw depends on the content alone and not on the order of the rows.
    occurs = sorted(Counter(rows).items(), key=lambda item: tuple((x is None, x or "") for x in item[0]))
    shares = np.array([count for _, count in occurs], dtype=np.float64) / len(rows)
    counts = np.random.default_rng(seed).multinomial(len(rows), shares, size=resamples)
    return _Draws(tuple(cell for cell, _ in occurs), counts)


def _score_draws(draws: _Draws, score: ScoreCall, column: int) -> Floats:
    """Return the score of each resample, for the answers in one column of its rows (column 0 is the gold)."""
    pairs = [(str(cell[0]), cell[column]) for cell in draws.cells]
    if not isinstance(score, Score):
        return np.array([_expanded(pairs, counts, score) for counts in draws.counts])
    if score.kind == "accuracy":
        # Right, wrong and failed are all that accuracy needs, whatever the labels: one class against the rest.
        pairs = [
            ("right", None if answer is None else "right" if answer == gold else "wrong") for gold, answer in pairs
        ]
        score = Score("accuracy", score.over, ("right", "wrong"))
    place = {label: i for i, label in enumerate(score.labels)}
    # By class alone: whole tables would take the square of the labels for every cell.
    right, support, answered = np.zeros((3, len(pairs), len(place)))
    for cell, (gold, answer) in enumerate(pairs):
        support[cell, place[gold]] = answer is not None or score.over == "all"
        if answer is not None:
            answered[cell, place[answer]] = 1.0
            right[cell, place[gold]] = answer == gold
    return score.of_sums(draws.counts @ right, draws.counts @ support, draws.counts @ answered)


def _expanded(pairs: Sequence[tuple[str, str | None]], counts: NDArray[np.int64], score: ScoreCall) -> float:
    rows = [pair for pair, count in zip(pairs, counts, strict=True) for _ in range(int(count))]
    return score([gold for gold, _ in rows], [answer for _, answer in rows])


def _percentiles(values: Floats, level: float) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


# ---------------------------------------------------------------------------------------------------------------- tests


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p-value of McNemar's test; nan where no sample tells the two apart."""
    n = only_a + only_b
    if n == 0:
        return math.nan
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, float(2 * tail / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for testing all of them (Holm's step-down); nan stays nan and is no test."""
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted = list(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = highest
    return adjusted


# ------------------------------------------------------------------------------------------------------------ agreement


def fleiss_kappa(units: Sequence[Sequence[Hashable]]) -> float:
    """Return Fleiss' kappa; every unit holds the same number (at least two) of verdicts."""
    raters = {len(unit) for unit in units}
    if len(raters) != 1 or min(raters) < 2:
        return math.nan
    n = raters.pop()
    counts = [Counter(unit) for unit in units]
    observed = sum(sum(c * (c - 1) for c in unit.values()) / (n * (n - 1)) for unit in counts) / len(units)
    totals: Counter[Hashable] = sum(counts, Counter())
    expected = sum((c / (n * len(units))) ** 2 for c in totals.values())
    return math.nan if expected == 1 else (observed - expected) / (1 - expected)


def krippendorff_alpha(units: Sequence[Sequence[Hashable | None]]) -> float:
    """Return Krippendorff's alpha of nominal verdicts; None is missing, units with fewer than two are left out."""
    counts = [Counter(v for v in unit if v is not None) for unit in units]
    paired = [unit for unit in counts if unit.total() >= 2]
    totals: Counter[Hashable] = sum(paired, Counter())
    n = totals.total()
    differing = n * (n - 1) - sum(c * (c - 1) for c in totals.values())
    if differing == 0:
        return math.nan
    observed = sum(_differing(unit) / (unit.total() - 1) for unit in paired)
    return 1 - (n - 1) * observed / differing


def _differing(unit: Mapping[Hashable, int]) -> int:
    total = sum(unit.values())
    return total * total - sum(c * c for c in unit.values())
