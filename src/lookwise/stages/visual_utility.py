"""What a picture is worth: measured by asking a reader with and without it, and predicted by a verifier (SUMEI).

Rows in: none.  Rows out: `Utility`, one per sample and candidate number; a candidate is shown of every product at once.
Measured: the reader answers from the text alone and with each candidate; the two rightnesses give the label, and where
the answers are ranked, the gain is log p(target) with it less that without, p over the open answers, from the same
pass.  Nothing unparsed gets a label: where the text's answer cannot be read, no candidate has one.  Predicted: the
verifier ranks the four judgements, also where it writes one: its probability of the first, helpful, is kept.  Neither
knows a policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookwise.benchmarks.answers import option_readings, robust
from lookwise.benchmarks.rendering import answer_conversation, utility_conversation
from lookwise.benchmarks.utility import JUDGEMENTS, LABELS, label_of, utility_label
from lookwise.inference import Answered, Ask
from lookwise.message import Media
from lookwise.model import Generate, Rank, Reply, Request, Want
from lookwise.rows import Utility, UtilityLabel
from lookwise.sample import Sample
from lookwise.task import Rule, Task

__all__ = ["UtilityPrediction", "VisualUtility"]

_TEXT = "text"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one way of asking gave: was it right, log p(target) in nats, and why not where it is not known."""

    right: bool | None
    target: float | None
    reason: str | None
    model: str
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class VisualUtility:
    """Ask a reader with the text alone and with each candidate.

    `want` None ranks the task's answers; a `Generate` takes the label from free text read by `rule` (the published
    way), and with `gains` ranks as well, for the gain.  `reader` is the loop's key, `reader_name` what the rows say.
    """

    tasks: Mapping[str, Task]
    reader: str = "reader"
    reader_name: str = "reader"
    want: Generate | None = None
    gains: bool = True
    rule: Rule = "robust"
    name: str = "measured"

    def ask(self, sample: Sample, rows: tuple[Utility, ...]) -> list[Ask]:
        """Return all requests of a sample, once; none without target or without a candidate that every slot has."""
        if rows or sample.target is None or not sample.candidates:
            return []
        task = self.tasks[sample.task]
        return [
            Ask(self.reader, Request(answer_conversation(task, sample, {}, pictures), want), (shown, _kind(want)))
            for shown, pictures in ((_TEXT, ()), *((str(i), _media(sample, i)) for i in sample.candidates))
            for want in self._wants(task, sample)
        ]

    def read(self, sample: Sample, answered: list[Answered]) -> list[Utility]:
        """Return one row per candidate."""
        groups: dict[str, list[Answered]] = {}
        for one in answered:
            groups.setdefault(one.ask.tag[0], []).append(one)
        text = self._outcome(sample, groups.pop(_TEXT))
        return [self._row(sample, int(i), text, self._outcome(sample, mine)) for i, mine in groups.items()]

    def _wants(self, task: Task, sample: Sample) -> tuple[Want, ...]:
        rank = Rank(task.answers(sample))
        if self.want is None:
            return (rank,)
        return (self.want, rank) if self.gains else (self.want,)

    def _outcome(self, sample: Sample, answered: Sequence[Answered]) -> _Outcome:
        said = answered[0]
        answer, reason = self._answer(sample, said)
        ranked = next((one.reply for one in answered if isinstance(one.ask.request.want, Rank)), None)
        return _Outcome(
            right=None if answer is None else answer.casefold() == str(sample.target).casefold(),  # as published
            target=None if ranked is None else _log_share(ranked, self._place(sample)),
            reason=reason,
            model=said.fingerprint,
            tokens_in=sum(one.reply.tokens_in for one in answered),
            tokens_out=sum(one.reply.tokens_out for one in answered),
        )

    def _answer(self, sample: Sample, one: Answered) -> tuple[str | None, str | None]:
        if one.reply.text is None:
            return None, one.reply.failure or "the model said nothing"
        if isinstance(one.ask.request.want, Rank):
            return one.reply.text, None
        answer = self.tasks[sample.task].parse[self.rule](one.reply.text, sample)
        return answer, None if answer is not None else "no answer could be read"

    def _place(self, sample: Sample) -> int:
        return self.tasks[sample.task].answers(sample).index(str(sample.target))

    def _row(self, sample: Sample, candidate: int, text: _Outcome, seen: _Outcome) -> Utility:
        label = None if text.right is None or seen.right is None else utility_label(text.right, seen.right)
        reason = f"text alone: {text.reason}" if text.reason else seen.reason
        gain = None if text.target is None or seen.target is None else seen.target - text.target
        return Utility(
            sample_id=sample.id,
            slot=None,
            candidate=candidate,
            label=label,
            gain=gain,
            probability=None,
            text_right=text.right,
            visual_right=seen.right,
            reader=self.reader_name,
            source="measured",
            model=seen.model,
            reason=reason,
            tokens_in=seen.tokens_in,
            tokens_out=seen.tokens_out,
        )


