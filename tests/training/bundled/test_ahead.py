"""Batches made ahead are those that would be made without it, by a thread or by a process."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from lookwise.training.bundled.ahead import drawn_ahead, made_ahead
from lookwise.training.bundled.readers import SIZES, batches_of


def test_batches_are_made_ahead_in_order_and_no_more_than_are_used() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    assert list(made_ahead(make, 5)) == [0, 1, 2, 3, 4]
    assert made == [0, 1, 2, 3, 4], "a batch more would draw from the seed what the next part of the training draws"


def test_a_process_draws_what_would_be_drawn_here() -> None:
    size = SIZES["reader-s"]
    size = replace(size, phases=tuple(replace(phase, steps=9) for phase in size.phases))
    here = list(batches_of(size, 3))
    assert len(here) == 36
    assert list(drawn_ahead(batches_of, size, 3)) == here


def _broken(count: int) -> Iterator[int]:
    yield from range(count)
    raise ValueError("no more of these")


def test_what_fails_in_the_process_fails_here_and_what_is_not_used_is_let_go() -> None:
    drawn = drawn_ahead(_broken, 2)
    assert [next(drawn), next(drawn)] == [0, 1]
    with pytest.raises(ValueError, match="no more of these"):
        next(drawn)
    drawn = drawn_ahead(range, 1000)
    assert next(drawn) == 0
    drawn.close()
