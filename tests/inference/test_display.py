"""What a waiting person sees: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from lookwise.inference.display import Display, Progressed


def test_status_says_rate_time_left_and_where_replies_came_from() -> None:
    state = Progressed("captions", 10_000, sent=1_000, stored=2_000, merged=500, unread=3, seconds=100)
    assert state.status() == "3,503/10,000, 10.0/s, 7:13 left, 500 merged, 2,000 stored, 3 unreadable"
    assert Progressed("captions", 5, stored=5, seconds=1).status() == "5/5, 5 stored"
    assert Progressed("captions", 40_000, sent=1, seconds=1).status() == "1/40,000, 1.0/s, 11:06:39 left"


def test_the_time_that_a_model_took_to_open_is_not_in_the_rate() -> None:
    out, now = io.StringIO(), [0.0]
    display = Display(Console(file=out, width=60), clock=lambda: now[0])
    display.begin("captions", 110)
    now[0] = 100
    display.advance(sent=10)
    now[0] = 110
    display.advance(sent=50)
    assert out.getvalue().splitlines() == ["captions: 10/110, 0.1/s, 16:40 left", "captions: 60/110, 5.0/s, 0:10 left"]


def test_plain_lines_come_every_five_seconds_and_at_the_end() -> None:
    out, now = io.StringIO(), [0.0]
    display = Display(Console(file=out, width=40), clock=lambda: now[0])
    display.begin("ballots · judge [a]", 100)
    for _ in range(4):
        now[0] += 2
        display.advance(sent=10)
    display.advance(merged=60)
    display.end()
    assert out.getvalue().splitlines() == [
        "ballots · judge [a]: 30/100, 5.0/s, 0:14 left",
        "ballots · judge [a]: 100/100, 5.0/s, 60 merged",
    ]


def test_a_terminal_gets_a_bar_and_one_line_that_stays() -> None:
    out = io.StringIO()
    display = Display(Console(file=out, force_terminal=True, width=100, color_system=None))
    display.begin("captions", 4)
    display.advance(sent=1, stored=3)
    display.end()
    assert "━" in out.getvalue()
    assert "captions: 4/4" in out.getvalue()
    assert "3 stored" in out.getvalue()
