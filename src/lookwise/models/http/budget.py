"""What a run may spend on servers: requests, tokens, money.  It is never overdrawn by more than a bad estimate.

In: the limits, what earlier processes of the run spent, an estimate ahead of each request and its true size after it.
Out: leave to send, or a BudgetError once nothing more fits.  What is under way is held back from the rest, so a hundred
requests at once cannot overdraw together.  It knows neither servers nor prices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lookwise.errors import BudgetError

__all__ = ["Budget", "Purse", "Spent"]


@dataclass(frozen=True, slots=True)
class Spent:
    """Requests, tokens (read and written together) and money."""

    requests: int = 0
    tokens: int = 0
    money: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.requests + other.requests, self.tokens + other.tokens, self.money + other.money)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.requests - other.requests, self.tokens - other.tokens, self.money - other.money)


@dataclass
class Budget:
    """Limits of one run, 0 where there is none, and what has been spent and is held; shared by the run's models."""

    requests: int = 0
    tokens: int = 0
    money: float = 0.0
    spent: Spent = field(default_factory=Spent)
    held: Spent = field(default_factory=Spent)

    def short_of(self, estimate: Spent) -> str | None:
        """Return what one more request of that size would overdraw, None when it fits."""
        after = self.spent + self.held + estimate
        for name in ("requests", "tokens", "money"):
            limit = getattr(self, name)
            if limit and getattr(after, name) > limit:
                return name
        return None

    def over(self, name: str) -> BudgetError:
        """Return the error that ends a run whose budget for `name` does not allow another request."""
        spent, limit = getattr(self.spent, name), getattr(self, name)
        amount = f"{spent:,.4f}" if name == "money" else f"{spent:,}"
        return BudgetError(
            f"the budget is spent: {amount} of {limit:,} {name}, and the next request does not fit; every reply so far "
            f"is stored: give the same command again with --set budget_{name}=MORE and it goes on from here"
        )


class Purse:
    """A budget in the hands of one open model: its requests wait for each other's change.  For one event loop."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._out = 0
        self._settled = asyncio.Condition()

    @asynccontextmanager
    async def pay(self, estimate: Spent) -> AsyncIterator[list[Spent]]:
        """Hold `estimate` while a request is under way; what it came to is appended to the list that is given.

        Where nothing is appended one request was spent: what a broken reply cost is not known.
        """
        await self._hold(estimate)
        bill: list[Spent] = []
        try:
            yield bill
        finally:
            async with self._settled:
                self._budget.held -= estimate
                self._budget.spent += sum(bill, Spent()) if bill else Spent(1)
                self._out -= 1
                self._settled.notify_all()

    async def _hold(self, estimate: Spent) -> None:
        async with self._settled:
            while (name := self._budget.short_of(estimate)) is not None:
                if not self._out:
                    raise self._budget.over(name)
                await self._settled.wait()
            self._budget.held += estimate
            self._out += 1
