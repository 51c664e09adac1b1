"""A run that writes its answers and ranks the options beside: requests, rows, scores, report; the papers' recipes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookwise import config
from lookwise.cli import main
from lookwise.errors import RecipeError
from lookwise.rows import Prediction
from lookwise.runs.store import read_rows

RECIPE = """
name: both
tasks: [category_classification, product_relation_prediction]
samples_test: 12
prompts: tiny
reader: scripted:first
readers: zero-shot
policies: [none]
answering: generate
answer_tokens: 4
also_rank: true
resamples: 50
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("both")
    (folder / "both.yaml").write_text(RECIPE, encoding="utf-8")
    assert main(["run", str(folder / "both.yaml"), "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_predictions_carry_both_and_both_are_scored(finished: Path) -> None:
    rows = read_rows(finished / "rows" / "predictions", Prediction)
    assert len(rows) == 24
    assert all(row.is_beside and row.option_scores and row.reply for row in rows)
    assert all(row.ranked == "A" for row in rows), "this reader ranks the first option first"
    found = json.loads((finished / "beside.json").read_text(encoding="utf-8"))
    assert {record["subset"] for record in found} == {None, "held-out wording"}
    records = [record for record in found if record["subset"] is None]
    assert [record["task"].rpartition("/")[2] for record in records] == [
        "category_classification",
        "product_relation_prediction",
    ]
    for record in records:
        assert record["n"] == 12
        assert record["ranked"]["value"] is not None
        assert record["examples"], "what it writes is no option, so the columns differ"
    scores = json.loads((finished / "scores.json").read_text(encoding="utf-8"))
    failed = [s["failed"] for s in scores if s["policy"] == "none" and s["primary"] and not s["subset"]]
    assert failed == [record["written"]["failed"] for record in records], "scores.json goes by the written answers"


def test_the_report_shows_where_they_differ(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "Written and ranked answers" in page
    assert "samples where they differ" in page
    record = json.loads((finished / "beside.json").read_text(encoding="utf-8"))[0]
    assert f'<td class="text">{record["examples"][0]["sample_id"]}</td>' in page
    assert main(["report", str(finished)]) == 0
    said = capsys.readouterr().out
    assert "written and ranked answers" in said
    assert "category_classification, test, none" in said
    assert "category_classification [held-out" in said


def test_the_plan_counts_both(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(finished.parent / "both.yaml"), "--dry-run", "--out", str(finished.parent / "other")]
    assert main(words) == 0
    both = capsys.readouterr().out
    calls = json.loads((finished / "calls.json").read_text(encoding="utf-8"))["predictions"]["reader"]
    assert f": {calls['asked'] - calls['merged']} requests after merging" in both
    assert calls["asked"] == 48 + 1, "and what the question scores without its content"


def test_it_stands_beside_written_answers_alone() -> None:
    with pytest.raises(RecipeError, match="set answering: generate"):
        config.parse({"name": "x", "also_rank": True}, "x.yaml")


@pytest.mark.parametrize("name", ["caslie-s", "caslie-m", "caslie-l", "caslie-m-published", "sumei"])
def test_recipes_named_after_a_paper_write_freely_and_rank_beside(name: str) -> None:
    recipe = config.load(name)
    assert (recipe.answering, recipe.also_rank) == ("generate", True)


def test_the_released_checkpoint_is_planned_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "task": "product_relation_prediction",
        "split": "test",
        "instruction": "Tell how they relate.",
        "input": json.dumps({"product 1": "a", "product 2": "b"}),
        "options": json.dumps(["A: one", "B: two", "C: three"]),
        "output": "A",
        "images": json.dumps(["https://pictures.example/1.jpg", "https://pictures.example/2.jpg"]),
    }
    (tmp_path / "dataset.json").write_text(json.dumps([row]), encoding="utf-8")
    words = ["run", "caslie-m-published", "--set", f"data={tmp_path}", "--out", str(tmp_path / "run"), "--dry-run"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "pictures " not in said, "the captions came with the data, so nobody looks"
    assert "captions     those that came with the data" in said
    assert "predictions  hf:NingLab/CASLIE-M x 3 policies x 1 samples" in said
    memory = "memory       at least 44 GB of weights at a time: hf:meta-llama/Llama-3.2-11B-Vision-Instruct"
    assert f"{memory} (by its name; not here yet)" in said
    assert "disk         at least 58 GB of models, 58 GB of it to fetch; not here, and of unknown size: " in said
    assert "hf:NingLab/CASLIE-M" in said.splitlines()[-1]
    assert "adapter" not in said
    assert not (tmp_path / "run").exists()
