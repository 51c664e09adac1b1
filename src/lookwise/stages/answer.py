"""The reader answers a sample under each policy's evidence.

Rows in: none of its own (evidence and captions are given).  Rows out: `Prediction`, one per reader and policy, also
when nothing could be read.  Policies that show the same of a sample are one call: the loop merges equal requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lookwise.benchmarks.rendering import answer_conversation
from lookwise.inference import Answered, Ask
from lookwise.message import Media
from lookwise.metrics.ranking import Ranking, judged, winner
from lookwise.model import Generate, Rank, Reply, Request, Want
from lookwise.rows import Prediction
from lookwise.sample import Sample
from lookwise.task import Rule, Task

__all__ = ["AnswerStage", "Reader", "bearers_of", "shared_by_task"]


_EMPTY = ""
"""Stands where a policy's name would: the question without its content."""
_BESIDE = "ranked"
"""Marks the ranking of options beside a written answer."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader to ask: `model` is its key in the loop; `task` limits one that was tuned for a single task."""

    model: str
    name: str
    training: str
    tuned_on: str
    task: str | None = None


@dataclass(frozen=True)
class AnswerStage:
    """Ask every reader under every policy.

    `shown[policy][sample id]` gives the captions shown, by slot, and `pictures` likewise the pictures.  `want` None
    ranks the task's answers, of which one wins by `ranking`; a `Generate` asks for free text, which the task's parser
    reads by `rule`; with `also_rank` the options are ranked as well, as a second column of the same row.

    Where the options are ranked and `ranking` is "calibrated", every sample's are ranked after an empty context, too;
    else those of the samples in `bearers`, each for all of its task (`shared_by_task`), to be kept.
    """

    tasks: Mapping[str, Task]
    readers: Sequence[Reader]
    shown: Mapping[str, Mapping[str, Mapping[str, str]]]
    want: Generate | None = None
    rule: Rule = "robust"
    name: str = "predictions"
    pictures: Mapping[str, Mapping[str, Sequence[Media]]] = field(default_factory=dict)
    ranking: Ranking = "raw"
    also_rank: bool = False
    bearers: frozenset[str] = frozenset()

    def ask(self, sample: Sample, rows: tuple[Prediction, ...]) -> list[Ask]:
        """Return one request per reader and policy (two where options are ranked beside), once."""
        if rows:
            return []
        task = self.tasks[sample.task]
        rank = Rank(task.answers(sample))
        wants: dict[tuple[str, ...], Want] = {(): self.want or rank}
        if self.also_rank and self.want is not None:
            wants[_BESIDE,] = rank
        talks = {
            policy: answer_conversation(
                task, sample, shown.get(sample.id, {}), self.pictures.get(policy, {}).get(sample.id, ())
            )
            for policy, shown in self.shown.items()
        }
        mine = [(str(i), reader) for i, reader in enumerate(self.readers) if reader.task in (None, sample.task)]
        asks = [
            Ask(reader.model, Request(talk, want), (policy, i, *mark))
            for i, reader in mine
            for policy, talk in talks.items()
            for mark, want in wants.items()
        ]
        if rank in wants.values() and (self.ranking == "calibrated" or sample.id in self.bearers):
            blank = Request(answer_conversation(task, _emptied(sample), {}), rank)
            asks += [Ask(reader.model, blank, (_EMPTY, i)) for i, reader in mine]
        return asks

    def read(self, sample: Sample, answered: list[Answered]) -> list[Prediction]:
        """Return the parsed answers; a failure keeps its reply and says why."""
        empty = {one.ask.tag[1]: one.reply for one in answered if one.ask.tag[0] == _EMPTY}
        beside = {one.ask.tag[:2]: one for one in answered if one.ask.tag[2:] == (_BESIDE,)}
        rows = []
        for one in answered:
            policy, index, *mark = one.ask.tag
            if policy != _EMPTY and not mark:
                row = self._row(sample, one, empty.get(index))
                ranked = beside.get((policy, index))
                rows.append(row if ranked is None else self._with_ranking(row, ranked, empty.get(index)))
        return rows

    def _row(self, sample: Sample, one: Answered, empty: Reply | None) -> Prediction:
        policy, index = one.ask.tag
        reader = self.readers[int(index)]
        task = self.tasks[sample.task]
        want, said = one.ask.request.want, None
        if isinstance(want, Rank):
            said = self._chosen(want.options, one.reply, empty)
        elif one.reply.text is not None:
            said = task.parse[self.rule](one.reply.text, sample)
        answer = said if said in task.answers(sample) else None
        kept, calibrating = self._calibrating(empty if isinstance(want, Rank) else None)
        return Prediction(
            sample_id=sample.id,
            task=sample.task,
            split=sample.split,
            policy=policy,
            tuned_on=reader.tuned_on,
            reply=one.reply.text,
            answer=answer,
            option_scores=one.reply.scores,
            model=one.fingerprint,
            reader=reader.name,
            training=reader.training,
            reason=one.reply.failure or (None if answer else self._why(want, empty, said)),
            option_tokens=one.reply.tokens,
            option_empty=kept,
            tokens_in=one.reply.tokens_in + calibrating,
            tokens_out=one.reply.tokens_out,
        )

    def _with_ranking(self, row: Prediction, one: Answered, empty: Reply | None) -> Prediction:
        """Return a written answer with what ranking the options says beside it."""
        want = one.ask.request.want
        assert isinstance(want, Rank)
        ranked = self._chosen(want.options, one.reply, empty)
        kept, calibrating = self._calibrating(empty)
        return replace(
            row,
            option_scores=one.reply.scores,
            option_tokens=one.reply.tokens,
            option_empty=kept,
            tokens_in=row.tokens_in + one.reply.tokens_in + calibrating,
            ranked=ranked,
            ranked_reason=one.reply.failure or (None if ranked else self._why(want, empty)),
        )

    def _calibrating(self, empty: Reply | None) -> tuple[tuple[float, ...], int]:
        """Return the options' sums after an empty context, and what an answer paid for them: what decides is paid."""
        if empty is None:
            return (), 0
        return empty.scores, empty.tokens_in if self.ranking == "calibrated" else 0

    def _chosen(self, options: Sequence[str], reply: Reply, empty: Reply | None) -> str | None:
        """Return the option that wins; by the sum it is the model's own choice, which needs no scores."""
        if reply.text is None or self.ranking == "raw":
            return reply.text
        scores = judged(reply.scores, reply.tokens, () if empty is None else empty.scores, self.ranking)
        return None if scores is None else options[winner(scores)]

    def _why(self, want: Generate | Rank, empty: Reply | None, said: str | None = None) -> str:
        if said is not None:  # the published rules read some replies as what is scored as no answer
            return f"read as {said!r}, which is not among the answers"
        if isinstance(want, Generate):
            return "no answer could be read"
        missing = empty.failure if empty is not None and self.ranking == "calibrated" else None
        failed = f" ({missing})" if missing else ""
        return f"no scores for ranking by {self.ranking!r}{failed}"


def bearers_of(tasks: Mapping[str, Task], samples: Sequence[Sample]) -> frozenset[str]:
    """Return one sample of every task that has the same options for all: the first."""
    first: dict[str, str] = {}
    for sample in samples:
        if tasks[sample.task].labels:
            first.setdefault(sample.task, sample.id)
    return frozenset(first.values())


def shared_by_task(rows: Sequence[Prediction]) -> list[Prediction]:
    """Return the rows, what a bearer's options score after an empty context given to all of its task and reader."""
    known = {_asked(row): row.option_empty for row in rows if row.option_empty}
    return [row if row.option_empty else replace(row, option_empty=known.get(_asked(row), ())) for row in rows]


def _asked(row: Prediction) -> tuple[str, ...]:
    """Return what was asked without its content, whom.  Where options differ by sample, no bearer is of the task."""
    return row.task, row.model, row.reader, row.training, row.tuned_on


def _emptied(sample: Sample) -> Sample:
    """Return a sample whose question is asked of nothing: its options stay, its content goes."""
    blank = tuple((name, "" if isinstance(value, str) else ()) for name, value in sample.fields)
    return replace(sample, fields=blank)
