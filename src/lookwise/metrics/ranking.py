"""Which of some ranked options wins: by the sum of log-probabilities, by their mean, or by what the question adds.

In: the options' sums (nats), their numbers of tokens, and their sums after an empty context.  Out: the place of the
winner, the first of equals.  A sum favours short options, and both favour options that are likely anyway; the last
takes that away: log p(option | question) - log p(option | the same question without its content).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

__all__ = ["Ranking", "judged", "winner"]

Ranking = Literal["raw", "normalised", "calibrated"]


def judged(scores: Sequence[float], tokens: Sequence[int], empty: Sequence[float], by: Ranking) -> list[float] | None:
    """Return the scores that decide, or None where what they need is not known for every option."""
    if by == "raw":
        return list(scores) or None
    if by == "normalised":
        if not scores or len(tokens) != len(scores) or min(tokens) < 1:
            return None
        return [score / count for score, count in zip(scores, tokens, strict=True)]
    if not scores or len(empty) != len(scores):
        return None
    return [score - before for score, before in zip(scores, empty, strict=True)]


def winner(scores: Sequence[float]) -> int:
    """Return the place of the highest score."""
    return max(range(len(scores)), key=scores.__getitem__)
