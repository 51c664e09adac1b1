"""The books of one stage: what was asked of each model, and what became of it.

In: each ask as it is made, each failure.  Out: the entries of calls.json.  What was sent is read from the marks in the
reply store, so a process that resumes a stage counts what the one before it sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lookwise.model import Reply
from lookwise.runs.ledger import Calls
from lookwise.runs.replies import Sent

__all__ = ["Tally"]


@dataclass
class Tally:
    """One stage and model.

    `unique` are the keys asked; `unread` never reached the model, `failed` did in vain, `final` failed for good and are
    in the store.
    """

    asked: int = 0
    unique: set[str] = field(default_factory=set)
    unread: dict[str, Reply] = field(default_factory=dict)
    failed: dict[str, Reply] = field(default_factory=dict)
    final: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def settle(self, key: str, reply: Reply, seconds: float) -> None:
        """Take note of how a sent request ended; `seconds` is its share of the batch's."""
        if reply.kept:
            self.failed.pop(key, None)
        else:
            self.failed[key] = reply
            self.seconds += seconds

    def failure(self, key: str) -> Reply | None:
        """Return the failed reply of a key that has no answer."""
        return self.unread.get(key) or self.failed.get(key)

    def calls(self, sent: Iterable[Sent], decided_early: int) -> Calls:
        """Return the counts, given the answers that the store holds under this stage's mark."""
        answered = [s for s in sent if s.key in self.unique]
        # A key may have failed here and yet bear the mark of an answer: another sample's ask of it came through later.
        keys = {s.key for s in answered}
        failed = {key: reply for key, reply in self.failed.items() if key not in keys}
        count = len(answered) + len(failed)
        return Calls(
            asked=self.asked,
            merged=self.asked - len(self.unique),
            stored=len(self.unique) - len(self.unread) - count,
            decided_early=decided_early,
            sent=count,
            failed=len(failed) + len(self.unread) + len(self.final),
            tokens_in=sum(s.tokens_in for s in answered) + sum(r.tokens_in for r in failed.values()),
            tokens_out=sum(s.tokens_out for s in answered) + sum(r.tokens_out for r in failed.values()),
            seconds=sum(s.seconds for s in answered) + self.seconds,
        )
