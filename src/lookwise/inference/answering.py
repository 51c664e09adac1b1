"""One open model and its batches: what to do when a batch does not fit, or one request of it breaks.

In: planned batches of requests.  Out: one reply for each request, in order; a failure is a reply with its reason.
It knows neither the store nor samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lookwise.errors import ModelError, ModelMemoryError
from lookwise.inference.plan import split
from lookwise.model import Model, Reply, Request

__all__ = ["GIVE_UP", "Answerer"]

GIVE_UP = 32
"""Requests in a row that raise when asked alone, after which the model itself is taken to be broken."""


class Answerer:
    """Asks one model.  `limit` is the padded size in tokens that fits in memory, None while nothing has failed to.

    `fault` says what is wrong with a request's pictures; it is asked only when a batch has raised.
    """

    def __init__(self, model: Model, limit: int | None, fault: Callable[[Request], str | None]) -> None:
        self.model = model
        self.limit = limit
        self._fault = fault
        self._raised = 0

    def length(self, request: Request) -> int:
        """Return a request's length in tokens; one that cannot be measured counts as a full batch, so goes alone."""
        try:
            return max(1, self.model.length(request))
        except Exception:  # noqa: BLE001 - whatever it is, it is raised again, and given as the reason, when it is asked
            return max(1, self.model.batch_tokens)

    def answer(self, batch: Sequence[Request], lengths: Sequence[int]) -> list[Reply]:
        """Answer a batch, longest first.

        When it runs out of memory the whole batch starts again in smaller parts, so that the parts follow from the
        batch and the limit alone: a resumed run, which knows the limit from the start, cuts it alike.
        """
        while True:
            parts = split(range(len(batch)), lengths, self.limit) if self.limit else [list(range(len(batch)))]
            replies: list[Reply] = []
            for part in parts:
                some = self._part([batch[i] for i in part], lengths[part[0]])
                if some is None:
                    self.limit = max(1, len(part) * lengths[part[0]] // 2)
                    break
                replies += some
            else:
                return replies

    def _part(self, part: list[Request], length: int) -> list[Reply] | None:
        """Return the replies, or None when more than one request did not fit in memory."""
        replies, reason = self._call(part)
        if replies is not None:
            self._raised = 0
            return replies
        if reason is None:
            return None if len(part) > 1 else [Reply(failure=f"out of memory on one request of {length} tokens")]
        faults = [self._fault(request) for request in part]
        if any(faults):
            return self._around(part, faults, length)
        if len(part) == 1:
            self._count(reason)
            return [Reply(failure=reason)]
        singles = [self._part([request], length) for request in part]
        return [reply for single in singles if single for reply in single]

    def _around(self, part: list[Request], faults: list[str | None], length: int) -> list[Reply] | None:
        """Answer the requests whose pictures are sound, as one batch still; the others fail with their reason."""
        sound = [request for request, fault in zip(part, faults, strict=True) if not fault]
        replies = self._part(sound, length) if sound else []
        if replies is None:
            return None
        rest = iter(replies)
        return [Reply(failure=fault) if fault else next(rest) for fault in faults]

    def _call(self, part: list[Request]) -> tuple[list[Reply] | None, str | None]:
        """Return the replies, or None and the reason; no replies and no reason is out of memory.

        What to do about it is left to the caller: inside `except` the traceback would keep the batch's tensors alive.
        """
        try:
            replies = list(self.model.answer(part))
        except (ModelMemoryError, MemoryError):
            return None, None
        except Exception as fault:  # noqa: BLE001 - whatever one request does to a model must not spoil its batch or run
            return None, f"{type(fault).__name__}: {fault}".strip(": ")
        if len(replies) != len(part):
            raise ModelError(f"{self.model.name} gave {len(replies)} replies to {len(part)} requests")
        return replies, None

    def _count(self, reason: str) -> None:
        self._raised += 1
        if self._raised >= GIVE_UP:
            raise ModelError(
                f"{self.model.name} failed on {GIVE_UP} requests in a row, the last with {reason}; "
                "mend the model and give the same command again, it goes on from here"
            )
