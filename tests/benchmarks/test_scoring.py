"""Predictions of other programs: formats, rules, the JSON shape, and faults told by name."""

import csv
import json

import pytest

from lookwise.benchmarks.scoring import score_file, score_folder, write_csv
from lookwise.errors import DataError, UsageError


def put(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


@pytest.fixture
def sentiment(tmp_path):
    replies = put(tmp_path / "sentiment_analysis.json", ["A: very positive", "The answer is B", "not A but C", "d"])
    return replies, put(tmp_path / "gold" / "sentiment_analysis.json", ["A", "B: positive", "C", "D"])


def test_the_robust_rule_reads_what_is_stated(sentiment):
    replies, gold = sentiment
    report = score_file(replies, "mmecinstruct", gold=gold)
    assert report.as_json() == {
        "benchmark": "mmecinstruct",
        "task": "sentiment_analysis",
        "rule": "robust",
        "n": 4,
        "failed": 1,
        "answers": ["A", "B", None, "D"],
        "metrics": {"macro_f1": 1.0, "accuracy": 1.0, "macro_precision": 1.0, "macro_recall": 1.0},
    }


def test_the_published_rule_keeps_the_published_traps(sentiment):
    replies, gold = sentiment
    report = score_file(replies, "mmecinstruct", gold=gold, rule="published")
    # Gold as full option text matches nothing there, and a lower-case letter is none.
    assert report.answers == ("A", None, None, None)
    assert (report.failed, report.metrics["accuracy"]) == (3, 1.0)


def test_nothing_read_is_null(tmp_path):
    replies, gold = put(tmp_path / "ap.json", ["?"]), put(tmp_path / "g.json", ["yes"])
    for rule in ("published", "robust"):
        metrics = score_file(replies, "mmecinstruct", gold=gold, rule=rule).as_json()["metrics"]
        assert set(metrics) == {"accuracy", "precision", "recall", "f1"}
        assert set(metrics.values()) == {None}


DATASET = [
    {"task": "sequential_recommendation", "split": "test", "options": '["A: red mug", "B: blue mug"]', "output": "B"},
    {"task": "sequential_recommendation", "split": "test_ood", "options": '["A: pan", "B: pot"]', "output": "A"},
    {"task": "sequential_recommendation", "split": "train", "options": "[]", "output": "A"},
    {"task": "answerability_prediction", "split": "test", "options": "", "output": "yes"},
]


def test_gold_from_the_dataset_file_by_task_and_split(tmp_path):
    data = put(tmp_path / "dataset.json", DATASET)
    file = put(tmp_path / "out.json", ["blue mug"])
    assert score_file(file, "mmecinstruct", task="sr", gold=data).answers == ("B",)
    assert score_file(file, "mmecinstruct", task="sr", gold=data, split="ood").answers == (None,)
    with pytest.raises(DataError, match="test, test_ood, train"):
        score_file(file, "mmecinstruct", task="sr", gold=data, split="dev")
    with pytest.raises(DataError, match="no rows of that task"):
        score_file(file, "mmecinstruct", task="cc", gold=data)


def test_category_words_are_read_when_gold_is_words(tmp_path):
    gold = put(tmp_path / "g.json", ["Power Drills", "Hammers"])
    report = score_file(put(tmp_path / "p.json", ["power drills.", "drills"]), "mmecinstruct", task="cc", gold=gold)
    assert report.answers == ("Power Drills", None)


def test_ecommmmu_counts_failures_as_wrong_and_knows_both_spellings(tmp_path):
    file = put(tmp_path / "r.json", ["user\nq assistant\nYes, it can", "assistant No", "assistant maybe", "no"])
    gold = put(tmp_path / "g.json", ["yes", "no", "no", "yes"])
    for name in ("click-through_prediction", "click-through_predction", "ecommmmu/click_through_prediction"):
        report = score_file(file, "ecommmmu", task=name, gold=gold)
        assert report.task == "click-through_predction"
        assert report.answers == ("yes", "no", None, "no")
        assert report.metrics["accuracy"] == 0.5
        assert report.metrics["recall"] == 0.5
    assert score_file(file, "ecommmmu", task=name, gold=gold, rule="published").answers == ("Yes", "No", None, "no")


MMLA = "Video,Task,Pred,Label\na.mp4,MELD,emotion: joy,emotion: joy\nb.mp4,MELD,joy or anger,anger\nc.mp4,MELD,,fear\n"


def test_mmla_keeps_its_words_under_the_published_rule(tmp_path):
    file = put(tmp_path / "MELD_emotion_results.csv", MMLA)
    report = score_file(file, "mmla", rule="published")
    assert (report.task, report.answers, report.failed) == ("MELD", ("joy", "multi", "unknown"), 2)
    assert report.metrics["accuracy"] == pytest.approx(1 / 3)
    assert report.metrics["macro_f1"] == pytest.approx(1 / 5)
    robust = score_file(file, "mmla", task="meld")
    assert robust.answers == ("joy", None, None)
    assert robust.metrics["macro_f1"] == pytest.approx(1 / 3)
    assert set(robust.metrics) == set(report.metrics)


def test_mmla_wants_one_data_set(tmp_path):
    file = put(tmp_path / "all.csv", MMLA + "d.mp4,MOSI,positive,positive\n")
    with pytest.raises(DataError, match="MELD, MOSI"):
        score_file(file, "mmla")
    assert score_file(file, "mmla", task="MOSI").n == 1
    with pytest.raises(UsageError, match="'MELD'"):
        score_file(file, "mmla", task="MELLD")
    with pytest.raises(DataError, match="no column 'Pred'"):
        score_file(put(tmp_path / "x.csv", "Video,Task,Label\na,MELD,joy\n"), "mmla")
    with pytest.raises(DataError, match="gold row 0, 'glee'"):
        score_file(put(tmp_path / "y.csv", "Video,Task,Pred,Label\na,MELD,joy,glee\n"), "mmla")


def test_mmie_means_by_category(tmp_path):
    said = [("SA-1", "### Score\n4"), ("PBL-2", "### Score\n5.5"), ("MSR-3", "### Score\n**2**"), ("x", None)]
    file = put(tmp_path / "eval_result.json", [{"id": i, "gpt_feedback": text} for i, text in said])
    report = score_file(file, "mmie", rule="published")
    assert report.answers == (4, 6, 2, None)
    assert report.metrics == {"average": 4.0, "sa": 4.0, "pbl": 6.0, "msr": 2.0}
    assert score_file(file, "mmie").answers == (4, None, 2, None)
    assert score_file(file, "mmie").as_json()["metrics"]["pbl"] is None


def test_a_folder_is_scored_whole(sentiment, tmp_path):
    put(tmp_path / "prp.json", ["C"])
    put(tmp_path / "gold" / "prp.json", ["C: The product 1 is similar with the product 2."])
    reports = score_folder(tmp_path, "mmecinstruct", gold=tmp_path / "gold")
    assert [r.task for r in reports] == ["product_relation_prediction", "sentiment_analysis"]
    write_csv(reports, tmp_path / "out" / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["file"] for row in rows] == ["prp.json", "sentiment_analysis.json"]
    assert rows[1]["failed"] == "1"
    assert float(rows[0]["macro_f1"]) == 1.0
    with pytest.raises(DataError, match=r"no \.json files"):
        score_folder(tmp_path / "out", "mmecinstruct", gold=tmp_path / "gold")


@pytest.mark.parametrize(
    ("replies", "gold", "message"),
    [
        (["A"], ["A", "B"], "1 replies, but .* 2 gold rows"),
        ({"A": 1}, ["A"], "a dict; expected a JSON list"),
        ("[1,", ["A"], "not JSON"),
        ([["A"]], ["A"], "entry 0 is a list"),
        (["A"], ["purple"], "gold row 0, 'purple', is none"),
        (["A"], [{"answer": "A"}], "entry 0 has no output"),
    ],
)
def test_files_that_cannot_be_scored_say_why(tmp_path, replies, gold, message):
    with pytest.raises(DataError, match=message):
        score_file(put(tmp_path / "r.json", replies), "mmecinstruct", task="sa", gold=put(tmp_path / "g.json", gold))


def test_wrong_usage_names_the_cure(sentiment, tmp_path):
    replies, gold = sentiment
    with pytest.raises(UsageError, match="'mmecinstruct'"):
        score_file(replies, "mmecinstrukt", gold=gold)
    with pytest.raises(UsageError, match="--gold"):
        score_file(replies, "ecommmmu")
    with pytest.raises(UsageError, match="--gold does not go with mmla"):
        score_file(replies, "mmla", gold=gold)
    with pytest.raises(UsageError, match="'sentiment_analysis'"):
        score_file(replies, "mmecinstruct", task="sentimental_analysis", gold=gold)
    with pytest.raises(UsageError, match="--task"):
        score_file(put(tmp_path / "run7.json", ["A"]), "mmecinstruct", gold=gold)
    with pytest.raises(DataError, match="cannot be read"):
        score_file(tmp_path / "none.json", "mmie")
