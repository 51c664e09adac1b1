"""Models whose replies come one by one: stored as they come, whatever ends the run; final failures stay."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lookwise.errors import BudgetError
from lookwise.inference import Answered, Ask, ModelSource, run_stage
from lookwise.message import user
from lookwise.model import Generate, Reply, Request
from lookwise.models.scripted import ScriptedModel, echo
from lookwise.runs.ledger import Calls, Ledger
from lookwise.runs.replies import ReplyStore
from lookwise.sample import Sample

SAMPLES = [Sample(str(i), "b", "t", "test", (("q", f"word {i}"),)) for i in range(12)]


@dataclass(frozen=True)
class Row:
    sample_id: str
    text: str | None
    reason: str | None


class Stage:
    name = "said"

    def ask(self, sample: Sample, rows: tuple[Row, ...]) -> list[Ask]:
        return [] if rows else [Ask("m", Request((user(sample.text("q")),), Generate()))]

    def read(self, sample: Sample, answered: list[Answered]) -> list[Row]:
        return [Row(sample.id, one.reply.text, one.reply.failure) for one in answered]


class Server(ScriptedModel):
    """Answers backwards, two at a time; ends with an error after so many, and fails some."""

    def __init__(self, ends_after: int = 10**9, failing: dict[str, Reply] | None = None) -> None:
        super().__init__("server", echo)
        self.ends_after, self.failing = ends_after, failing or {}
        self.asked: list[str] = []

    def stream(self, batch: Sequence[Request]) -> Generator[list[tuple[int, Reply]], None, None]:
        order = list(reversed(range(len(batch))))
        for n in range(0, len(order), 2):
            if n >= self.ends_after:
                raise BudgetError("the budget is spent")
            pair = order[n : n + 2]
            self.asked += [batch[i].conversation[0].text for i in pair]
            yield [(i, self._reply(batch[i])) for i in pair]

    def _reply(self, request: Request) -> Reply:
        return self.failing.get(request.conversation[0].text) or echo(request)


def go(model: Server, store: ReplyStore, ledger: Ledger) -> dict[str, tuple[Row, ...]]:
    source = ModelSource("m", lambda: model, lambda: model.fingerprint)
    return run_stage(Stage(), SAMPLES, models={"m": source}, replies=store, ledger=ledger)


def calls(ledger: Ledger) -> Calls:
    return replace(ledger.calls["said"]["m"], seconds=0.0)


def test_what_came_before_an_error_is_stored_and_never_asked_again(tmp_path: Path) -> None:
    first, second = Server(ends_after=6), Server()
    with ReplyStore(tmp_path / "replies") as store:
        with pytest.raises(BudgetError):
            go(first, store, Ledger(run="r"))
        ledger = Ledger(run="r")
        rows = go(second, store, ledger)
        assert store.spent("r") == {"m": (12, 24, 24)}
    assert len(first.asked) == 6
    assert sorted(first.asked + second.asked) == sorted(s.text("q") for s in SAMPLES)
    assert [rows[s.id][0].text for s in SAMPLES] == [s.text("q") for s in SAMPLES]
    whole = Ledger(run="r")
    go(Server(), ReplyStore(None), whole)
    assert calls(ledger) == calls(whole) == Calls(asked=12, sent=12, tokens_in=24, tokens_out=24)


def test_a_final_failure_is_kept_and_a_passing_one_is_asked_again(tmp_path: Path) -> None:
    flaws = {"word 3": Reply(failure="refused", final=True, tokens_in=7), "word 5": Reply(failure="connection: lost")}
    first, second = Server(failing=flaws), Server()
    with ReplyStore(tmp_path / "replies") as store:
        begun, resumed = Ledger(run="r"), Ledger(run="r")
        rows = go(first, store, begun)
        assert (rows["3"][0].reason, rows["5"][0].reason) == ("refused", "connection: lost")
        again = go(second, store, resumed)
    assert second.asked == ["word 5"]
    assert (again["3"][0], again["5"][0].text) == (rows["3"][0], "word 5")
    assert (calls(begun).failed, calls(begun).sent, calls(resumed).failed, calls(resumed).sent) == (2, 12, 1, 12)
    assert calls(resumed).tokens_in == 22 + 7
