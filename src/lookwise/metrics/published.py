"""The metrics of the four published programs, with their conventions, for numbers that must match theirs.

In: gold and answers as the published parsers give them (None: nothing read).  Out: values by name, as fractions; nan
where the program gives nan.  Ours are in classification.py; here nothing is mended:

caslie      an answer that is no gold label is skipped in everything
ecommmmu    the same for precision, recall and F1, but accuracy and recall@1 count it as wrong; yes/no tasks lower-case
mmla        nothing is skipped: "unknown" and "multi" are classes of their own in macro averages
mmie        scores that could not be read are left out; the average is over samples, not over categories
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

__all__ = ["CATEGORIES", "Kind", "caslie", "category", "ecommmmu", "mmie", "mmla"]

Kind = Literal["binary", "multiclass", "recall"]
_NAMES: Mapping[Kind, tuple[str, ...]] = {
    "binary": ("accuracy", "precision", "recall", "f1"),
    "multiclass": ("accuracy", "macro_precision", "macro_recall", "macro_f1"),
    "recall": ("recall_at_1",),
}
CATEGORIES = ("SA", "PBL", "MSR")
"""MMIE's categories, in the order in which its program looks for them in an id."""


def caslie(gold: Sequence[str], answers: Sequence[str | None], kind: Kind) -> tuple[dict[str, float], int]:
    """Return the metrics of evaluate.py, and how many answers it skips."""
    kept = _kept(gold, answers)
    return _scored(kept, kind, 1.0), len(gold) - len(kept)


def ecommmmu(gold: Sequence[str], answers: Sequence[str | None], kind: Kind) -> tuple[dict[str, float], int]:
    """Return the metrics of EcomMMMU's evaluate.py, and how many answers it skips."""
    if kind == "binary":
        gold, answers = [g.lower() for g in gold], [a if a is None else a.lower() for a in answers]
    kept = _kept(gold, answers)
    return _scored(kept, kind, len(kept) / len(gold) if gold else math.nan), len(gold) - len(kept)


def mmla(gold: Sequence[str], answers: Sequence[str]) -> dict[str, float]:
    """Return the metrics of MMLA's eval.py as fractions; classes are all that occur in gold or answers."""
    names = ("accuracy", "macro_f1", "macro_precision", "macro_recall", "weighted_f1", "weighted_precision")
    if not gold:
        return dict.fromkeys(names, math.nan)
    macro, weighted = (_prf(gold, answers, average=average) for average in ("macro", "weighted"))
    values = (_accuracy(gold, answers), macro[2], macro[0], macro[1], weighted[2], weighted[0])
    return dict(zip(names, values, strict=True))


def mmie(ids: Sequence[str], scores: Sequence[int | None]) -> dict[str, float]:
    """Return MMIE's means on the 0-6 scale: of all samples, and of each category."""
    read = [(category(i), s) for i, s in zip(ids, scores, strict=True) if s is not None]
    values = {"average": _mean([s for _, s in read])}
    return values | {name.lower(): _mean([s for c, s in read if c == name]) for name in CATEGORIES}


def category(sample_id: str) -> str | None:
    """Return the first category whose mark occurs in a sample's id."""
    return next((name for name in CATEGORIES if name in sample_id), None)


def _kept(gold: Sequence[str], answers: Sequence[str | None]) -> list[tuple[str, str]]:
    labels = set(gold)
    return [(g, a) for g, a in zip(gold, answers, strict=True) if a is not None and a in labels]


def _scored(kept: Sequence[tuple[str, str]], kind: Kind, scale: float) -> dict[str, float]:
    """Return the metrics over kept pairs; accuracy is scaled by the share kept."""
    if not kept:
        return dict.fromkeys(_NAMES[kind], math.nan)
    gold, answers = [g for g, _ in kept], [a for _, a in kept]
    right = _accuracy(gold, answers) * scale
    if kind == "recall":
        return {"recall_at_1": right}
    labels = {"labels": ["yes"]} if kind == "binary" else {}
    precision, recall, f1 = _prf(gold, answers, average="macro", **labels)
    return dict(zip(_NAMES[kind], (right, precision, recall, f1), strict=True))


def _accuracy(gold: Sequence[str], answers: Sequence[str]) -> float:
    return sum(g == a for g, a in zip(gold, answers, strict=True)) / len(gold)


def _prf(gold: Sequence[str], answers: Sequence[str], **how: Any) -> tuple[float, float, float]:
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(gold, answers, zero_division=0.0, **how)
    return float(precision), float(recall), float(f1)


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else math.nan
