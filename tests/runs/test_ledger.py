"""calls.json: whole, ordered, read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookwise.errors import RunError
from lookwise.runs.ledger import Calls, Ledger


def test_stages_are_kept_across_processes_and_replaced_when_done_again(tmp_path: Path) -> None:
    path = tmp_path / "calls.json"
    Ledger(path, "r").record("captions", {"captioner": Calls(asked=3, merged=1, sent=2, seconds=0.5)})
    later = Ledger(path, "r")
    later.record("ballots", {"a": Calls(asked=1), "b": Calls(asked=2)})
    later.record("captions", {"captioner": Calls(asked=4)})
    table = json.loads(path.read_text())
    assert list(table) == ["captions", "ballots"]
    assert list(table["ballots"]) == ["a", "b"]
    fields = ["asked", "merged", "stored", "decided_early", "sent", "failed", "tokens_in", "tokens_out", "seconds"]
    assert list(table["captions"]["captioner"]) == fields
    assert Ledger(path).calls == later.calls
    assert later.calls["captions"] == {"captioner": Calls(asked=4)}


@pytest.mark.parametrize("text", ["{", "[1]", '{"captions": {"m": {"asked": 1, "begged": 2}}}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "calls.json").write_text(text)
    with pytest.raises(RunError, match=r"calls\.json.*delete"):
        Ledger(tmp_path / "calls.json")


def test_a_ledger_without_a_file_keeps_its_counts() -> None:
    ledger = Ledger()
    ledger.record("captions", {"m": Calls(asked=1)})
    assert ledger.calls == {"captions": {"m": Calls(asked=1)}}
