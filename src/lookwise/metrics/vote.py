"""Majorities of judges' ballots: who wins, when it is certain, and what a tie means.

In: ballots on one caption in voting order ("yes", "no", None for an unreadable one).  Out: a verdict, or None while the
question is open.  It knows neither judges nor captions.

The majority is of the readable ballots, and strict.  Ties go by rule:
    drop        nothing is kept (the default)
    keep        the caption is kept
    first       the first readable ballot decides
    published   as CASLIE's program: the most frequent string wins, unreadable strings vote like any other, and of
                equally frequent ones the first seen wins (give it the replies as answers.published_ballot cuts them)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

from lookwise.errors import RecipeError, nearest
from lookwise.rows import Verdict

__all__ = ["TIE_RULES", "TieRule", "certain", "check_tie_rule", "majority"]

TieRule = Literal["drop", "keep", "first", "published"]
TIE_RULES: tuple[TieRule, ...] = get_args(TieRule)


def check_tie_rule(rule: str) -> None:
    """Raise RecipeError, with the nearest name, when a tie rule is unknown."""
    if rule not in TIE_RULES:
        raise RecipeError(f"unknown tie rule {rule!r}; {nearest(rule, TIE_RULES)}")


def majority(cast: Sequence[str | None], tie: str = "drop") -> Verdict:
    """Return the verdict of all ballots cast.

    Anything but "yes" and "no" is unreadable: it counts for nobody, except under the published rule.
    """
    check_tie_rule(tie)
    if tie == "published":
        return "yes" if cast and Counter(cast).most_common(1)[0][0] == "yes" else "no"
    readable = [vote for vote in cast if vote in ("yes", "no")]
    margin = 2 * readable.count("yes") - len(readable)
    if margin:
        return "yes" if margin > 0 else "no"
    if tie == "first" and readable:
        return "yes" if readable[0] == "yes" else "no"
    return "yes" if tie == "keep" else "no"


def certain(cast: Sequence[str | None], left: int, tie: str = "drop") -> Verdict | None:
    """Return the verdict if no outcome of the `left` ballots still to come can change it, else None.

    Under the published rule unreadable strings vote too, so that only the last ballot is certain to settle it.
    """
    if left <= 0:
        return majority(cast, tie)
    if tie == "published":
        return None
    margin = sum(1 if vote == "yes" else -1 for vote in cast if vote in ("yes", "no"))
    if abs(margin) <= left:
        return None
    return "yes" if margin > 0 else "no"
