"""`training: per-task`: every task is answered by a reader of its own, tuned on that task's samples alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lookwise.cli import main
from lookwise.models.open import fingerprint
from lookwise.rows import Prediction
from lookwise.runs.store import read_rows
from lookwise.sample import Sample

TASKS = ("category_classification", "product_relation_prediction")
RECIPE = f"""
name: apart
tasks: [{", ".join(TASKS)}]
samples_train: 6
samples_val: 2
samples_test: 4
samples_ood: 3
prompts: tiny
captioner: scripted:echo
policies: [none, captions:always]
reader: tiny:reader-s
tune_on: [none]
training: per-task
learning_rate: 5e-3
rank: 4
batch: 3
epochs: 1
resamples: 20
"""


def card(out: Path, task: str) -> dict[str, Any]:
    return dict(json.loads((out / "adapters" / "none" / task / "card.json").read_text(encoding="utf-8")))


@pytest.mark.slow
def test_each_task_has_a_reader_of_its_own_and_asks_no_other(tmp_path: Path) -> None:
    (tmp_path / "apart.yaml").write_text(RECIPE, encoding="utf-8")
    out = tmp_path / "run"
    line = ["run", str(tmp_path / "apart.yaml"), "--out", str(out)]
    assert main(line) == 0

    adapters = out / "adapters" / "none"
    assert sorted(folder.name for folder in adapters.iterdir()) == sorted(TASKS)
    for task in TASKS:
        assert card(out, task)["recipe"]["task"] == f"mmecinstruct/{task}"
        assert card(out, task)["steps"] == 2, "six lessons in batches of three, once: its own task's and no other's"
    weights = {(adapters / task / "adapter_model.safetensors").read_bytes() for task in TASKS}
    assert len(weights) == 2

    samples = [s for s in read_rows(out / "rows" / "samples", Sample) if s.split in ("test", "ood")]
    rows = read_rows(out / "rows" / "predictions", Prediction)
    wanted = {(s.id, policy): 1 for s in samples for policy in ("none", "captions:always")}
    assert Counter((row.sample_id, row.policy) for row in rows) == wanted, "one answer each, not one of each reader"
    for task in TASKS:
        mine = [row for row in rows if row.task == f"mmecinstruct/{task}"]
        assert {row.model for row in mine} == {fingerprint(f"tiny:reader-s+{adapters / task}")}
        assert {(row.training, row.tuned_on, row.reason) for row in mine} == {("per-task", "none", None)}

    calls = json.loads((out / "calls.json").read_text(encoding="utf-8"))["predictions"]
    of_task = Counter(s.task for s in samples)
    assert {name: counts["asked"] for name, counts in calls.items()} == {
        f"reader[none, mmecinstruct/{task}]": 2 * of_task[f"mmecinstruct/{task}"] for task in TASKS
    }
    scores = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    own = [s for s in scores if s["policy"] in ("none", "captions:always")]
    assert {s["training"] for s in own} == {"per-task"}
    assert {s["task"] for s in own} >= {f"mmecinstruct/{task}" for task in TASKS}
    assert "tuned on none, per task" in (out / "report.html").read_text(encoding="utf-8")
