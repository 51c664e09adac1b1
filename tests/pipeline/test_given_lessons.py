"""Lessons in SUMEI's published shape, given to a run: what an earlier run left teaches the same, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from factory import llava
from taught_recipe import TAUGHT

from lookwise.cli import main
from lookwise.rows import Utility
from lookwise.runs.store import read_rows
from lookwise.sample import Sample


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    path = folder / "given.yaml"
    path.write_text(TAUGHT.format(model=llava(folder / "model")), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def first(recipe: Path) -> Path:
    out = recipe.parent / "first"
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    return out


def again(recipe: Path, out: Path, *settings: str) -> int:
    return main(["run", str(recipe), "--out", str(out), *(word for one in settings for word in ("--set", one))])


def weights(run: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in run.glob("adapters/*/adapter_model.safetensors")}


def card(run: Path, adapter: str) -> Any:
    return json.loads((run / "adapters" / adapter / "card.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_what_a_run_left_teaches_another_the_same(recipe: Path, first: Path, tmp_path: Path) -> None:
    data, out = first / "sumei" / "data", tmp_path / "second"
    files = (f"verification_files={data / 'verification'}", f"downstream_files={data / 'downstream'}")
    assert again(recipe, out, *files) == 0
    assert weights(out) == weights(first)
    assert len(weights(out)) == 2
    assert card(out, "verifier")["recipe"]["files"] == str(data / "verification")
    assert card(out, "verifier")["plan"]["train"]["n"] == card(first, "verifier")["plan"]["train"]["n"] > 0
    splits = {s.id: s.split for s in read_rows(out / "rows" / "samples", Sample)}
    measured = read_rows(out / "rows" / "measured", Utility)
    assert {splits[row.sample_id] for row in measured} == {"val"}, "its half of the training samples is not measured"


@pytest.mark.slow
def test_rows_that_teach_nobody_are_left_out_with_a_reason(recipe: Path, first: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lessons"
    folder.mkdir()
    rows = json.loads((first / "sumei" / "data" / "verification" / "train.json").read_text(encoding="utf-8"))
    good = len(rows)
    doubtful = json.loads(json.dumps(rows[0]))
    doubtful["conversations"][1]["value"] = "perhaps"
    gone, outside = ({**rows[0], "image": [place]} for place in ("images/gone.png", "../../secret.png"))
    (folder / "train.json").write_text(json.dumps([*rows, doubtful, gone, outside, 7]), encoding="utf-8")
    out = tmp_path / "run"
    assert again(recipe, out, f"verification_files={folder}") == 0
    told = card(out, "verifier")
    assert told["plan"]["train"]["n"] == good
    assert sum(told["recipe"]["left_out"]["train"].values()) == 4
    assert "its answer is none of the four judgements" in told["recipe"]["left_out"]["train"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["verification_files=nowhere"], "verification_files: no train.json in nowhere"),
        (["verification_files={here}", "verifying=zero-shot"], "set verifying: tuned"),
        (["downstream_files={here}", "training=per-task"], "set training: generalist"),
        (["downstream_files={here}", "tune_on=[none]"], "add that to tune_on"),
        (["verification_files={here}"], "teaches nobody (1 rows, mostly: its answer is none of the four judgements)"),
    ],
)
def test_what_nobody_could_be_taught_is_refused(
    recipe: Path, tmp_path: Path, settings: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "lessons"
    here.mkdir()
    row = {"conversations": [{"from": "human", "value": "is it?"}, {"from": "gpt", "value": "perhaps"}]}
    (here / "train.json").write_text(json.dumps([row]), encoding="utf-8")
    sets = [one.format(here=here) for one in settings]
    assert again(recipe, tmp_path / "run", *sets) in (1, 2)
    assert said in capsys.readouterr().err
