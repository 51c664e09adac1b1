"""Different things are counted exactly while there is room, and nearly so beyond it."""

from __future__ import annotations

from lookwise.pipeline.distinct import Distinct, key_of


def counted(numbers: list[int], room: int) -> Distinct:
    found = Distinct(room)
    for number in numbers:
        found.add(key_of("thing", str(number)))
    return found


def test_a_few_are_counted_exactly_and_once() -> None:
    found = counted([*range(500), *range(250)], room=500)
    assert (found.count, found.exact) == (500, True)
    assert counted([], room=4).count == 0


def test_many_are_estimated_whatever_their_order_and_however_often() -> None:
    ahead, back = counted([*range(20_000)], room=1_000), counted([*range(20_000)][::-1] * 2, room=1_000)
    assert not ahead.exact
    assert ahead.count == back.count
    assert abs(ahead.count - 20_000) < 20_000 * 0.12, "three standard errors"


def test_texts_run_together_are_other_keys() -> None:
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("\ud800") == key_of("\ud800"), "a lone surrogate is a text, too"
