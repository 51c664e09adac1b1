"""The grocery recipe end to end: models from scratch in the run's folder, cross-fitted captions, one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from grocery_shop import make_shop

from lookwise import config
from lookwise.errors import ModelError, RecipeError
from lookwise.pipeline import flow
from lookwise.rows import Caption, Prediction
from lookwise.runs.store import read_rows

REAL = Path(__file__).parents[3] / "shared" / "data" / "grocery"


def settings(data: Path, *more: str) -> list[str]:
    return [f"data={data}", *more]


def test_a_scratch_model_that_nobody_can_train_is_refused(tmp_path: Path) -> None:
    data = make_shop(tmp_path)
    for change, said in (
        ("reader=scratch:raeder", "reader"),
        ("captioner=scratch:judge-a", "captioner"),
        ("source=table", "source: grocery"),
        ("captioner=scripted:fixed/x", "caption_folds"),
    ):
        with pytest.raises(ModelError, match=said):
            flow.check_names(config.load("grocery", settings(data, change)))
    with pytest.raises(RecipeError, match="caption_folds"):
        config.load("grocery", settings(data, "caption_folds=1"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_recipe_runs_small_resumes_and_cross_fits(tmp_path: Path) -> None:
    data = make_shop(tmp_path)
    (data / "images" / "test-0-0.png").write_bytes(b"no picture")
    recipe = config.load("grocery", settings(data, "epochs=1", "resamples=20"))
    out = tmp_path / "run"
    flow.run(recipe, out, config.dump(recipe), flow.Asked(until="captioners"))
    first = (out / "models" / "captioner" / "model.safetensors").read_bytes()
    assert flow.run(recipe, out, config.dump(recipe), flow.Asked())
    assert (out / "models" / "captioner" / "model.safetensors").read_bytes() == first
    assert not flow.run(recipe, out, config.dump(recipe), flow.Asked())

    captions = read_rows(out / "rows" / "captions", Caption)
    by_split: dict[str, set[str]] = {}
    for row in captions:
        by_split.setdefault(row.sample_id.split("/")[3].split("-")[0], set()).add(row.model)
    assert len(by_split["train"]) == 2
    assert len(by_split["test"]) == 1
    assert not by_split["train"] & by_split["test"]
    assert {row.sample_id.split("/")[-1] for row in captions if row.reason not in (None, "empty caption")} == {
        "test-0-0.png"
    }

    accuracy = json.loads((out / "caption_accuracy.json").read_text())
    assert {split: a["photos"] for split, a in accuracy.items()} == {"train": 16, "val": 8, "test": 8}
    assert accuracy["test"]["failed"] >= 1
    predictions = read_rows(out / "rows" / "predictions", Prediction)
    assert {p.policy for p in predictions} == set(recipe.policies)
    assert len(predictions) == 3 * 4 * 16


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not REAL.is_dir(), reason="the grocery folder is not here")
def test_the_full_recipe_keeps_its_word(tmp_path: Path) -> None:
    recipe = config.load("grocery", settings(REAL))
    flow.run(recipe, tmp_path / "run", config.dump(recipe), flow.Asked())
    accuracy = json.loads((tmp_path / "run" / "caption_accuracy.json").read_text())
    assert accuracy["test"]["kind_right"] >= 0.6
