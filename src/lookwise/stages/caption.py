"""EC3: one caption per picture, in the context of the sample's task (CASLIE, arXiv 2410.17337, section 4.1).

Rows in: none.  Rows out: `Caption`, one per visual, with a reason where none could be made.  It knows neither the model
nor where pictures lie.  `contextual=False` asks without the task's context (the paper's Table 4, BLIP-2 row).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lookwise.benchmarks.rendering import caption_conversation
from lookwise.inference import Answered, Ask
from lookwise.model import Generate, Request
from lookwise.rows import Caption, caption_id
from lookwise.sample import Sample, Visual
from lookwise.task import Task

__all__ = ["CaptionStage", "given_captions"]

_GIVEN = "data"
"""Stands where the captioner's fingerprint would: captions that came with the data."""
_NONE = "NA"
"""What the published program writes where it has no caption."""
_SHORTEST = 2
"""Characters below which a reply is no caption (published: captioning.py keeps 'NA' instead)."""


@dataclass(frozen=True)
class CaptionStage:
    """Ask the captioner once per picture."""

    tasks: Mapping[str, Task]
    want: Generate = Generate(max_new_tokens=128)
    contextual: bool = True
    captioner: str = "captioner"
    name: str = "captions"
    others: Mapping[str, str] = field(default_factory=dict)
    """Sample id -> another captioner's key: a model that never saw this sample's picture in training."""

    def ask(self, sample: Sample, rows: tuple[Caption, ...]) -> list[Ask]:
        """Return one request per visual, once."""
        if rows:
            return []
        task = self.tasks[sample.task]
        use = "caption" if self.contextual else "caption_plain"
        return [
            Ask(
                self.others.get(sample.id, self.captioner),
                Request(caption_conversation(task, sample, visual, use), self.want),  # type: ignore[arg-type]
                (visual.slot, str(visual.candidate)),
            )
            for visual in sample.visuals
        ]

    def read(self, sample: Sample, answered: list[Answered]) -> list[Caption]:
        """Return the captions: white space folded, too short a reply is a failure with its reason."""
        return [self._row(sample, one) for one in answered]

    def _row(self, sample: Sample, one: Answered) -> Caption:
        slot, candidate = one.ask.tag[0], int(one.ask.tag[1])
        text = " ".join((one.reply.text or "").split())
        reason = one.reply.failure or (None if len(text) >= _SHORTEST else "empty caption")
        key = caption_id(sample.id, slot, candidate)
        spent = one.reply.tokens_in, one.reply.tokens_out
        return Caption(sample.id, key, slot, candidate, None if reason else text, one.fingerprint, reason, *spent)


def given_captions(samples: Iterable[Sample]) -> list[Caption]:
    """Return the captions that came with the data, one per visual, with a reason where there is none."""
    return [_given(sample.id, visual) for sample in samples for visual in sample.visuals]


def _given(sample_id: str, visual: Visual) -> Caption:
    text = " ".join(visual.caption.split())
    reason = "no caption came with the data" if len(text) < _SHORTEST or text == _NONE else None
    key = caption_id(sample_id, visual.slot, visual.candidate)
    return Caption(sample_id, key, visual.slot, visual.candidate, None if reason else text, _GIVEN, reason)
