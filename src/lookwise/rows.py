"""What stages add beside samples: one frozen row type per stage, keyed by sample id.

Every row says which sample it belongs to, which model spoke (its fingerprint) and, where something failed, why
(`reason`).  Columns and their order are those of the Parquet files (INTERFACES, "A run folder"); runs/store.py derives
the schema from these classes, so a field's type here is its column's type there.

`tokens_in` and `tokens_out` are those of the row's own requests, as its model counts them: what the row cost, or would
have cost where an equal request had been answered before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

__all__ = ["Ballot", "Caption", "Evidence", "Prediction", "Row", "Utility", "UtilityLabel", "Verdict", "caption_id"]

Verdict = Literal["yes", "no"]
UtilityLabel = Literal["helpful", "ineffective", "redundant", "misleading"]


@dataclass(frozen=True, slots=True)
class Caption:
    """An image in words, made in the context of the sample's task.  `text` is None when it failed (see `reason`)."""

    sample_id: str
    caption_id: str
    slot: str
    candidate: int
    text: str | None
    model: str
    reason: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class Ballot:
    """One judge's vote on one caption; `verdict` is None when the reply could not be read (it then has a reason)."""

    sample_id: str
    caption_id: str
    judge: str
    verdict: Verdict | None
    reply: str | None
    model: str
    reason: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class Utility:
    """What one candidate is worth to a named reader, against its text-only answer.

    `slot` None: the same candidate index of every slot at once.  `gain` in nats: log p(target | with) − log p(target |
    text only).  `probability` is the verifier's P(helpful), where it predicted.
    """

    sample_id: str
    slot: str | None
    candidate: int
    label: UtilityLabel | None
    gain: float | None
    probability: float | None
    text_right: bool | None
    visual_right: bool | None
    reader: str
    source: Literal["measured", "predicted", "truth"]
    model: str
    kind: str | None = None
    reason: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a policy shows of one slot, an explicit `none` too; a caption names its id, media their candidate."""

    sample_id: str
    policy: str
    slot: str
    kind: Literal["none", "caption", "image", "video"]
    caption_id: str | None = None
    candidate: int | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A parsed answer; `answer` is None when nothing could be read, or the model failed (`reason` says which).

    `tuned_on` is the policy whose evidence its reader was tuned on ("" for a reader that was not tuned).  Of ranked
    options `option_scores` are the sums of log-probabilities, `option_tokens` how many tokens each sum is over, and
    `option_empty` the sums after a context without content, where that was asked: always where all samples of a task
    have the same options, else where it decides.

    Where answers are written freely and ranked beside (a recipe's `also_rank`), `reply` and `answer` are of the
    writing, the `option_…` of the ranking; `ranked` is what wins there, `ranked_reason` why nothing does.
    """

    sample_id: str
    task: str
    split: str
    policy: str
    tuned_on: str
    reply: str | None
    answer: str | None
    option_scores: tuple[float, ...]
    model: str
    reader: str = ""
    training: str = ""
    reason: str | None = None
    option_tokens: tuple[int, ...] = ()
    option_empty: tuple[float, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    ranked: str | None = None
    ranked_reason: str | None = None

    @property
    def is_beside(self) -> bool:
        """Whether the options were ranked beside a written answer."""
        return self.ranked is not None or self.ranked_reason is not None


Row = Caption | Ballot | Utility | Evidence | Prediction


def caption_id(sample_id: str, slot: str, candidate: int) -> str:
    """Return the id of a caption: stable, 16 hex digits of a digest of what it describes."""
    return hashlib.sha256(f"{sample_id}\x1f{slot}\x1f{candidate}".encode()).hexdigest()[:16]
