"""What is asked of a model and what comes back; the protocol that every model fulfils.

Values and protocols only.  A `Request` is a conversation and what is wanted: free text (`Generate`) or a ranking of
given options (`Rank`).  A `Reply` is text, option scores, or a failure with its reason: never an exception for one
request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lookwise.message import Conversation

__all__ = ["Generate", "Model", "Rank", "Reply", "Request", "Want"]


@dataclass(frozen=True, slots=True)
class Generate:
    """Free text.  `temperature` 0 is greedy; otherwise `seed` and `draw` fix the sample.  Lengths in tokens."""

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    draw: int = 0


@dataclass(frozen=True, slots=True)
class Rank:
    """Score each option as the continuation of the conversation.

    `reply.scores[i]` is the sum of log-probabilities (nats) of option i's tokens; `reply.tokens[i]` is how many they
    are, so that length-normalised scores follow.  `reply.text` is the option with the highest sum.
    """

    options: tuple[str, ...]


Want = Generate | Rank


@dataclass(frozen=True, slots=True)
class Request:
    """One call.  It never holds a sample id: equal requests of different samples are one call."""

    conversation: Conversation
    want: Want


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.  `failure` says why nothing did; then `text` is None.  Token counts are the model's own.

    A failure is asked again by the next run, unless it is `final`: an outcome that was paid for and would not change (a
    refusal), stored as answers are.
    """

    text: str | None = None
    scores: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    failure: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    final: bool = False

    @property
    def ok(self) -> bool:
        """True when the model answered."""
        return self.failure is None

    @property
    def kept(self) -> bool:
        """True when it is stored, so that the request is never sent again."""
        return self.ok or self.final


class Model(Protocol):
    """An open model.  Not thread-safe; `close` frees its memory.

    `fingerprint` identifies the weights, the template and everything else that changes an answer (never a path).
    """

    @property
    def name(self) -> str:
        """The spec it was opened with ("tiny:reader-s", "hf:org/name+adapter")."""

    @property
    def fingerprint(self) -> str:
        """Identity for the reply key: equal fingerprints answer equally."""

    @property
    def batch_tokens(self) -> int:
        """About how many tokens (padding counted) a batch may hold; the loop plans with it."""

    def length(self, request: Request) -> int:
        """Return the request's length in tokens, media counted as the tokens that they become."""

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """Answer a batch, one reply per request, in order."""

    def close(self) -> None:
        """Free memory; the model is not used again."""
