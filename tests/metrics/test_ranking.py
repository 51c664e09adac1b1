"""Three ways to choose among ranked options, on cases where each chooses otherwise."""

from __future__ import annotations

import pytest

from lookwise.metrics.ranking import Ranking, judged, winner

SCORES, TOKENS, EMPTY = (-1.0, -1.5, -3.0), (1, 3, 2), (-0.5, -1.5, -9.0)


@pytest.mark.parametrize(
    ("by", "expected", "place"),
    [
        ("raw", [-1.0, -1.5, -3.0], 0),
        ("normalised", [-1.0, -0.5, -1.5], 1),
        ("calibrated", [-0.5, 0.0, 6.0], 2),
    ],
)
def test_each_way_has_its_own_winner(by: Ranking, expected: list[float], place: int) -> None:
    found = judged(SCORES, TOKENS, EMPTY, by)
    assert found == pytest.approx(expected)
    assert winner(found or ()) == place


def test_the_first_of_equals_wins() -> None:
    assert winner((-2.0, -1.0, -1.0)) == 1


@pytest.mark.parametrize(
    ("scores", "tokens", "empty", "by"),
    [
        ((), (), (), "raw"),
        ((-1.0, -2.0), (), (), "normalised"),
        ((-1.0, -2.0), (1, 0), (), "normalised"),
        ((-1.0, -2.0), (1, 1), (), "calibrated"),
        ((-1.0, -2.0), (1, 1), (-1.0,), "calibrated"),
    ],
)
def test_what_is_not_known_decides_nothing(
    scores: tuple[float, ...], tokens: tuple[int, ...], empty: tuple[float, ...], by: Ranking
) -> None:
    assert judged(scores, tokens, empty, by) is None
