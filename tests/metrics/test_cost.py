"""What a policy's answers cost: means a sample over the rows that it paid for, of its samples alone."""

from __future__ import annotations

import pytest

from lookwise.metrics.cost import cost
from lookwise.rows import Ballot, Caption, Evidence, Prediction, Utility


def answer(sample: str, tokens: int) -> Prediction:
    return Prediction(sample, "b/t", "test", "p", "", "yes", "yes", (), "m", tokens_in=tokens, tokens_out=2)


def judgement(sample: str, candidate: int) -> Utility:
    return Utility(
        sample, None, candidate, "helpful", None, 0.5, None, None, "v", "predicted", "m", tokens_in=7, tokens_out=1
    )


def test_calls_and_tokens_are_means_a_sample() -> None:
    captions = [Caption("a", "c1", "s", 0, "a cup", "m", None, 10, 5), Caption("b", "c2", "s", 0, None, "m", "dead")]
    ballots = [Ballot("a", "c1", "j", "yes", "yes", "m", None, 20, 1), Ballot("a", "c1", "k", "no", "no", "m")]
    judgements = [judgement("a", 0), judgement("a", 1), judgement("other", 0)]
    found = cost(["a", "b"], [answer("a", 100), answer("b", 60), answer("other", 1)], (), captions, ballots, judgements)
    assert (found.n, found.captioner, found.judges, found.verifier, found.reader) == (2, 1, 1, 1, 1)
    assert found.calls == 4
    assert found.tokens_in == pytest.approx((100 + 60 + 10 + 20 + 7 + 7) / 2)
    assert found.tokens_out == pytest.approx((2 + 2 + 5 + 1 + 1 + 1) / 2)


def test_a_row_of_several_calls_counts_as_many() -> None:
    judgements = [judgement("a", 0), judgement("a", 1)]
    found = cost(["a", "b"], [answer("a", 100), answer("b", 60)], (), (), (), judgements, per_judgement=2, per_answer=3)
    assert (found.verifier, found.reader, found.calls) == (2, 3, 5)
    assert found.tokens_in == pytest.approx((100 + 60 + 7 + 7) / 2), "tokens of a row are those of all its calls"


def test_what_was_shown_is_told_by_its_kind() -> None:
    evidence = [
        Evidence("a", "p", "product 1", "image", None, 3),
        Evidence("a", "p", "product 2", "image", None, 3),
        Evidence("a", "p", "product 1", "none", None, 0),
        Evidence("b", "p", "product", "caption", "c", 0),
        Evidence("c", "p", "product", "none", None, 0),
        Evidence("other", "p", "product", "image", None, 0),
    ]
    found = cost(["a", "b", "c", "d"], (), evidence)
    assert (found.pictures, found.captions, found.looked) == (0.5, 0.25, 0.5)
    assert cost((), (), ()).n == 0
