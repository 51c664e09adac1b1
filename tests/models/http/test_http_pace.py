"""Pace and budget: how many requests go at once, and when the next one does not."""

from __future__ import annotations

import asyncio

import pytest

from lookwise.errors import BudgetError
from lookwise.models.http.budget import Budget, Purse, Spent
from lookwise.models.http.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def full(pace: Pace) -> int:
    """Enter until nobody more is let in; return how many are under way."""
    entered = 0
    while True:
        try:
            await asyncio.wait_for(pace.enter(), 0.01)
        except TimeoutError:
            return entered
        entered += 1


def test_the_pace_doubles_then_halves_once_a_crowd_then_adds_one_a_round() -> None:
    async def scenario() -> list[int]:
        clock = Clock()
        pace = Pace(64, first=4, clock=clock)
        limits = [await full(pace)]
        for _ in range(4):
            pace.eased()
        limits.append(pace.limit)  # every reply made room for one more: doubled in a round trip
        await full(pace)
        clock.now = 1.0
        for _ in range(8):
            pace.pressed(began=0.5)  # eight 429s of one crowd
        limits.append(pace.limit)
        clock.now = 2.0
        for _ in range(9):
            pace.eased()
        limits.append(pace.limit)
        pace.pressed(began=1.5)
        limits.append(pace.limit)
        return limits

    limits = asyncio.run(scenario())
    assert limits[:3] == [4, 8, 4]
    assert limits[3] in (5, 6)  # nine replies at a window of four to six: two rounds
    assert limits[4] == limits[3] // 2


def test_the_pace_never_falls_below_one_nor_exceeds_its_most_and_grows_only_when_it_is_used() -> None:
    async def scenario() -> tuple[int, int, int]:
        pace = Pace(6, first=4)
        pace.eased()
        idle = pace.limit
        await full(pace)
        for _ in range(50):
            await full(pace)
            pace.eased()
        most = pace.limit
        for i in range(20):
            pace.pressed(began=1e12 + i)
        return idle, most, pace.limit

    assert asyncio.run(scenario()) == (4, 6, 1)


def test_retry_after_holds_everybody() -> None:
    async def scenario() -> float:
        pace = Pace(8)
        pace.pressed(began=0.0, wait=0.05)
        began = asyncio.get_running_loop().time()
        await pace.enter()
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(scenario()) >= 0.045


def test_a_budget_waits_for_change_and_ends_when_nothing_is_under_way() -> None:
    async def scenario(budget: Budget, cost: Spent) -> int:
        purse, sent = Purse(budget), 0

        async def one() -> None:
            nonlocal sent
            async with purse.pay(Spent(1, 100, 1.0)) as bill:
                sent += 1
                await asyncio.sleep(0.001)
                bill.append(cost)

        await asyncio.gather(*(one() for _ in range(50)), return_exceptions=True)
        with pytest.raises(BudgetError) as caught:
            await one()
        assert caught.value.exit_code == 130
        return sent

    few = Budget(requests=7)
    assert asyncio.run(scenario(few, Spent(1, 10, 0.1))) == 7
    assert few.spent.requests == 7
    assert few.held == Spent()
    tokens = Budget(tokens=250)  # two fit by estimate, yet each turns out to cost ten: the change is spent too
    assert asyncio.run(scenario(tokens, Spent(1, 10, 0.1))) == 16
    assert tokens.spent.tokens == 160
    money = Budget(money=2.0)
    assert asyncio.run(scenario(money, Spent(1, 10, 0.5))) == 3
    assert money.spent.money == pytest.approx(1.5)


def test_what_a_run_spent_before_counts() -> None:
    budget = Budget(requests=5, spent=Spent(5, 1000, 2.0))
    assert budget.short_of(Spent(1)) == "requests"
    assert "5 of 5 requests" in str(budget.over("requests"))
    assert "--set budget_requests=" in str(budget.over("requests"))
    assert Budget().short_of(Spent(10**9, 10**12, 1e9)) is None
