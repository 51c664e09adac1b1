"""How well a policy picks pictures: what it kept, against what each picture was truly worth.

In: evidence rows of one policy, utility rows of one source (truth, or measured).  Out: precision, recall, balanced
accuracy and regret.  It knows neither the policy's rule nor the answers.

A picture is worth keeping when it truly raises the belief in the target (gain > 0; by its label where no gain is
known).  Regret is the mean gain, in nats a picture, that an oracle keeping exactly those would have over the policy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lookwise.rows import Evidence, Utility

__all__ = ["GateScore", "Pick", "gate_score", "picks"]

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
