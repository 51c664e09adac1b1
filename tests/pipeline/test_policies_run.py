"""The one table, much reduced and with random checkpoints; then its gate, taken home and asked in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from factory import llava

from lookwise.cli import main
from lookwise.errors import RunError
from lookwise.pipeline.gate import open_gate
from lookwise.report.html import page_text
from lookwise.rows import Ballot, Evidence, Prediction, Utility
from lookwise.runs.store import read_rows
from lookwise.sample import Sample

pytestmark = pytest.mark.slow

TASKS = "answerability_prediction, binary_question_answering"
SELECTORS = {
    "none",
    "captions:always",
    "captions:vote",
    "captions:random@vote",
    "visuals:always",
    "visuals:predicted",
    "visuals:predicted/threshold",
    "visuals:random@predicted",
    "visuals:oracle/measured",
    "visuals:oracle/truth",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policies")
    model = llava(folder / "model")
    sets = {
        "tasks": f"[{TASKS}]",
        "samples_train": "8",
        "samples_val": "6",
        "samples_test": "5",
        "captioner": "scripted:first",
        "judges": '{a: "scripted:yes", b: "scripted:no", c: "scripted:yes"}',
        **dict.fromkeys(("assessor", "verifier", "reader"), f"hf:{model}"),
        "assessor_tuned": "false",
        "verifier_epochs": "1",
        "epochs": "1",
        "batch": "4",
        "max_tokens": "512",
        "resamples": "50",
    }
    arguments = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    assert main(["run", "policies", "--out", str(folder / "run"), *arguments]) == 0
    return folder / "run"


def rows(folder: Path, stage: str, kind: type) -> list[Any]:
    return read_rows(folder / "rows" / stage, kind)


def test_four_readers_answer_the_same_samples_under_every_policy(finished: Path) -> None:
    answers = rows(finished, "predictions", Prediction)
    assert {r.policy for r in answers} == SELECTORS
    assert {r.tuned_on for r in answers} == {"", "none", "visuals:always", "visuals:predicted"}
    assert set(Counter((r.policy, r.tuned_on) for r in answers).values()) == {10}
    assert rows(finished, "ballots", Ballot)
    shown = Counter((r.policy, r.kind) for r in rows(finished, "evidence", Evidence) if r.kind != "none")
    assert shown["captions:random@vote", "caption"] == shown["captions:vote", "caption"]


def test_the_table_has_scores_costs_and_regret_for_all_of_them(finished: Path) -> None:
    records = json.loads((finished / "policies.json").read_text(encoding="utf-8"))
    whole = [r for r in records if r["subset"] is None]
    assert {(r["policy"], r["tuned_on"]) for r in whole} == {
        (p, t) for p in SELECTORS for t in ("", "none", "visuals:always", "visuals:predicted")
    }
    for r in whole:
        assert r["low"] <= r["value"] <= r["high"]
        assert r["tokens_in"] > 0
        assert set(r["regret"]) == {"truth", "measured"}
        assert r["regret"]["truth"] >= -1e-9 or r["policy"] == "visuals:oracle/truth"
    none, always = (next(r for r in whole if r["policy"] == p) for p in ("none", "visuals:always"))
    assert none["tokens_in"] < always["tokens_in"], "a picture's tokens are counted"
    vote = next(r for r in whole if r["policy"] == "captions:vote")
    assert (vote["captioner"], vote["judges"]) == (1, 3), "yes, no, yes: the third ballot decides"


def test_capabilities_are_scored_beside_tasks_and_subsets(finished: Path) -> None:
    scores = json.loads((finished / "scores.json").read_text(encoding="utf-8"))
    found = {(s["capability"], s["subset"]) for s in scores if s["capability"]}
    assert ("shopping question perception", None) in found
    assert ("all tasks", None) in found
    assert "user behavior alignment" not in {name for name, _ in found}


def test_the_page_draws_score_against_cost_and_lists_disagreements(finished: Path) -> None:
    page = page_text(finished)
    assert "policies, ecommmmu, test" in page
    assert page.count("<svg") >= 4
    assert "Where the gates disagree" in page
    assert "capabilities" in page


ASK = """
import json, sys
from pathlib import Path
from lookwise.pipeline.gate import open_gate
from lookwise.runs.store import read_rows
from lookwise.sample import Sample

