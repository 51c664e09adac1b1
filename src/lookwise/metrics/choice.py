"""Which candidates of a sample are worth a look: the rules that turn utilities into a choice.

In: the utility rows of one sample, predicted or measured or true.  Out: candidate numbers, none where nothing is worth
it.  The threshold of the gate is chosen on validation samples, at a price per look.  It knows no policy's name, no
reply and no target.

A row without a slot is that of all slots together; where a sample has but one slot, that slot's rows are the same.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookwise.rows import Utility

__all__ = ["Look", "above", "best", "by_candidate", "cost_curve", "drawn_helpful", "likeliest", "threshold_at", "worth"]

_NO_GAIN = 1e-9


def by_candidate(rows: Sequence[Utility]) -> dict[int, Utility]:
    """Return the row of each candidate number: that of all slots together, or of the only slot."""
    whole = [row for row in rows if row.slot is None]
    if not whole and len({row.slot for row in rows}) == 1:
        whole = list(rows)
    return {row.candidate: row for row in whole}


def drawn_helpful(rows: Sequence[Utility], rng: random.Random) -> tuple[int, ...]:
    """Return one of the candidates called helpful, drawn (the published selector, with a seed)."""
    called = sorted(i for i, row in by_candidate(rows).items() if row.label == "helpful")
    return (rng.choice(called),) if called else ()


def likeliest(rows: Sequence[Utility], count: int = 1) -> tuple[int, ...]:
    """Return the `count` candidates with the highest probability of being helpful, the highest first."""
    known = {i: row.probability for i, row in by_candidate(rows).items() if row.probability is not None}
    return tuple(sorted(known, key=lambda i: (-known[i], i))[:count])


def above(rows: Sequence[Utility], threshold: float) -> tuple[int, ...]:
    """Return the candidate with the highest probability, if that reaches the threshold."""
    known = by_candidate(rows)
    return tuple(i for i in likeliest(rows) if (known[i].probability or 0.0) >= threshold)


def best(rows: Sequence[Utility]) -> tuple[int, ...]:
    """Return the candidate with the largest gain, if that is one at all; where no gain is known, the first helpful."""
    known = by_candidate(rows)
    worthwhile = [i for i in sorted(known) if worth(known[i]) > _NO_GAIN]
    return tuple(sorted(worthwhile, key=lambda i: -worth(known[i]))[:1])


def worth(row: Utility) -> float:
    """Return the gain in nats; where it is not known, 1 for helpful and -1 for misleading."""
    if row.gain is not None:
        return row.gain
    return {"helpful": 1.0, "misleading": -1.0}.get(row.label or "", 0.0)


@dataclass(frozen=True, slots=True)
class Look:
    """The gate at one threshold over `n` samples: the share it looks at, and the mean worth a sample (not a look)."""

    threshold: float
    looked: float
    worth: float
    n: int


def cost_curve(predicted: Mapping[str, Sequence[Utility]], known: Mapping[str, Sequence[Utility]]) -> list[Look]:
    """Return the gate at every threshold that changes it, from always looking to never (a threshold of infinity).

    A sample counts when its likeliest candidate has a known worth; where it has none (a picture that nobody could
    open), what a look gains is not known.  Samples with nothing predicted are never looked at.
    """
    reached: list[tuple[float, float]] = []
    n = 0
    for sample, rows in known.items():
        mine = {i: row for i, row in by_candidate(rows).items() if row.gain is not None or row.label is not None}
        said = predicted.get(sample, ())
        first = likeliest(said)
        n += bool(mine) and (not first or first[0] in mine)
        for i in first:
            if i in mine:
                probability = by_candidate(said)[i].probability
                assert probability is not None
                reached.append((probability, worth(mine[i])))
    if not n:
        return []
    looks = [Look(math.inf, 0.0, 0.0, n)]
    reached.sort(key=lambda pair: -pair[0])
    for place, (probability, _) in enumerate(reached, 1):
        if place == len(reached) or reached[place][0] < probability:
            total = math.fsum(gain for _, gain in reached[:place])
            looks.append(Look(probability, place / n, total / n, n))
    return looks[::-1]


def threshold_at(curve: Sequence[Look], price: float = 0.0) -> float:
    """Return the threshold with the highest worth less `price` a look; of equals the one that looks least.

    `price` is in the unit of the worth (nats, or right answers).  Never looking is among the choices.
    """
    if not curve:
        return math.inf
    return max(curve, key=lambda look: (look.worth - price * look.looked, -look.looked)).threshold
