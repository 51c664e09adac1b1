"""The shipped sumei-tiny: its names hold, and a much reduced form runs all six steps with a tuned assessor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookwise import config
from lookwise.benchmarks.ecommmmu import CANDIDATES
from lookwise.cli import main
from lookwise.pipeline.flow import check_names
from lookwise.pipeline.tuning import assessor_settings, reader_settings
from lookwise.rows import Utility
from lookwise.runs.store import read_rows
from lookwise.sample import Sample

TASKS = ("answerability_prediction", "product_relation_prediction")
REDUCED = (
    f"tasks=[{', '.join(TASKS)}]",
    "samples_train=16",
    "samples_val=4",
    "samples_test=4",
    "samples_most={}",
    "epochs=1",
    "assessor_epochs=1",
    "verifier_epochs=1",
    "resamples=20",
)


def test_the_recipe_names_models_and_policies_that_there_are() -> None:
    recipe = config.load("sumei-tiny")
    check_names(recipe)
    assert recipe.assessor_tuned
    assert recipe.teaches_verifier
    assert {"none", "visuals:always", "visuals:predicted"} <= set(recipe.policies)
    assert "visuals:oracle/measured" in recipe.policies, "measured and true worth are compared on test samples"


def test_the_assessor_has_epochs_of_its_own_and_is_a_reader_otherwise() -> None:
    recipe = config.load("sumei-tiny", ["assessor_epochs=2", "epochs=7"])
    assert assessor_settings(recipe).epochs == 2
    assert assessor_settings(recipe).learning_rate == reader_settings(recipe).learning_rate
    same = config.load("sumei-tiny", ["assessor_epochs=null", "epochs=7"])
    assert assessor_settings(same) == reader_settings(same)


@pytest.mark.slow
def test_a_reduced_form_runs_to_its_end(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["run", "sumei-tiny", "--out", str(out), *(word for item in REDUCED for word in ("--set", item))]) == 0
    samples = {s.id: s for s in read_rows(out / "rows" / "samples", Sample)}
    card = json.loads((out / "adapters" / "assessor" / "card.json").read_text(encoding="utf-8"))
    assert card["recipe"]["role"] == "assessor"
    assert card["plan"]["train"]["n"] == len(TASKS) * 8 * (1 + CANDIDATES), "the readers' half, in every form"
    measured = read_rows(out / "rows" / "measured", Utility)
    assert {row.source for row in measured} == {"measured"}
    assert sum(samples[row.sample_id].split == "train" for row in measured) == len(TASKS) * 8 * CANDIDATES
    lessons = json.loads((out / "adapters" / "verifier" / "card.json").read_text(encoding="utf-8"))
    assert lessons["base"] == "tiny:looker"
    gates = json.loads((out / "gates.json").read_text(encoding="utf-8"))
    assert gates["measured_against_truth"]["n"] == len(TASKS) * 4 * CANDIDATES
    for known in ("truth", "measured"):
        all_of, right = (gates["verifier"][known][group]["n"] for group in ("all", "right product"))
        assert 0 < right < all_of == len(TASKS) * 4 * CANDIDATES
