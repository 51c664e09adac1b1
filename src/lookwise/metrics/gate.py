"""How well a policy picks pictures: what it kept, against what each picture was truly worth.

In: evidence rows of one policy, utility rows of one source (truth, or measured).  Out: precision, recall, balanced
accuracy and regret.  It knows neither the policy's rule nor the answers.

A picture is worth keeping when it truly raises the belief in the target (gain > 0; by its label where no gain is
known).  Regret is the mean gain, in nats a picture, that an oracle keeping exactly those would have over the policy.

Where a sample offers several candidates and a policy shows one of them or none, the sample is what is decided about:
`choice_score` says how often the policy looked, whether rightly, what it lost, and how many pictures it took.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lookwise.metrics.choice import best, by_candidate, worth
from lookwise.rows import Evidence, Utility

__all__ = ["ChoiceScore", "GateScore", "Pick", "choice_score", "gate_score", "picks"]

_NO_GAIN = 1e-9


@dataclass(frozen=True, slots=True)
class Pick:
    """One picture: was it kept, is it worth keeping, and its gain in nats (None where unknown)."""

    kept: bool
    worth: bool
    gain: float | None


@dataclass(frozen=True, slots=True)
class GateScore:
    """A policy's choice over `n` pictures; nan where a denominator is nought."""

    n: int
    kept: int
    worth: int
    precision: float
    recall: float
    balanced_accuracy: float
    regret: float


def gate_score(chosen: Sequence[Pick]) -> GateScore:
    """Return how well the kept pictures are those worth keeping."""
    kept = sum(p.kept for p in chosen)
    worth = sum(p.worth for p in chosen)
    both = sum(p.kept and p.worth for p in chosen)
    neither = sum(not p.kept and not p.worth for p in chosen)
    recall = _share(both, worth)
    gains = [(p.kept, p.gain) for p in chosen if p.gain is not None]
    lost = math.fsum(max(gain, 0.0) - (gain if was_kept else 0.0) for was_kept, gain in gains)
    return GateScore(
        n=len(chosen),
        kept=kept,
        worth=worth,
        precision=_share(both, kept),
        recall=recall,
        balanced_accuracy=(recall + _share(neither, len(chosen) - worth)) / 2,
        regret=lost / len(gains) if gains else math.nan,
    )


def picks(evidence: Iterable[Evidence], utilities: Iterable[Utility]) -> list[Pick]:
    """Return one pick per evidence row whose picture has a known utility.

    A utility without a slot is that of all slots together and stands for each of them.
    """
    known: Mapping[tuple[str, str | None, int], Utility] = {(u.sample_id, u.slot, u.candidate): u for u in utilities}
    chosen = []
    for row in evidence:
        candidate = row.candidate or 0
        utility = known.get((row.sample_id, row.slot, candidate)) or known.get((row.sample_id, None, candidate))
        if utility is not None and (utility.gain is not None or utility.label is not None):
            chosen.append(Pick(row.kind != "none", _worth(utility), utility.gain))
    return chosen


def _worth(utility: Utility) -> bool:
    return utility.gain > _NO_GAIN if utility.gain is not None else utility.label == "helpful"


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
