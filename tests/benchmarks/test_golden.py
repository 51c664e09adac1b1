"""The published programs, reproduced: every golden parse and metric, through the functions that `score` uses."""

import json
from collections import Counter
from pathlib import Path

import pytest

from lookwise.benchmarks import ecommmmu, mmla
from lookwise.benchmarks.answers import published_caslie, published_ecommmmu, published_mmie, published_mmla
from lookwise.benchmarks.scoring import score_file
from lookwise.metrics import published

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "published_behaviour.json"
pytestmark = pytest.mark.skipif(not GOLDEN.exists(), reason="golden cases are not here")
CASES = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {"parse": [], "metrics": []}
KINDS = {"bicls": "binary", "mcls": "multiclass", "rec1": "recall"}
TASK_OF = {"bicls": "answerability_prediction", "mcls": "sentiment_analysis", "rec1": "sequential_recommendation"}
OUR_NAME = {
    "precision_yes": "precision",
    "recall_yes": "recall",
    "f1_yes": "f1",
    "ACC": "accuracy",
    "F1": "macro_f1",
    "Precision": "macro_precision",
    "Recall": "macro_recall",
    "WF1": "weighted_f1",
    "WP": "weighted_precision",
}


def parse(case):
    text = case["text"]
    match case["system"]:
        case "caslie":
            return published_caslie(text, case["labels"])
        case "ecommmmu":
            return published_ecommmmu(text, ecommmmu.TASKS[case["task"]].answers)
        case "mmla":
            return published_mmla(text, mmla.DATASETS[case["task"]].labels)
        case "mmie":
            return published_mmie(text)


@pytest.mark.parametrize("system", ["caslie", "ecommmmu", "mmla", "mmie"])
def test_every_golden_parse(system):
    cases = [case for case in CASES["parse"] if case["system"] == system]
    assert len(cases) > 100
    wrong = [(case["text"], case["expected"], parse(case)) for case in cases if parse(case) != case["expected"]]
    assert wrong == []


def test_label_sets_are_those_of_the_programs():
    sets = {case["task"]: tuple(case["labels"]) for case in CASES["parse"] if case["system"] == "mmla"}
    assert sets == {name: data.labels for name, data in mmla.DATASETS.items()}


def computed(case):
    if case["system"] == "mmla":
        return published.mmla(case["gold"], case["parsed"])
    kind = KINDS[case["kind"]]
    if case["system"] == "caslie":
        read = [published_caslie(reply, set(case["gold"])) for reply in case["reply"]]
        values, failed = published.caslie(case["gold"], read, kind)
    else:
        read = [answer or None for answer in case["parsed"]]
        values, failed = published.ecommmmu(case["gold"], read, kind)
    return values | {"failed": failed}


@pytest.mark.parametrize("case", CASES["metrics"], ids=lambda c: f"{c['system']}-{c.get('kind')}-{len(c['gold'])}")
def test_every_golden_metric(case):
    values = computed(case)
    scale, places = (100, 2) if case["system"] == "mmla" else (1, case.get("decimals") or 6)
    for name, expected in case["expected"].items():
        value = values[OUR_NAME.get(name, name)]
        if expected is None:
            assert value != value, name
        else:
            assert round(value * scale, places) == pytest.approx(expected, abs=1.01 * 10**-places / 2), name


def write(path, value):
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


@pytest.mark.parametrize("case", [c for c in CASES["metrics"] if c["system"] == "caslie"], ids=lambda c: c["kind"])
def test_golden_metrics_through_score_file(case, tmp_path):
    replies, gold = write(tmp_path / "replies.json", case["reply"]), write(tmp_path / "gold.json", case["gold"])
    report = score_file(replies, "mmecinstruct", task=TASK_OF[case["kind"]], gold=gold, rule="published")
    assert report.failed == case["expected"]["failed"]
    for name, expected in case["expected"].items():
        if name != "failed":
            assert report.metrics[OUR_NAME.get(name, name)] == pytest.approx(expected, abs=1e-6)


def test_golden_mmie_scores_through_score_file(tmp_path):
    cases = [case for case in CASES["parse"] if case["system"] == "mmie"]
    file = write(tmp_path / "eval.json", [{"id": f"SA-{i}", "gpt_feedback": c["text"]} for i, c in enumerate(cases)])
    report = score_file(file, "mmie", rule="published")
    assert list(report.answers) == [case["expected"] for case in cases]
    kept = [case["expected"] for case in cases if case["expected"] is not None]
    assert report.metrics["average"] == report.metrics["sa"] == pytest.approx(sum(kept) / len(kept))
    assert Counter(report.answers)[None] == report.failed
