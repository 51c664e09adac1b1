"""SUMEI's steps in a run on the shop with eight pictures a product: measured, predicted, chosen, answered, judged."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from factory import llava

from lookwise.benchmarks.utility import JUDGEMENTS
from lookwise.cli import main
from lookwise.report.html import page_text
from lookwise.rows import Evidence, Prediction, Utility
from lookwise.runs.store import read_rows
from lookwise.sample import Sample
from lookwise.sources.sumei import Exchange, read_exchanges, read_results

RECIPE = """
name: eight
benchmark: ecommmmu
tasks: [production_substitute_identification, product_relation_prediction]
samples_train: 1
samples_val: 3
samples_test: 5
test_splits: [test]
prompts: tiny
captioner: scripted:echo
reader: scripted:first
verifier: scripted:first
verifying: zero-shot
readers: zero-shot
policies: [none, captions:always, captions:oracle/truth, visuals:always, visuals:predicted, visuals:predicted/threshold,
  visuals:random@predicted, visuals:oracle/measured, visuals:oracle/truth]
resamples: 20
"""


PUBLISHED = "visuals:predicted"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "eight.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "eight"
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    return out


def rows(folder: Path, stage: str, kind: type) -> list:
    return read_rows(folder / "rows" / stage, kind)


def test_worth_is_measured_where_needed_and_predicted_where_looked(finished: Path) -> None:
    samples = {s.id: s for s in rows(finished, "samples", Sample)}
    assert Counter(s.split for s in samples.values()) == {"train": 2, "val": 6, "test": 10}
    measured, predicted = rows(finished, "measured", Utility), rows(finished, "predicted", Utility)
    assert Counter(samples[r.sample_id].split for r in measured) == {"val": 48, "test": 80}
    assert Counter(samples[r.sample_id].split for r in predicted) == {"val": 48, "test": 80}
    assert {r.label for r in measured} <= {"redundant", "ineffective"}, "who always says the same gains by no picture"
    assert {(r.label, r.source) for r in predicted} == {("helpful", "predicted")}
    assert all(r.probability is not None and 0.25 < r.probability < 1 for r in predicted)


def test_a_limit_makes_no_split_that_the_recipe_has_not(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "limited"
    assert main(["run", str(recipe), "--out", str(out), "--limit", "2", "--until", "samples"]) == 0
    assert Counter(s.split for s in rows(out, "samples", Sample)) == {"train": 2, "val": 4, "test": 4}


def test_policies_show_what_they_choose(finished: Path) -> None:
    shown = Counter(r.policy for r in rows(finished, "evidence", Evidence) if r.kind == "image")
    products = sum(len({v.slot for v in s.visuals}) for s in rows(finished, "samples", Sample) if s.split == "test")
    for policy in ("visuals:always", "visuals:predicted", "visuals:random@predicted"):
        assert shown[policy] == products
    assert shown["visuals:predicted/threshold"] == 0, "a gate that gains nothing never looks"
    assert shown["visuals:oracle/measured"] == 0
    assert 0 < shown["visuals:oracle/truth"] < products
    captions = {r.candidate for r in rows(finished, "evidence", Evidence) if r.kind == "caption"}
    assert captions == {0}


def test_every_policy_is_answered_and_scored_with_the_vision_salient_part(finished: Path) -> None:
    answers = rows(finished, "predictions", Prediction)
    assert set(Counter(r.policy for r in answers).values()) == {10}
    scores = json.loads((finished / "scores.json").read_text(encoding="utf-8"))
    assert {s["benchmark"] for s in scores} == {"ecommmmu"}
    assert {s["subset"] for s in scores} == {None, "vision-salient"}
    assert {"ceiling/text", "ceiling/pictures", "visuals:oracle/truth"} <= {s["policy"] for s in scores}


def test_gates_are_judged_by_truth_and_measurement(finished: Path) -> None:
    gates = json.loads((finished / "gates.json").read_text(encoding="utf-8"))
    truth = {name: of["truth"] for name, of in gates["policies"].items()}
    assert truth["visuals:oracle/truth"]["regret"] == pytest.approx(0)
    assert truth["visuals:oracle/truth"]["precision"] == 1.0
    assert truth["visuals:oracle/truth"]["recall"] == 1.0
    assert truth["visuals:always"]["looked"] == 10
    assert truth["visuals:always"]["regret"] > 0
    assert gates["threshold"] is None, "infinity: never look"
    assert gates["verifier"]["truth"]["all"]["auc"] == 0.5
    assert gates["measured_against_truth"]["n"] == 80
    page = page_text(finished)
    assert "The verifier" in page
    assert "measured against the truth: the same judgement of" in page


def test_where_no_test_sample_is_measured_the_verifier_is_held_to_validation_samples(tmp_path: Path) -> None:
    recipe = tmp_path / "held.yaml"
    text = RECIPE.replace("visuals:oracle/measured, ", "").replace("visuals:random@predicted, ", "")
    recipe.write_text(text.replace("captions:always, captions:oracle/truth, ", ""), encoding="utf-8")
    out = tmp_path / "held"
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    samples = {s.id: s for s in rows(out, "samples", Sample)}
    measured = [r for r in rows(out, "measured", Utility) if r.label]
    assert {samples[r.sample_id].split for r in measured} == {"val"}
    gates = json.loads((out / "gates.json").read_text(encoding="utf-8"))
    assert gates["verifier_samples"] == {
        "truth": {"splits": ["test"], "half": None, "samples": 10},
        "measured": {"splits": ["val"], "half": None, "samples": 6},
    }
    assert gates["verifier"]["truth"]["all"]["n"] == 80
    known = Counter(r.label for r in measured)
    held = gates["verifier"]["measured"]["all"]
    assert {c["known"]: c["n"] for c in held["confusion"]} == known
    assert held["n"] == known.total() == gates["measured_against_truth"]["n"]
    salient = {s.id for s in samples.values() if s.split == "val" and s.subset == "vision-salient"}
    part = gates["verifier_subsets"]["vision-salient"]["measured"]["all"]["n"]
    assert part == sum(r.sample_id in salient for r in measured)
    assert all(set(of) == {"truth"} for of in gates["policies"].values()), "choices are of test samples alone"
    page = page_text(out)
    assert "measured worth, validation" in page
    assert "validation: the validation samples, 6 of them, which did not teach the verifier" in page


def test_one_picture_a_product_is_held_to_the_truth_as_well(tmp_path: Path) -> None:
    recipe = tmp_path / "one.yaml"
    text = RECIPE.replace("benchmark: ecommmmu", "benchmark: mmecinstruct").replace("production_", "product_")
    recipe.write_text(text, encoding="utf-8")
    out = tmp_path / "one"
    assert main(["run", str(recipe), "--out", str(out), "--until", "gates"]) == 0
    gates = json.loads((out / "gates.json").read_text(encoding="utf-8"))
    assert gates["verifier"]["truth"]["all"]["n"] == gates["measured_against_truth"]["n"] == 10, "one slot, and two"


def test_policies_stand_side_by_side_with_what_they_cost(finished: Path) -> None:
    records = json.loads((finished / "policies.json").read_text(encoding="utf-8"))
    whole = {r["policy"]: r for r in records if r["subset"] is None}
    assert {r["subset"] for r in records} == {None, "vision-salient"}
    samples = [s for s in rows(finished, "samples", Sample) if s.split == "test"]
    products = sum(len({v.slot for v in s.visuals}) for s in samples) / len(samples)
    assert set(whole) == {r.policy for r in rows(finished, "evidence", Evidence)}
    assert {r["n"] for r in whole.values()} == {len(samples)}
    calls = {name: (r["captioner"], r["verifier"], r["reader"]) for name, r in whole.items()}
    assert calls["none"] == calls["visuals:always"] == calls["visuals:random@predicted"] == (0, 0, 1)
    assert calls["visuals:oracle/measured"] == (0, 0, 1), "what an oracle knows has no price"
    assert calls["captions:always"] == (products, 0, 1)
    oracle = whole["captions:oracle/truth"]
    assert 0 < oracle["captioner"] == oracle["captions"] < products, "it pays for what it shows"
    assert calls["visuals:predicted"] == calls["visuals:predicted/threshold"] == (0, 8, 1)
    assert whole["visuals:predicted"]["pictures"] == whole["visuals:always"]["pictures"] == products
    assert whole["captions:always"]["captions"] == products
    assert whole["none"]["tokens_in"] < whole["captions:always"]["tokens_in"]
    assert whole["visuals:oracle/truth"]["regret"]["truth"] == pytest.approx(0)
    assert whole["none"]["regret"]["truth"] > 0
    gates = json.loads((finished / "gates.json").read_text(encoding="utf-8"))["policies"]
    for name, of in gates.items():
        assert whole[name]["regret"]["truth"] == of["truth"]["regret"]
    scores = json.loads((finished / "scores.json").read_text(encoding="utf-8"))
    tasks = [s["value"] for s in scores if s["task"] and s["primary"] and (s["policy"], s["subset"]) == ("none", None)]
    assert whole["none"]["value"] == pytest.approx(sum(tasks) / len(tasks))


def test_the_vision_salient_samples_are_scored_apart_in_every_table(finished: Path) -> None:
    salient = {s.id for s in rows(finished, "samples", Sample) if s.split == "test" and s.subset == "vision-salient"}
    assert 0 < len(salient) < 10
    gains = json.loads((finished / "gains.json").read_text(encoding="utf-8"))
    assert {g["subset"] for g in gains} == {None, "vision-salient"}
    counted = {g["task"]: g["n"] for g in gains if g["subset"]}
    assert counted.pop("all tasks") == sum(counted.values()) == len(salient)
    gates = json.loads((finished / "gates.json").read_text(encoding="utf-8"))
    (subset, judged), *others = gates["verifier_subsets"].items()
    assert (subset, others) == ("vision-salient", [])
    assert {source: of["all"]["n"] for source, of in judged.items()} == dict.fromkeys(
        ("truth", "measured"), 8 * len(salient)
    )
    (agreed,) = gates["measured_against_truth_subsets"].values()
    assert agreed["n"] == 8 * len(salient)
    (chosen,) = gates["policies_subsets"].values()
    assert chosen.keys() == gates["policies"].keys()
    assert {of[source]["n"] for of in chosen.values() for source in of} == {len(salient)}
    assert chosen["visuals:always"]["truth"]["looked"] == len(salient)
    page = page_text(finished)
    assert "measured worth, vision-salient" in page
    assert "measured against the truth (vision-salient): the same judgement of" in page
    assert page.index("Does looking pay? test</h2>") < page.index("Does looking pay? test, vision-salient</h2>")


def test_the_published_files_are_there_and_are_read_again(finished: Path) -> None:
    folder = finished / "sumei"
    samples = [s for s in rows(finished, "samples", Sample) if s.split == "test"]
    asked = list(read_exchanges(folder / "data" / "downstream" / "test.json", finished / "data"))
    assert [x.task for x in asked if isinstance(x, Exchange)] == [s.task for s in samples]
    assert all(isinstance(x, Exchange) and x.answer is None and x.conversation[0].media for x in asked)
    assert not (folder / "data" / "downstream" / "train.json").exists(), "no reader was tuned"
    answers = {r.sample_id: r.answer for r in rows(finished, "predictions", Prediction) if r.policy == PUBLISHED}
    for task in ("product_substitute_identification", "product_relation_prediction"):
        mine = [answers[s.id] for s in samples if s.task.endswith(task)]
        assert read_results(folder / "results", task) == mine
    assert (folder / "results" / "production_substitute_identification.json").is_file()


def test_a_run_cut_off_after_any_step_ends_in_the_same_scores(finished: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "eight"
    for stage in ("measured", "predicted", "evidence"):
        assert main(["run", str(recipe), "--out", str(out), "--until", stage]) == 0
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    for file in ("scores.json", "gates.json", "policies.json"):
        assert (out / file).read_bytes() == (finished / file).read_bytes()


def test_a_dry_run_and_a_real_file_of_rows(
    finished: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(recipe), "--out", str(tmp_path / "dry"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "product_substitute_identification test: 5" in said
    calls = json.loads((finished / "calls.json").read_text(encoding="utf-8"))
    for step, key in (("captions", "captioner"), ("measured", "assessor"), ("predicted", "verifier")):
        count = calls[step][key]["asked"] - calls[step][key]["merged"]
        assert f"scripted:{'echo' if step == 'captions' else 'first'}: {count} requests" in said
    sets = ["source=ecommmmu", f"data={finished / 'data'}", "policies=[none, visuals:always]"]
    arguments = [word for item in sets for word in ("--set", item)]
    out = tmp_path / "file"
    assert main(["run", str(recipe), "--out", str(out), *arguments]) == 0
    assert rows(out, "utilities", Utility), "the truth beside the file is found"
    assert Counter(r.policy for r in rows(out, "predictions", Prediction)) == {"none": 10, "visuals:always": 10}


def fresh(run: Path) -> Path:
    """Write the dataset's rows beside it as somebody would send them: not answered, of no split."""
    given = json.loads((run / "data" / "EcomMMMU.json").read_text(encoding="utf-8"))
    new = [{k: v for k, v in row.items() if k not in ("output", "split", "is_vc")} for row in given[:4]]
    new[1] = {**new[1], "images": [product[:3] for product in new[1]["images"]]}
    new[2] = {**new[2], "images": []}
    path = run / "data" / "new.json"
    path.write_text(json.dumps([*new, new[0]]), encoding="utf-8")
    return path


