"""Waiting before asking a server again."""

from __future__ import annotations

from lookwise.patience import Patience, retry_after


def test_retry_after_in_every_form() -> None:
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after": "9", "retry-after-ms": "250"}) == 0.25
    now = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
    assert retry_after({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, now) == 30.0
    assert retry_after({"retry-after": "Tue, 14 Nov 2023 22:13:10 GMT"}, now) == 0.0
    for odd in ("", "soon", "-5", "nan", "inf", "Tue, 99 Nov 2023"):
        assert retry_after({"retry-after": odd}, now) == 0.0


def test_pauses_double_and_are_bounded() -> None:
    patience = Patience(first=1.0, longest=4.0)
    for attempt, most in ((1, 1.0), (2, 2.0), (3, 4.0), (9, 4.0)):
        assert all(most / 2 <= patience.pause(attempt) <= most for _ in range(20))
