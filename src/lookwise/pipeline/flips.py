"""Whether batch size changes a model's answers: the same questions asked one by one and all at once.

In: an open model.  Out: `Flips`: how many questions got another answer, and the largest difference of an option's
log-probability (nats).  The questions are samples of the generated shop, of every task, so that lengths differ as much
as in real work.  Pictures are left out, since towers see each picture alone; a family that takes exactly one is given
the same one with each.
"""

from __future__ import annotations

from dataclasses import dataclass

from lookwise.bazaar.samples import make_split
from lookwise.benchmarks.catalog import find_task
from lookwise.benchmarks.rendering import answer_conversation
from lookwise.message import Media
from lookwise.model import Generate, Model, Rank, Reply, Request, Want

__all__ = ["Flips", "flips"]

_SEED = 11
_PER_TASK = 4
_TOKENS = 12


@dataclass(frozen=True, slots=True)
class Flips:
    """Of `asked` questions, how many were answered differently; `furthest` is in nats."""

    asked: int
    ranked: int
    written: int
    furthest: float
    failed: int


def questions(want: Want | None = None, picture: Media | None = None) -> list[Request]:
    """Return a few questions of every task; `want` None ranks each task's own answers; `picture` comes with each."""
    found = []
    for made in make_split(_SEED, "test", _PER_TASK):
        task = find_task(made.sample.task)
        talk = answer_conversation(task, made.sample, {}, [] if picture is None else [picture])
        found.append(Request(talk, want or Rank(tuple(task.answers(made.sample)))))
    return found


def flips(model: Model, picture: Media | None = None) -> Flips:
    """Ask every question, with a picture if one is given, alone and in one batch, ranking and writing."""
    ranked, written = questions(None, picture), questions(Generate(max_new_tokens=_TOKENS), picture)
    alone, together = _asked(model, ranked)
    texts = _asked(model, written)
    pairs = list(zip(alone, together, strict=True))
    sound = [(a, b) for a, b in pairs if a.ok and b.ok]
    furthest = (abs(x - y) for a, b in sound for x, y in zip(a.scores, b.scores, strict=True))
    return Flips(
        asked=len(ranked),
        ranked=sum(a.text != b.text for a, b in pairs),
        written=sum(a.text != b.text for a, b in zip(*texts, strict=True)),
        furthest=max(furthest, default=0.0),
        failed=len(pairs) - len(sound),
    )


def _asked(model: Model, requests: list[Request]) -> tuple[list[Reply], list[Reply]]:
    return [model.answer([request])[0] for request in requests], model.answer(requests)
