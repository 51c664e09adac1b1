"""Batch planning: everything once, within the budget, longest first, whatever is stored."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from lookwise.inference.plan import plan, split, windows

lengths = st.lists(st.integers(1, 50), max_size=40)


@given(lengths, st.integers(1, 200), st.data())
def test_a_plan_has_everything_once_within_budget(sizes: list[int], budget: int, data: st.DataObject) -> None:
    groups = [data.draw(st.sampled_from("xy")) for _ in sizes]
    batches = plan(sizes, budget, groups)
    assert sorted(i for batch in batches for i in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len({groups[i] for i in batch}) == 1
        assert [sizes[i] for i in batch] == sorted((sizes[i] for i in batch), reverse=True)
        assert len(batch) == 1 or len(batch) * sizes[batch[0]] <= budget


def test_equal_lengths_keep_their_order_and_batches_are_as_full_as_they_can_be() -> None:
    assert plan([2, 5, 2, 2, 5, 2], 10) == [[1, 4], [0, 2, 3, 5]]
    assert plan([1, 9, 1], 4, ["late", "long", "late"]) == [[0, 2], [1]]
    assert split([0, 1, 2], [30, 20, 1], 25) == [[0], [1], [2]]


def test_windows_take_nothing_ahead_of_their_turn() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for i in range(7):
            taken.append(i)
            yield i

    cut = windows(numbers(), 3)
    assert next(cut) == [0, 1, 2]
    assert taken == [0, 1, 2]
    assert list(cut) == [[3, 4, 5], [6]]
    assert list(windows([], 3)) == []
