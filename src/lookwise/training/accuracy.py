"""How often the model ranks the right answer first: the number that chooses the best checkpoint.

In: validation examples with their options.  Out: the share of right ones per task and their mean over tasks, and the
loss per supervised token.  Where the options differ in their first token, one forward over the prompt ranks them all;
otherwise each option is scored as a whole, end of turn included, as one option may be the beginning of another.
It does not generate and parses nothing: prompts, parsers and published scores are the business of the stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lookwise.training.collate import Pictures, collate, split
from lookwise.training.examples import Encoded, Encoder, Example
from lookwise.training.heads import answer_logits

__all__ = ["Accuracy", "Ranking"]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`tasks`: share ranked right, per task; `mean` over tasks (None without any options); `loss` in nats per token."""

    tasks: dict[str, float]
    mean: float | None
    loss: float

    @property
    def value(self) -> float:
        """What a checkpoint is chosen by: the mean accuracy, or the negative loss where nothing can be ranked."""
        return -self.loss if self.mean is None else self.mean


class Ranking:
    """The validation examples, encoded once."""

    def __init__(self, examples: Sequence[Example], encoder: Encoder, pictures: Pictures | None) -> None:
        self._pad_id = encoder.pad_id
        self._pictures = pictures
        self._rows = encoder.encode(examples)
        self._ranked = [i for i, e in enumerate(examples) if len(e.options) > 1 and e.answer in e.options]
        self._tasks = [e.task for e in examples]
        self._right = [e.options.index(e.answer) if e.answer in e.options else -1 for e in examples]
        self._firsts: dict[int, list[int]] = {}
        self._whole: list[tuple[int, Encoded]] = []
        endings: dict[tuple[str, ...], list[tuple[int, ...]]] = {}
        for i in self._ranked:
            example = examples[i]
            if example.options not in endings:  # templates write an answer alike after every prompt
                endings[example.options] = encoder.endings(example.conversation, example.options)
            self._add(i, endings[example.options])

    def _add(self, i: int, endings: list[tuple[int, ...]]) -> None:
        row = self._rows[i]
        firsts = [ending[0] for ending in endings]
        if len(set(firsts)) == len(firsts):
            self._firsts[i] = firsts
        else:
            prompt = row.ids[: row.start]
            self._whole.extend((i, Encoded(prompt + ending, row.start, row.media)) for ending in endings)

    @torch.no_grad()
    def measure(self, model: nn.Module, device: torch.device, tokens: int) -> Accuracy:
        """Return the accuracy and loss of the model as it is; the caller puts it into eval mode."""
        scores: dict[int, list[float]] = {}
        total = 0.0
        for i, row, logs in self._logs(model, list(enumerate(self._rows)), device, tokens):
            total -= float(_taken(logs, row).sum())
            if i in self._firsts:
                scores[i] = logs[0, self._firsts[i]].tolist()
        options = [(place, row) for place, (_, row) in enumerate(self._whole)]
        sums = {
            place: float(_taken(logs, row).sum()) for place, row, logs in self._logs(model, options, device, tokens)
        }
        for place, (i, _) in enumerate(self._whole):
            scores.setdefault(i, []).append(sums[place])
        return self._summary(scores, total / max(sum(r.supervised for r in self._rows), 1))

    def _summary(self, scores: dict[int, list[float]], loss: float) -> Accuracy:
        hits: dict[str, list[bool]] = {}
        for i in self._ranked:
            best = max(range(len(scores[i])), key=scores[i].__getitem__)
            hits.setdefault(self._tasks[i], []).append(best == self._right[i])
        tasks = {task: sum(found) / len(found) for task, found in sorted(hits.items())}
        return Accuracy(tasks, sum(tasks.values()) / len(tasks) if tasks else None, loss)

    def _logs(
        self, model: nn.Module, rows: list[tuple[int, Encoded]], device: torch.device, tokens: int
    ) -> Iterator[tuple[int, Encoded, Tensor]]:
        """Yield each row with its key and the log-probabilities (supervised, vocabulary) at its supervised tokens."""
        keys = {id(row): key for key, row in rows}
        for chunk in split([row for _, row in rows], tokens):
            pictures = [m for row in chunk for m in row.media]
            pixels = self._pictures.tensors(pictures, training=False) if self._pictures else {}
            logits = answer_logits(model, collate(chunk, self._pad_id, device, pixels)).float().log_softmax(-1)
            parts = torch.split(logits, [row.supervised for row in chunk])
            yield from ((keys[id(row)], row, part) for row, part in zip(chunk, parts, strict=True))


def _taken(logs: Tensor, row: Encoded) -> Tensor:
    """Return the log-probabilities of the row's own supervised tokens."""
    return logs.gather(1, torch.tensor(row.ids[row.start :], device=logs.device)[:, None])