def answers(run: Path, table: Path, policy: str) -> list[dict[str, str]]:
    out = table.with_name("answers.csv")
    assert main(["predict", str(run), str(table), "--policy", policy, "--out", str(out)]) == 0
    with out.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_new_rows_are_answered_with_the_picture_that_the_verifier_picks(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    table = fresh(run)
    said = answers(run, table, "visuals:predicted")
    assert [r["answer"] != "" for r in said] == [True, True, False, True, True]
    assert [r["tuned_on"] for r in said] == ["zero-shot", "zero-shot", "", "zero-shot", "zero-shot"]
    assert said[2]["reason"] == "no pictures"
    (folder,) = (run / "predict").iterdir()
    judged = Counter(r.sample_id for r in rows(folder, "predicted", Utility))
    assert [judged[r["sample_id"]] for r in said if r["sample_id"]] == [8, 3, 8, 8]
    for row in (r for r in said if r["sample_id"]):
        numbers = {place.partition("[")[2] for place in row["shown"].split("; ")}
        assert len(numbers) == 1, "one candidate, the same of every product"
    assert {r["shown"] for r in answers(run, table, "visuals:predicted/threshold")} == {""}, "the run's: never look"
    assert "product" in answers(run, table, "captions:always")[0]["shown"]
    assert main(["predict", str(run), str(table), "--policy", "visuals:random@predicted"]) == 1


def test_a_gate_without_weights_is_not_taken_home(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", str(finished), str(tmp_path / "gate")]) == 1
    assert "no weights to take home" in capsys.readouterr().err
    assert not (tmp_path / "gate").exists()
    assert main(["gate", str(tmp_path), str(tmp_path / "gate")]) == 1
    assert "not a run folder" in capsys.readouterr().err
    assert main(["gate", str(finished), str(tmp_path / "gate"), "--price", "-1"]) == 2


TUNED = """
name: taught
benchmark: ecommmmu
tasks: [answerability_prediction]
samples_train: 12
samples_val: 6
samples_test: 3
test_splits: [test]
prompts: tiny
reader: hf:{model}
policies: [none, visuals:predicted/highest, visuals:predicted/threshold, visuals:random@predicted/highest]
tune_on: [none, visuals:predicted/highest, visuals:random@predicted/highest]
epochs: 1
batch: 4
max_tokens: 512
resamples: 20
"""


@pytest.mark.slow
def test_a_verifier_is_taught_and_readers_never_meet_its_samples(tmp_path: Path) -> None:
    model = llava(tmp_path / "model")
    recipe = tmp_path / "taught.yaml"
    recipe.write_text(TUNED.format(model=model), encoding="utf-8")
    out = tmp_path / "taught"
    assert main(["run", str(recipe), "--out", str(out)]) == 0
    card = json.loads((out / "adapters" / "verifier" / "card.json").read_text(encoding="utf-8"))
    counts = card["recipe"]["balance"]["train"]
    assert card["plan"]["train"]["n"] == sum(counts["after"].values()) > 0
    assert len({n for n in counts["after"].values() if n}) == 1
    samples = {s.id: s for s in rows(out, "samples", Sample)}
    measured = {r.sample_id for r in rows(out, "measured", Utility)}
    predicted = {r.sample_id for r in rows(out, "predicted", Utility)}
    assert (
        sum(samples[i].split == "train" for i in measured) == sum(samples[i].split == "train" for i in predicted) == 6
    )
    assert not {i for i in measured & predicted if samples[i].split == "train"}
    gates = json.loads((out / "gates.json").read_text(encoding="utf-8"))
    assert gates["verifier_samples"]["measured"] == {"splits": ["val"], "half": "readers", "samples": 3}
    half = {r.sample_id for r in rows(out, "predicted", Utility) if samples[r.sample_id].split == "val"}
    assert gates["verifier"]["measured"]["all"]["n"] == 8 * len(half) == 24, "none that chose the verifier's checkpoint"
    assert "the readers&#x27; half of the validation samples, 3 of them" in page_text(out)
    reader = json.loads((out / "adapters" / "visuals-predicted-highest" / "card.json").read_text(encoding="utf-8"))
    assert reader["plan"]["train"]["n"] == 6
    told = list(read_exchanges(out / "sumei" / "data" / "downstream" / "train.json", out / "data"))
    assert len(told) == 6
    assert {x.answer for x in told if isinstance(x, Exchange)} <= {"yes", "no"}
    lessons = list(read_exchanges(out / "sumei" / "data" / "verification" / "train.json", out / "data"))
    assert len(lessons) == card["plan"]["train"]["n"]
    assert all(
        isinstance(x, Exchange) and x.answer in JUDGEMENTS and len(x.conversation[0].media) == 1 for x in lessons
    )
    assert Counter(r.tuned_on for r in rows(out, "predictions", Prediction)) == {
        "none": 12,
        "visuals:predicted/highest": 12,
        "visuals:random@predicted/highest": 12,
    }
    shown = Counter(
        (r.policy, samples[r.sample_id].split) for r in rows(out, "evidence", Evidence) if r.kind == "image"
    )
    for split, n in (("train", 6), ("val", 3)):
        assert shown["visuals:random@predicted/highest", split] == shown["visuals:predicted/highest", split] == n
    said = answers(out, fresh(out), "visuals:predicted/highest")
    assert all(r["shown"].startswith("product[") for r in said if r["sample_id"])
    (folder,) = (out / "predict").iterdir()
    (taught,) = {r.model for r in rows(out, "predicted", Utility)}
    assert {r.model for r in rows(folder, "predicted", Utility)} == {taught}, "the verifier that the run has taught"
    assert {r.model for r in rows(out, "measured", Utility)} != {taught}