@dataclass(frozen=True)
class UtilityPrediction:
    """Ask a verifier what each candidate would do to the answer; it sees the pictures and never the target.

    `want` None ranks the judgements (and so gives a probability); a `Generate` takes the label from free text, as
    published, and ranks as well, for the probability.
    """

    tasks: Mapping[str, Task]
    verifier: str = "verifier"
    verifier_name: str = "verifier"
    want: Generate | None = None
    name: str = "predicted"

    def ask(self, sample: Sample, rows: tuple[Utility, ...]) -> list[Ask]:
        """Return all requests of a sample, once: one per candidate, two where the judgement is written."""
        if rows:
            return []
        task, rank = self.tasks[sample.task], Rank(JUDGEMENTS)
        wants: tuple[Want, ...] = (rank,) if self.want is None else (self.want, rank)
        return [
            Ask(
                self.verifier,
                Request(utility_conversation(task, sample, _media(sample, i)), want),
                (str(i), _kind(want)),
            )
            for i in sample.candidates
            for want in wants
        ]

    def read(self, sample: Sample, answered: list[Answered]) -> list[Utility]:
        """Return one row per candidate; an unreadable reply has no label and a reason."""
        groups: dict[str, list[Answered]] = {}
        for one in answered:
            groups.setdefault(one.ask.tag[0], []).append(one)
        return [self._row(sample, mine) for mine in groups.values()]

    def _row(self, sample: Sample, mine: Sequence[Answered]) -> Utility:
        one, ranked = mine[0], mine[-1]
        label, share = _judgement(one), _log_share(ranked.reply, LABELS.index("helpful"))
        return Utility(
            sample_id=sample.id,
            slot=None,
            candidate=int(one.ask.tag[0]),
            label=label,
            gain=None,
            probability=None if share is None else math.exp(share),
            text_right=None,
            visual_right=None,
            reader=self.verifier_name,
            source="predicted",
            model=one.fingerprint,
            reason=one.reply.failure or (None if label else "unreadable reply"),
            tokens_in=sum(each.reply.tokens_in for each in mine),
            tokens_out=sum(each.reply.tokens_out for each in mine),
        )


def _judgement(one: Answered) -> UtilityLabel | None:
    """Return the label said, or ranked first."""
    if one.reply.text is None:
        return None
    if isinstance(one.ask.request.want, Rank):
        return label_of(one.reply.text)
    said = robust(one.reply.text, option_readings(JUDGEMENTS))
    return None if said is None else label_of(said)


def _log_share(reply: Reply, place: int) -> float | None:
    """Return the log of one option's share of the probability of all options (nats); None without finite scores."""
    if place >= len(reply.scores) or not all(map(math.isfinite, reply.scores)):
        return None
    highest = max(reply.scores)
    total = math.fsum(math.exp(score - highest) for score in reply.scores)
    return reply.scores[place] - highest - math.log(total)


def _media(sample: Sample, candidate: int) -> tuple[Media, ...]:
    return tuple(visual.media for visual in sample.view(candidate))


def _kind(want: Want) -> str:
    return "rank" if isinstance(want, Rank) else "generate"
