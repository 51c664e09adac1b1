"""The reader answers a sample under each policy's evidence.

Rows in: none of its own (evidence and captions are given).  Rows out: `Prediction`, one per reader and policy, also
when nothing could be read.  Policies that show the same of a sample are one call: the loop merges equal requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lookwise.benchmarks.rendering import answer_conversation
from lookwise.inference import Answered, Ask
from lookwise.message import Media
from lookwise.model import Generate, Rank, Request
from lookwise.rows import Prediction
from lookwise.sample import Sample
from lookwise.task import Rule, Task

__all__ = ["AnswerStage", "Reader"]


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
    ranks the task's answers, a `Generate` asks for free text, which the task's parser reads by `rule`.
    """

    tasks: Mapping[str, Task]
    readers: Sequence[Reader]
    shown: Mapping[str, Mapping[str, Mapping[str, str]]]
    want: Generate | None = None
    rule: Rule = "robust"
    name: str = "predictions"
    pictures: Mapping[str, Mapping[str, Sequence[Media]]] = field(default_factory=dict)

    def ask(self, sample: Sample, rows: tuple[Prediction, ...]) -> list[Ask]:
        """Return one request per reader and policy, once."""
        if rows:
            return []
        task = self.tasks[sample.task]
        want = self.want or Rank(task.answers(sample))
        talks = {
            policy: answer_conversation(
                task, sample, shown.get(sample.id, {}), self.pictures.get(policy, {}).get(sample.id, ())
            )
            for policy, shown in self.shown.items()
        }
        return [
            Ask(reader.model, Request(talk, want), (policy, str(i)))
            for i, reader in enumerate(self.readers)
            if reader.task in (None, sample.task)
            for policy, talk in talks.items()
        ]

    def read(self, sample: Sample, answered: list[Answered]) -> list[Prediction]:
        """Return the parsed answers; a failure keeps its reply and says why."""
        return [self._row(sample, one) for one in answered]

    def _row(self, sample: Sample, one: Answered) -> Prediction:
        policy, index = one.ask.tag
        reader = self.readers[int(index)]
        task = self.tasks[sample.task]
        answer = None
        if one.reply.text is not None:
            ranked = isinstance(one.ask.request.want, Rank)
            answer = one.reply.text if ranked else task.parse[self.rule](one.reply.text, sample)
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
            reason=one.reply.failure or (None if answer else "no answer could be read"),
        )