gate = open_gate(Path(sys.argv[1]))
samples = [s for s in read_rows(Path(sys.argv[2]), Sample) if s.split == "test"]
judged = gate.judge(samples)
said = {name: [row.probability for row in rows] for name, rows in judged.items()}
print(json.dumps({"said": said, "chosen": gate.choose(judged)}))
"""


def asked_elsewhere(gate: Path, run: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(gate), str(run / "rows" / "samples")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_gate_taken_home_says_the_same_in_another_process(finished: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    assert main(["gate", str(finished), str(gate), "--price", "0.01"]) == 0
    assert {p.name for p in gate.iterdir()} == {"gate.json", "card.md", "model"}
    known: dict[str, list[float]] = {}
    for row in rows(finished, "predicted", Utility):
        known.setdefault(row.sample_id, []).append(row.probability)
    answer = asked_elsewhere(gate, finished)
    tested = [s.id for s in rows(finished, "samples", Sample) if s.split == "test"]
    assert answer["said"].keys() == set(tested)
    for name in tested:
        assert answer["said"][name] == pytest.approx(known[name], abs=1e-6)
    value = json.loads((gate / "gate.json").read_text(encoding="utf-8"))
    never = value["threshold"] is None
    assert {name for name, picks in answer["chosen"].items() if picks} == {
        name for name in tested if not never and max(answer["said"][name]) >= value["threshold"]
    }
    card = (gate / "card.md").read_text(encoding="utf-8")
    assert "0.01 (yours)" in card
    assert "area under ROC" in card
    assert str(finished) not in (gate / "gate.json").read_text(encoding="utf-8").replace(
        json.dumps(value["model"]["base"]), ""
    )


def test_an_adapter_alone_is_small_and_a_higher_price_never_looks_more(finished: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    assert main(["gate", str(finished), str(gate), "--adapter"]) == 0
    assert {p.name for p in (gate / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    opened = open_gate(gate)
    samples = [s for s in rows(finished, "samples", Sample) if s.split == "test"][:2]
    judged = opened.judge(samples)
    known = {(r.sample_id, r.candidate): r.probability for r in rows(finished, "predicted", Utility)}
    for name, mine in judged.items():
        assert [r.probability for r in mine] == pytest.approx([known[name, r.candidate] for r in mine], abs=1e-6)
    looks = [sum(map(bool, opened.at(price).choose(judged).values())) for price in (0.0, 0.1, 1e9)]
    assert looks == sorted(looks, reverse=True)
    assert looks[-1] == 0
    assert main(["gate", str(finished), str(gate)]) == 1, "a folder that holds something is left alone"
    with pytest.raises(RunError, match="no gate"):
        open_gate(tmp_path)


def test_the_reader_tuned_on_the_like_answers_or_the_one_that_is_named(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = finished / "data" / "EcomMMMU.json", finished / "answers.jsonl"
    ask = ["predict", str(finished), str(table), "--policy", "visuals:predicted/threshold", "--out", str(out)]
    for named, tuned_on in (([], "visuals:predicted"), (["--tuned-on", "none"], "none")):
        assert main([*ask, *named]) == 0
        assert f"by the reader tuned on {tuned_on}, not on that policy itself" in capsys.readouterr().out
        said = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert {row["tuned_on"] for row in said if row["sample_id"]} == {tuned_on}
        mine = {
            r.sample_id: r.answer
            for r in rows(finished, "predictions", Prediction)
            if (r.policy, r.tuned_on) == ("visuals:predicted/threshold", tuned_on)
        }
        again = {row["sample_id"]: row["answer"] for row in said if row["sample_id"] in mine}
        assert again == mine, "the same rows, the same answers"
    assert main([*ask, "--tuned-on", "visuals:predict"]) == 1
    assert "did you mean 'visuals:predicted'?" in capsys.readouterr().err


def test_a_gate_is_asked_about_a_file_of_rows(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate, table = tmp_path / "gate", finished / "data" / "new.json"
    assert main(["gate", str(finished), str(gate), "--adapter"]) == 0
    given = json.loads((finished / "data" / "EcomMMMU.json").read_text(encoding="utf-8"))
    new = [{k: v for k, v in row.items() if k not in ("output", "split")} for row in given[:2]]
    table.write_text(json.dumps([*new, {**new[0], "images": []}]), encoding="utf-8")
    out = tmp_path / "said.jsonl"
    assert main(["predict", str(gate), str(table), "--out", str(out)]) == 0
    assert "3 rows, 1 without probability" in capsys.readouterr().out
    said = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    threshold = open_gate(gate).threshold
    for row in said[:2]:
        assert 0 <= row["candidate"] < 8
        assert row["look"] == (row["probability"] >= threshold)
    assert said[2]["reason"] == "no pictures"
    assert main(["predict", str(gate), str(table), "--policy", "none"]) == 2
    assert main(["predict", str(gate), str(table), "--tuned-on", "none"]) == 2
