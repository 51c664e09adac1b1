"""Batches that change answers are found, and a sound model has none."""

from __future__ import annotations

from collections.abc import Sequence

from lookwise.message import Media
from lookwise.model import Generate, Rank, Reply, Request
from lookwise.models.open import open_model
from lookwise.pipeline.flips import flips, questions


class Unsteady:
    """A model whose answers depend on the company that a request is in."""

    name = fingerprint = "unsteady"
    batch_tokens = 100

    def length(self, request: Request) -> int:
        return 1

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        return [self._one(request, len(batch)) for request in batch]

    def _one(self, request: Request, company: int) -> Reply:
        if isinstance(request.want, Rank):
            options = request.want.options
            scores = tuple(-float(i) - 0.25 * company for i in range(len(options)))
            return Reply(text=options[0], scores=scores, tokens=(1,) * len(options))
        return Reply(text=f"one of {company}")

    def close(self) -> None:
        pass


def test_an_unsteady_model_is_found() -> None:
    found = flips(Unsteady())
    n = len(questions())
    assert n == 28
    assert (found.asked, found.ranked, found.written, found.failed) == (n, 0, n, 0)
    assert found.furthest == 0.25 * (n - 1)


def test_a_bundled_reader_is_steady() -> None:
    model = open_model("tiny:reader-s")
    found = flips(model)
    model.close()
    assert (found.ranked, found.written, found.failed) == (0, 0, 0)
    assert found.furthest < 1e-4


def test_a_picture_comes_with_every_question() -> None:
    blank = Media("blank.png")
    for request in (*questions(None, blank), *questions(Generate(), blank)):
        assert [message.role for message in request.conversation] == ["user"]
        assert request.conversation[0].media == (blank,)
    assert not any(message.media for request in questions() for message in request.conversation)
