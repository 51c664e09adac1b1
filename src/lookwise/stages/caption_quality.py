"""CQE: judges vote whether a caption helps the task (CASLIE, arXiv 2410.17337, section 4.2).

Rows in: captions, ballots so far.  Rows out: `Ballot`.  Asked in rounds: in each, the fewest next judges without whom
the majority cannot be certain, so that nobody is asked in vain and yet as many as possible are asked at once.  The
verdict equals that of asking everybody (tests/stages/test_caption_quality.py proves it over all ballots).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lookwise.benchmarks.answers import verdict
from lookwise.benchmarks.rendering import quality_conversation
from lookwise.inference import Answered, Ask
from lookwise.model import Rank, Request, Want
from lookwise.rows import Ballot, Caption
from lookwise.sample import Sample
from lookwise.task import Task

__all__ = ["CaptionQuality", "audited"]


def audited(caption: str, share: float, seed: int) -> bool:
    """Return whether a caption belongs to the audit share that every judge votes on: by hash, so blind to content."""
    if share <= 0.0 or share >= 1.0:
        return share >= 1.0
    digest = hashlib.sha256(f"{seed}/{caption}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


@dataclass(frozen=True)
class CaptionQuality:
    """Ask judges, in order, until each caption's majority is certain.

    `always` are judges that a single-judge policy needs on every caption; they are asked first.  `audit` is the share
    of captions that all judges vote on (agreement is computed from those alone); 1.0 asks everybody.
    """

    tasks: Mapping[str, Task]
    captions: Mapping[str, Sequence[Caption]]
    judges: tuple[str, ...]
    want: Want = Rank(("yes", "no"))
    always: frozenset[str] = frozenset()
    audit: float = 0.0
    seed: int = 0
    name: str = "ballots"

    def ask(self, sample: Sample, rows: tuple[Ballot, ...]) -> list[Ask]:
        """Return the next judges' requests for every caption whose majority is still open."""
        asks: list[Ask] = []
        cast: dict[str, list[Ballot]] = defaultdict(list)
        for ballot in rows:
            cast[ballot.caption_id].append(ballot)
        for caption in self.captions.get(sample.id, ()):
            if caption.text is None:
                continue
            judges = self._next(caption, cast[caption.caption_id])
            if judges:
                talk = quality_conversation(self.tasks[sample.task], sample, caption.slot, caption.text)
                asks += [Ask(judge, Request(talk, self.want), (caption.caption_id, judge)) for judge in judges]
        return asks

    def read(self, sample: Sample, answered: list[Answered]) -> list[Ballot]:
        """Return one ballot per reply; an unreadable one has no verdict and a reason."""
        return [self._ballot(sample, one) for one in answered]

    def decided_early(self, sample: Sample, rows: tuple[Ballot, ...]) -> dict[str, int]:
        """Return, by judge, how many calls the certain majorities saved."""
        judged = sum(1 for c in self.captions.get(sample.id, ()) if c.text is not None)
        voted = Counter(row.judge for row in rows)
        return {judge: judged - voted[judge] for judge in self.judges if judged > voted[judge]}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The judges in the order they are asked: those needed anyway first."""
        return tuple(sorted(self.judges, key=lambda j: j not in self.always))

    def _next(self, caption: Caption, ballots: Sequence[Ballot]) -> tuple[str, ...]:
        left = self.order[len(ballots) :]
        if audited(caption.caption_id, self.audit, self.seed):
            return left
        needed = sum(1 for judge in left if judge in self.always)
        margin = abs(sum(1 if b.verdict == "yes" else -1 for b in ballots if b.verdict))
        # Fewest further ballots after which the majority could be certain: margin + k > left - k.
        could = 0 if margin > len(left) else max(0, (len(left) - margin) // 2 + 1)
        return left[: max(needed, could)]

    def _ballot(self, sample: Sample, one: Answered) -> Ballot:
        caption, judge = one.ask.tag
        vote = verdict(one.reply.text) if one.reply.text is not None else None
        reason = one.reply.failure or (None if vote else "unreadable reply")
        spent = one.reply.tokens_in, one.reply.tokens_out
        return Ballot(sample.id, caption, judge, vote, one.reply.text, one.fingerprint, reason, *spent)
