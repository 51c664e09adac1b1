"""How good a verifier is: its probability of "helpful" against what the pictures were worth.

In: predicted utility rows, and rows of the same candidates whose label is known (measured, or the truth).  Out: area
under the ROC curve of helpful against the rest, how true its probabilities are, and how often each label was said and
right.  It knows no model.

`kinds` narrows it to pictures whose kinds are all among those named (right-product pictures alone), which tells a
verifier that knows what a task needs from one that only knows a wrong product when it sees one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lookwise.rows import Utility

__all__ = ["Bin", "VerifierScore", "area_under_roc", "verifier_score"]

_BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions with about the same probability: their number, mean probability, and share that was helpful."""

    n: int
    predicted: float
    helpful: float


@dataclass(frozen=True, slots=True)
class VerifierScore:
    """`n` candidates with a prediction and a known label, of which `helpful` are; nan where a class is missing.

    Area, error and bins are of those with a probability.  `error` is the expected calibration error: the mean over
    candidates of |predicted - helpful| of their bin.
    `confusion[known, predicted]` counts labels; unreadable predictions are not in it, but in `unread`.
    """

    n: int
    helpful: int
    auc: float
    error: float
    bins: tuple[Bin, ...]
    confusion: Mapping[tuple[str, str], int]
    unread: int


def verifier_score(
    predicted: Iterable[Utility], known: Iterable[Utility], kinds: Collection[str] = ()
) -> VerifierScore:
    """Return how good the predictions are, over all candidates, or over those of these kinds alone."""
    labels = {
        (row.sample_id, row.slot, row.candidate): row.label
        for row in known
        if row.label is not None and (not kinds or set((row.kind or "").split(",")) <= set(kinds))
    }
    pairs: list[tuple[float, bool]] = []
    confusion: Counter[tuple[str, str]] = Counter()
    n = helpful = unread = 0
    for row in predicted:
        label = labels.get((row.sample_id, row.slot, row.candidate))
        if label is None:
            continue
        n += 1
        helpful += label == "helpful"
        unread += row.label is None
        if row.label is not None:
            confusion[label, row.label] += 1
        if row.probability is not None:
            pairs.append((row.probability, label == "helpful"))
    bins = _bins(pairs)
    error = math.fsum(b.n * abs(b.predicted - b.helpful) for b in bins) / len(pairs) if pairs else math.nan
    return VerifierScore(
        n=n,
        helpful=helpful,
        auc=area_under_roc(pairs),
        error=error,
        bins=bins,
        confusion=dict(sorted(confusion.items())),
        unread=unread,
    )


def area_under_roc(pairs: Sequence[tuple[float, bool]]) -> float:
    """Return the chance that a positive outranks a negative, ties counting half; nan where there is no such pair."""
    positives = sum(positive for _, positive in pairs)
    negatives = len(pairs) - positives
    if not positives or not negatives:
        return math.nan
    groups: dict[float, list[bool]] = {}
    for score, positive in pairs:
        groups.setdefault(score, []).append(positive)
    below, won = 0, 0.0
    for score in sorted(groups):
        up = sum(groups[score])
        down = len(groups[score]) - up
        won += up * (below + down / 2)
        below += down
    return won / (positives * negatives)


def _bins(pairs: Sequence[tuple[float, bool]]) -> tuple[Bin, ...]:
    """Cut [0, 1] into ten equal parts; empty ones are left out."""
    groups: dict[int, list[tuple[float, bool]]] = {}
    for probability, helpful in pairs:
        groups.setdefault(min(int(probability * _BINS), _BINS - 1), []).append((probability, helpful))
    return tuple(
        Bin(len(g), math.fsum(p for p, _ in g) / len(g), sum(h for _, h in g) / len(g))
        for _, g in sorted(groups.items())
    )
