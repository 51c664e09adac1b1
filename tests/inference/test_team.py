"""Copies in other processes: the same rows, every request answered once, and clear words when a copy ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from lookwise.errors import ModelError
from lookwise.inference import Answered, Ask, ModelSource, Team, run_stage
from lookwise.message import user
from lookwise.model import Generate, Model, Reply, Request
from lookwise.models.hf.copies import fewer_threads, most_copies, open_copy
from lookwise.models.open import ModelOptions
from lookwise.models.scripted import ScriptedModel, echo
from lookwise.runs.ledger import Calls, Ledger
from lookwise.runs.replies import ReplyStore
from lookwise.sample import Sample

SAMPLES = [Sample(str(i), "b", "t", "test", (("q", f"word {i}"),)) for i in range(60)]
CPU = ModelOptions(device="cpu")
COPY = partial(open_copy, "scripted:echo", CPU, 2)


@dataclass(frozen=True)
class Row:
    sample_id: str
    text: str | None


class Stage:
    name = "said"

    def ask(self, sample: Sample, rows: tuple[Row, ...]) -> list[Ask]:
        return [] if rows else [Ask("m", Request((user(sample.text("q")),), Generate()))]

    def read(self, sample: Sample, answered: list[Answered]) -> list[Row]:
        return [Row(sample.id, answered[0].reply.text)]


class Slow(ScriptedModel):
    """The copy in this process: three requests at a time, each batch as slow as a large model's."""

    def __init__(self, pause: float = 0.05) -> None:
        super().__init__("scripted:echo", echo, fingerprint="scripted:echo/1", batch_tokens=6)
        self.pause, self.answered = pause, 0

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        time.sleep(self.pause)
        self.answered += len(batch)
        return super().answer(batch)


def go(
    model: Slow, store: ReplyStore, team: Team | None, copy: Callable[[int], Model] = COPY
) -> tuple[list[str | None], Calls]:
    source = ModelSource("m", lambda: model, lambda: model.fingerprint, copy, copies=2)
    ledger = Ledger(run="r")
    rows = run_stage(Stage(), SAMPLES, models={"m": source}, replies=store, ledger=ledger, team=team)
    return [rows[s.id][0].text for s in SAMPLES], ledger.calls["said"]["m"]


def warm(team: Team) -> None:
    """Start the team's process and wait until its libraries are loaded."""
    team.open(COPY, 1)
    for _ in range(600):
        list(team.done(wait=False))
        if team.ready:
            break
        time.sleep(0.05)
    assert team.ready
    team.close_model()


def test_copies_share_the_work_and_every_request_is_answered_once(tmp_path: Path) -> None:
    model = Slow(0.2)
    with Team() as team, ReplyStore(tmp_path / "replies") as store:
        warm(team)
        said, calls = go(model, store, team)
        assert said == [s.text("q") for s in SAMPLES]
        assert (calls.asked, calls.sent, calls.failed) == (60, 60, 0)
        assert 0 < model.answered < 60  # the rest was answered elsewhere
        again = Slow()
        assert go(again, store, team)[0] == said
        assert again.answered == 0


def test_few_batches_start_no_process(tmp_path: Path) -> None:
    model = Slow(0.0)
    with Team() as team, ReplyStore(tmp_path / "replies") as store:
        source = ModelSource("m", lambda: model, lambda: model.fingerprint, COPY, copies=2)
        few = SAMPLES[:9]
        run_stage(Stage(), few, models={"m": source}, replies=store, ledger=Ledger(run="r"), team=team)
        assert not team.ready
        assert model.answered == 9


def test_a_copy_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    wrong = partial(open_copy, "scripted:ecko", CPU, 2)
    with Team() as team, ReplyStore(tmp_path / "replies") as store:
        warm(team)
        with pytest.raises(ModelError, match="ecko"):
            go(Slow(0.2), store, team, wrong)


def test_after_a_copy_was_killed_the_same_command_goes_on(tmp_path: Path) -> None:
    with ReplyStore(tmp_path / "replies") as store:
        with Team() as team:
            warm(team)
            for member in team.members:
                member.kill()
            with pytest.raises(ModelError, match="exit code -9"):
                go(Slow(0.2), store, team)
        model = Slow(0.0)
        said, _ = go(model, store, None)
        assert said == [s.text("q") for s in SAMPLES]


def test_a_process_ends_with_its_team() -> None:
    with Team() as team:
        team.open(COPY, 1)
        (process,) = team.members
    assert not process.is_alive()


def test_a_small_model_has_a_core_for_each_copy() -> None:
    import torch

    before = torch.get_num_threads()
    assert most_copies("tiny:reader-s", CPU) == min(before, 4)
    assert most_copies("tiny:reader-s", ModelOptions(device="cuda:0")) == 1
    with fewer_threads(before):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
