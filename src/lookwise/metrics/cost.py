"""What an answer costs under a policy: calls and tokens of everybody who had to be asked for it, and what was shown.

In: the rows that a policy paid for (captions, ballots, judgements, answers) and its evidence, of `n` samples.  Out:
means a sample.  Calls are counted as asked: that equal ones are merged, or answered from the store, is luck of the data
and of what else ran.  Which rows a policy pays for is the caller's business; it knows no policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lookwise.rows import Ballot, Caption, Evidence, Prediction, Utility

__all__ = ["Cost", "cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """Means a sample over `n` samples: calls by who was asked, tokens of all of them, pictures and captions shown.

    `looked` is the share of samples of which a picture or a caption was shown.
    """

    n: int
    captioner: float
    judges: float
    verifier: float
    reader: float
    tokens_in: float
    tokens_out: float
    pictures: float
    captions: float
    looked: float

    @property
    def calls(self) -> float:
        """Calls a sample, whoever was asked."""
        return self.captioner + self.judges + self.verifier + self.reader


def cost(
    samples: Iterable[str],
    answers: Sequence[Prediction],
    evidence: Iterable[Evidence],
    captions: Sequence[Caption] = (),
    ballots: Sequence[Ballot] = (),
    judgements: Sequence[Utility] = (),
    *,
    per_judgement: int = 1,
    per_answer: int = 1,
) -> Cost:
    """Return the means over these samples; rows of other samples do not count.

    `per_judgement`, `per_answer`: the calls that one such row is made of (what is written may be ranked as well).
    """
    known = frozenset(samples)
    n = max(len(known), 1)
    groups = [[row for row in rows if row.sample_id in known] for rows in (captions, ballots, judgements, answers)]
    shown = [row for row in evidence if row.sample_id in known and row.kind != "none"]
    spent = [row for rows in groups for row in rows]
    return Cost(
        n=len(known),
        captioner=len(groups[0]) / n,
        judges=len(groups[1]) / n,
        verifier=len(groups[2]) * per_judgement / n,
        reader=len(groups[3]) * per_answer / n,
        tokens_in=sum(row.tokens_in for row in spent) / n,
        tokens_out=sum(row.tokens_out for row in spent) / n,
        pictures=sum(row.kind != "caption" for row in shown) / n,
        captions=sum(row.kind == "caption" for row in shown) / n,
        looked=len({row.sample_id for row in shown}) / n,
    )
