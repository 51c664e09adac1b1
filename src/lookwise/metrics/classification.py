"""Classification scores, with the denominator said aloud.

In: gold answers and the answers read (None is a failure), a label set fixed by declaration.  Out: one float, nan when
there is nothing to score.  It knows no task and no file.

Over "parsed": failures are left out of everything.  Over "all": a failure is a wrong answer (it lowers recall and
accuracy; it is nobody's false positive).  An answer outside the gold present is wrong, never skipped.  A macro average
is over the declared labels that occur in gold or answers: a class with neither has no recall and no precision.

Every score computes twice: `__call__` by scikit-learn, `of_counts` from confusion counts (`of_sums` from their sums) by
numpy over any number of tables at once, which is what makes the bootstrap of statistics.py cheap.  The tests hold the
two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from lookwise.task import Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Over",
    "Score",
    "accuracy",
    "f1",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "precision",
    "recall",
    "recall_at_1",
    "weighted_f1",
    "weighted_precision",
    "weighted_recall",
]

Over = Literal["parsed", "all"]
Kind = Literal["accuracy", "precision", "recall", "f1"]
Average = Literal["positive", "macro", "weighted"]
_KINDS: tuple[Kind, ...] = ("precision", "recall", "f1")
_NOTHING = "\x00failure"


@dataclass(frozen=True, slots=True)
class Score:
    """A score of gold and answers.

    `labels` empty: the labels are whatever the gold and the answers hold (only accuracy may do without a set).
    """

    kind: Kind
    over: Over
    labels: tuple[str, ...] = ()
    average: Average = "macro"
    positive: str = ""

    def __call__(self, gold: Sequence[str], answers: Sequence[str | None]) -> float:
        """Return the score; nan when no pair counts."""
        pairs = [(g, a) for g, a in zip(gold, answers, strict=True) if a is not None or self.over == "all"]
        if not pairs:
            return math.nan
        if self.kind == "accuracy":
            return sum(g == a for g, a in pairs) / len(pairs)
        return self._by_sklearn(tuple(g for g, _ in pairs), tuple(_NOTHING if a is None else a for _, a in pairs))

    def _by_sklearn(self, gold: tuple[str, ...], answers: tuple[str, ...]) -> float:
        scores, support = _by_class(gold, answers, self.labels)
        each = scores[self.kind]
        if self.average == "positive":
            return each[self.labels.index(self.positive)]
        present = {*gold, *answers}
        weights = support if self.average == "weighted" else [float(label in present) for label in self.labels]
        return math.fsum(x * w for x, w in zip(each, weights, strict=True)) / math.fsum(weights)

    def of_counts(self, counts: Floats) -> Floats:
        """Return the score of each confusion table.

        `counts` has shape (..., classes, classes + 1): gold by answer, the last column the failures; classes are
        `labels` in order.
        """
        import numpy as np

        kept = counts if self.over == "all" else counts[..., :-1]
        answered = counts[..., :-1]
        return self.of_sums(np.diagonal(answered, axis1=-2, axis2=-1), kept.sum(-1), answered.sum(-2))

    def of_sums(self, right: Floats, support: Floats, answered: Floats) -> Floats:
        """Return the score of each table from its sums by class.

        All have shape (..., classes): right answers, how often each class is gold (failures too where they count), how
        often it is the answer.
        """
        import numpy as np

        total = support.sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.kind == "accuracy":
                return np.asarray(right.sum(-1) / total)
            each = self._each(right, support, answered)
            return np.where(total > 0, self._averaged(each, support, answered), np.nan)

    def _each(self, right: Floats, support: Floats, answered: Floats) -> Floats:
        """Return the score of each class; 0 where the denominator is."""
        import numpy as np

        below = {"precision": answered, "recall": support, "f1": (support + answered) / 2}[self.kind]
        return np.where(below > 0, right / np.where(below > 0, below, 1), 0.0)

    def _averaged(self, each: Floats, support: Floats, answered: Floats) -> Floats:
        import numpy as np

        if self.average == "positive":
            return np.asarray(each[..., self.labels.index(self.positive)])
        weights = support if self.average == "weighted" else ((support + answered) > 0).astype(float)
        return np.asarray((each * weights).sum(-1) / weights.sum(-1))


@lru_cache(maxsize=4)
def _by_class(
    gold: tuple[str, ...], answers: tuple[str, ...], labels: tuple[str, ...]
) -> tuple[Mapping[str, tuple[float, ...]], tuple[float, ...]]:
    """Return precision, recall and F1 of each label, and how often it is gold.

    One call of scikit-learn serves all scores of the same answers: its checks of the arguments take most of its time.
    """
    import numpy as np
    from sklearn import config_context
    from sklearn.metrics import precision_recall_fscore_support

    number = {label: i for i, label in enumerate(dict.fromkeys([*labels, *gold, *answers]))}
    with config_context(assume_finite=True, skip_parameter_validation=True):
        *scores, support = precision_recall_fscore_support(
            np.array([number[g] for g in gold]),
            np.array([number[a] for a in answers]),
            labels=np.arange(len(labels)),
            zero_division=0.0,
        )
    return {n: tuple(map(float, v)) for n, v in zip(_KINDS, scores, strict=True)}, tuple(map(float, support))


def accuracy(over: Over, labels: tuple[str, ...] = ()) -> Metric:
    """Share of right answers."""
    return Metric("accuracy", Score("accuracy", over, labels), over)


def recall_at_1(over: Over, labels: tuple[str, ...] = ()) -> Metric:
    """Share of samples whose first-ranked option is the right one: with one answer each, the accuracy."""
    return Metric("recall_at_1", Score("accuracy", over, labels), over)


def precision(over: Over, labels: tuple[str, ...], positive: str) -> Metric:
    """Precision of the positive class."""
    return Metric("precision", Score("precision", over, labels, "positive", positive), over)


def recall(over: Over, labels: tuple[str, ...], positive: str) -> Metric:
    """Recall of the positive class."""
    return Metric("recall", Score("recall", over, labels, "positive", positive), over)


def f1(over: Over, labels: tuple[str, ...], positive: str) -> Metric:
    """F1 of the positive class."""
    return Metric("f1", Score("f1", over, labels, "positive", positive), over)


def macro_precision(over: Over, labels: tuple[str, ...]) -> Metric:
    """Mean precision of the classes."""
    return Metric("macro_precision", Score("precision", over, labels), over)


def macro_recall(over: Over, labels: tuple[str, ...]) -> Metric:
    """Mean recall of the classes."""
    return Metric("macro_recall", Score("recall", over, labels), over)


def macro_f1(over: Over, labels: tuple[str, ...]) -> Metric:
    """Mean F1 of the classes."""
    return Metric("macro_f1", Score("f1", over, labels), over)


def weighted_precision(over: Over, labels: tuple[str, ...]) -> Metric:
    """Precision of the classes, weighted by their gold counts."""
    return Metric("weighted_precision", Score("precision", over, labels, "weighted"), over)


def weighted_recall(over: Over, labels: tuple[str, ...]) -> Metric:
    """Recall of the classes, weighted by their gold counts."""
    return Metric("weighted_recall", Score("recall", over, labels, "weighted"), over)


def weighted_f1(over: Over, labels: tuple[str, ...]) -> Metric:
    """F1 of the classes, weighted by their gold counts."""
    return Metric("weighted_f1", Score("f1", over, labels, "weighted"), over)
