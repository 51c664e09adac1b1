"""How well a policy picks pictures: what it showed, against what each picture was worth.

In: evidence rows of one policy, utility rows of one source (truth, or measured).  Out: how often the policy looked,
whether rightly, what it lost, and how many pictures it took.  It knows neither the policy's rule nor the answers.

A sample is what is decided about: a policy shows one of its candidates, several, or none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lookwise.metrics.choice import best, by_candidate, worth
from lookwise.rows import Evidence, Utility

__all__ = ["ChoiceScore", "choice_score"]

_NO_GAIN = 1e-9


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True, slots=True)
class ChoiceScore:
    """A policy's choice over `n` samples with known utilities; nan where a denominator is nought.

    `looked`: samples of which it showed a picture; `gained`: those whose shown picture was worth it; `worthwhile`:
    samples that have a picture worth it at all.  `precision` is gained / looked, `recall` gained / worthwhile.
    `regret`: mean gain a sample (nats, or the labels' worth) of the best choice, none included, over this one.
    `pictures`: mean number shown a sample, over all slots.
    """

    n: int
    looked: int
    gained: int
    worthwhile: int
    precision: float
    recall: float
    regret: float
    pictures: float


def choice_score(evidence: Iterable[Evidence], utilities: Iterable[Utility]) -> ChoiceScore:
    """Return how well one policy's evidence picks among candidates, by the utilities of one source.

    Samples without a known utility do not count.  Of several shown candidates the mean worth counts: what they are
    worth together is not known.
    """
    known: dict[str, list[Utility]] = {}
    for utility in utilities:
        if utility.gain is not None or utility.label is not None:
            known.setdefault(utility.sample_id, []).append(utility)
    shown: dict[str, set[int]] = {sample: set() for sample in known}
    pictures = 0
    for row in evidence:
        if row.sample_id in known and row.kind != "none":
            shown[row.sample_id].add(row.candidate or 0)
            pictures += 1
    gains = {sample: _gain_of(known[sample], mine) for sample, mine in shown.items() if mine}
    bests = {
        sample: max((worth(by_candidate(known[sample])[i]) for i in best(known[sample])), default=0.0)
        for sample in known
    }
    gained = sum(gain > _NO_GAIN for gain in gains.values())
    worthwhile = sum(gain > _NO_GAIN for gain in bests.values())
    lost = math.fsum(bests[sample] - gains.get(sample, 0.0) for sample in known)
    return ChoiceScore(
        n=len(known),
        looked=len(gains),
        gained=gained,
        worthwhile=worthwhile,
        precision=_share(gained, len(gains)),
        recall=_share(gained, worthwhile),
        regret=lost / len(known) if known else math.nan,
        pictures=pictures / len(known) if known else math.nan,
    )


def _gain_of(rows: Sequence[Utility], shown: Iterable[int]) -> float:
    """Return the mean worth of the shown candidates; one whose worth is not known counts as none."""
    mine = by_candidate(rows)
    gains = [worth(mine[i]) if i in mine else 0.0 for i in shown]
    return math.fsum(gains) / len(gains)
