"""A gate's folder: read strictly, its threshold at another price, its card's numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from lookwise.cli import parser
from lookwise.commands.predict import predict
from lookwise.errors import ModelError, RunError, UsageError
from lookwise.pipeline.gate import open_gate
from lookwise.pipeline.gate_card import card
from lookwise.rows import Utility
from lookwise.sample import Sample

TASK = "ecommmmu/answerability_prediction"
LOOKS = [
    {"threshold": 0.2, "looked": 1.0, "worth": 0.05, "n": 40},
    {"threshold": 0.6, "looked": 0.25, "worth": 0.04, "n": 40},
    {"threshold": None, "looked": 0.0, "worth": 0.0, "n": 40},
]
SCORE = {"n": 80, "helpful": 20, "auc": 0.75, "error": 0.1, "bins": [{"n": 80, "predicted": 0.3, "helpful": 0.25}]}
RECORD: dict[str, Any] = {
    "format": 1,
    "lookwise": "0.1.0",
    "versions": {},
    "run": {"id": "run-1", "recipe": "policies", "data": {"source": "bazaar"}, "seed": 7},
    "model": {"form": "adapter", "base": "tiny:reader-s", "dtype": "auto"},
    "selector": "visuals:predicted/threshold",
    "threshold": 0.6,
    "price": {"look": 0.02, "unit": "right answers", "picture": 0.015, "pictures_a_look": 2.0},
    "labels": ["A: helpful"],
    "asking": "One user's turn.",
    "prompts": {TASK: {"title": "Can it be answered?", "utility": "{question} {judgements}"}},
    "curves": {"nats": LOOKS, "right answers": LOOKS},
    "verifier": {"truth": {"all": SCORE, "right product": {**SCORE, "n": 0}}},
}


def write(folder: Path, record: Any) -> Path:
    (folder / "gate.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def judged(probability: float) -> tuple[Utility, ...]:
    rows = ((0, 0.1), (5, probability))
    return tuple(Utility("s", None, i, "helpful", None, p, None, None, "v", "predicted", "m") for i, p in rows)


def test_a_gate_looks_from_its_threshold_on(tmp_path: Path) -> None:
    gate = open_gate(write(tmp_path, RECORD))
    assert gate.choose({"s": judged(0.6), "t": judged(0.59)}) == {"s": (5,), "t": ()}
    assert gate.tasks[TASK].prompts["utility"].text == "{question} {judgements}"
    assert gate.spec == f"tiny:reader-s+{tmp_path / 'adapter'}"
    merged = {**RECORD, "model": {**RECORD["model"], "form": "merged"}, "threshold": None}
    closed = open_gate(write(tmp_path, merged))
    assert closed.spec == f"hf:{tmp_path / 'model'}"
    assert closed.choose({"s": judged(1.0)}) == {"s": ()}, "no threshold: looking never pays"


def test_another_price_is_another_threshold(tmp_path: Path) -> None:
    gate = open_gate(write(tmp_path, RECORD))
    # A look shows two pictures.  Always against the better gate: 0.05 - p and 0.04 - p / 4, equal at p = 0.0133 a look.
    assert [gate.at(price).threshold for price in (0.0, 0.006, 0.007, 0.079, 0.081)] == [0.2, 0.2, 0.6, 0.6, math.inf]


def test_what_is_no_gate_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no gate"):
        open_gate(tmp_path)
    for bad in ({**RECORD, "format": 2}, {**RECORD, "format": "1"}, [], {}):
        with pytest.raises(RunError, match="form"):
            open_gate(write(tmp_path, bad))
    sample = Sample("s", "mmecinstruct", "mmecinstruct/sentiment_analysis", "test", (), (), (), None)
    with pytest.raises(RunError, match="was not taught"):
        open_gate(write(tmp_path, RECORD)).judge([sample])


def test_a_verifier_with_python_of_its_own_is_not_run_unasked(tmp_path: Path) -> None:
    gate = open_gate(write(tmp_path, {**RECORD, "model": {**RECORD["model"], "form": "merged", "remote_code": True}}))
    sample = Sample("s", "ecommmmu", TASK, "test", (), (), (), None)
    with pytest.raises(ModelError, match=rf"Python of its own, .* read {tmp_path}/model, then permit it"):
        gate.judge([sample])
    assert gate.options(remote_code=True).dtype == RECORD["model"]["dtype"]
    assert gate.judge([sample], gate.options(remote_code=True)) == {"s": ()}, "permitted; it has nothing to look at"


def test_a_run_is_given_no_permission_afterwards(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: demo\n")
    arguments = parser().parse_args(["predict", str(tmp_path), "rows.jsonl", "--remote-code"])
    with pytest.raises(UsageError, match="a run keeps what its recipe permitted"):
        predict(arguments)


def test_the_card_says_how_good_it_is_and_what_looking_gains() -> None:
    said = card(RECORD)
    assert "looking pays: 0.6." in said
    assert "20 helpful of 80 candidates; area under ROC 0.750; expected calibration error 0.100" in said
    assert "right product" not in said, "nothing is said of none"
    assert "| 0.015 (yours) | 0.6 | 25.0% | +0.0400 | +0.0325 |" in said
    assert "| 0 | 0.2 | 100.0% | +0.0500 | +0.0500 |" in said
    assert "| 0.1 | never look | 0.0% | +0.0000 | +0.0000 |" in said
    assert "validation)" not in said
    held = {"verifier": {"measured": {"all": SCORE}}, "verifier_samples": {"measured": {"splits": ["val"]}}}
    told = card({**RECORD, **held})
    assert "**measured (validation), all**: 20 helpful of 80" in told
    assert "No test sample was measured" in told
    never = card({**RECORD, "threshold": None, "verifier": {"truth": {"all": {**SCORE, "auc": None}}}})
    assert "looking never pays" in never
    assert "not known (one class alone)" in never
