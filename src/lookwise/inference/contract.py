"""What a stage offers the loop, and what the loop hands back.  Values and protocols only.

A stage is two pure functions: equal arguments give equal results, always.  The loop relies on it: it may call `ask`
again for a sample instead of keeping what it returned.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from lookwise.model import Model, Reply, Request
from lookwise.sample import Sample

__all__ = ["Answered", "Ask", "DecidesEarly", "ModelSource", "Prepares", "Stage", "Streams"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to one model: `model` is a key of the loop's `models`, `tag` the stage's own mark, handed back."""

    model: str
    request: Request
    tag: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """An ask, its reply, and the fingerprint of the model that answered."""

    ask: Ask
    reply: Reply
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ModelSource:
    """How to get at a model: `open` loads it; `fingerprint`, where offered, names it without loading it.

    `copy`, where offered, loads it again in another process, at a place (1 is the first beside this one): it must
    travel there, as functions of a module and partials do.  `copies` is how many there may be, the first among them.
    """

    name: str
    open: Callable[[], Model]
    fingerprint: Callable[[], str] | None = None
    copy: Callable[[int], Model] | None = None
    copies: int = 1


class Stage(Protocol[R]):
    """Two pure functions round the loop."""

    @property
    def name(self) -> str:
        """The name of its rows' folder and of its entry in calls.json."""

    def ask(self, sample: Sample, rows: tuple[R, ...]) -> list[Ask]:
        """Return the requests still needed, given the sample's rows so far; none means done."""

    def read(self, sample: Sample, answered: list[Answered]) -> list[R]:
        """Return the rows from one round's replies, which come in the order of the asks."""


@runtime_checkable
class DecidesEarly(Protocol):
    """A stage that can say what it saved."""

    def decided_early(self, sample: Sample, rows: tuple[object, ...]) -> int | Mapping[str, int]:
        """Return how many calls early decision saved on a finished sample: in all, or by model."""


@runtime_checkable
class Prepares(Protocol):
    """A model that can open a batch's pictures ahead of time."""

    def prepare(self, batch: Sequence[Request]) -> None:
        """Get ready for a batch; called from a worker thread while another batch is being answered."""


@runtime_checkable
class Streams(Protocol):
    """A model whose replies do not depend on what else is asked with them, and come one by one (a server)."""

    def stream(self, batch: Sequence[Request]) -> Generator[list[tuple[int, Reply]], None, None]:
        """Yield replies with their places in the batch, in groups; raise only once all that came has been yielded."""
