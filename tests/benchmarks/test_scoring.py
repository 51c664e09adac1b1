"""Predictions of other programs: formats, rules, the JSON shape, and faults told by name."""

import csv
import json
import tracemalloc
from dataclasses import replace

import pytest

from lookwise.benchmarks.scoring import score_file, score_folder, write_csv
from lookwise.cli import main
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
    with pytest.raises(DataError, match=r"1 of 1 gold rows .* gold row 0: 'glee' is none of MELD's answers"):
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
        (["A"], ["purple"], "gold row 0: 'purple' is none"),
        (["A"], [{"answer": "A"}], "no row with a gold output .*without task and split"),
        (["A"], [None], "no row with a gold output .*no output"),
        (["A"], {"task": "x", "split": "y", "output": "A"}, "no rows of that task; it has x"),
        (["A"], "[1 2", "1 replies, but .* has 2 gold rows"),
        (["A"], "", "starts with ''"),
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


ECOM = "multiclass_product_classification"


def ecom(split="test", task=ECOM, **more):
    return {"task": task, "split": split, "input": "{}", "images": [], "is_vc": False, **more}


GOLD = [
    ecom(output="A", is_vc=True),
    ecom("train", output="B"),
    ecom(),
    "no record",
    ecom(output="B", is_vc="true"),
    ecom(output=["B"]),
    ecom(output=None),
    ecom(output="C", is_vc="odd"),
    {"output": "D"},
    ecom(output="D"),
]
REPLIES = ["assistant\nA", "left out", "C", "left out", "left out", "C", "The answer is D"]


@pytest.mark.parametrize("lines", [False, True])
def test_rows_without_a_usable_output_are_left_out_by_place(tmp_path, lines):
    whole = "\n".join(map(json.dumps, GOLD)) if lines else json.dumps(GOLD)
    gold = put(tmp_path / "EcomMMMU.json", whole)
    report = score_file(put(tmp_path / f"{ECOM}.json", REPLIES), "ecommmmu", gold=gold)
    assert (report.n, report.answers) == (4, ("A", "C", "C", "D"))
    assert report.metrics["accuracy"] == 0.75
    assert report.as_json()["left_out"] == {
        "places": [1, 3, 4],
        "reasons": {"no output": 2, "output is a JSON list, expected a text": 1},
        "unplaced": {"a record without task and split": 1, "no record with task, split and output": 1},
    }
    with pytest.raises(DataError, match=r"4 replies, but .* 7 gold rows.*5 rows of the file have no usable gold"):
        score_file(put(tmp_path / "short.json", REPLIES[:4]), "ecommmmu", task=ECOM, gold=gold)


def test_gold_behind_damage_is_told_and_gold_before_it_scored(tmp_path):
    gold = put(tmp_path / "g.json", json.dumps([ecom(output="A"), ecom(output="B")])[:-1] + ', {"task": }]')
    report = score_file(put(tmp_path / "p.json", ["A", "A"]), "ecommmmu", task=ECOM, gold=gold)
    assert report.metrics["accuracy"] == 0.5
    ((reason, count),) = report.left_out.unplaced.items()
    assert "the rest of the file was not read" in reason
    assert count == 1
    lines = put(tmp_path / "o.jsonl", '"A"\nbroken\n"B"\n"\\ud800"\n"C"\n')
    report = score_file(put(tmp_path / "q.json", ["A", "?", "B", "C", "C"]), "ecommmmu", task=ECOM, gold=lines)
    assert (report.answers, report.left_out.places) == (("A", "B", "C"), (1, 3)), "a broken line has its place"
    assert all(reason.isprintable() for reason in report.left_out.reasons)


def test_a_few_answers_of_another_task_are_left_out_most_are_refused(tmp_path):
    file = put(tmp_path / "p.json", ["A", "B", "C"])
    report = score_file(file, "ecommmmu", task=ECOM, gold=put(tmp_path / "g.json", ["A", "E", "C"]))
    assert (report.n, report.left_out.places) == (2, (1,))
    assert report.left_out.reasons == {f"'E' is none of {ECOM}'s answers (A, B, C, D)": 1}
    with pytest.raises(DataError, match="2 of 3 gold rows are no answers of the task, first gold row 1: 'E'"):
        score_file(file, "ecommmmu", task=ECOM, gold=put(tmp_path / "h.json", ["A", "E", "F"]))


def test_gold_is_read_once_and_never_as_a_whole(tmp_path):
    rows = [ecom(output="A", images=[["https://pictures.example/" + "x" * 4000]])] * 2500
    gold, file = put(tmp_path / "EcomMMMU.json", rows), put(tmp_path / f"{ECOM}.json", ["A"] * 2500)
    assert gold.stat().st_size > 10_000_000
    tracemalloc.start()
    report = score_file(file, "ecommmmu", gold=gold)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.metrics["accuracy"] == 1.0
    assert peak < 6_000_000


def test_our_rule_and_the_vision_salient_rows_stand_beside_the_published_figures(tmp_path, capsys):
    gold = put(tmp_path / "EcomMMMU.json", GOLD)
    file = put(tmp_path / f"{ECOM}.json", REPLIES)
    ours = score_file(file, "ecommmmu", gold=gold)
    report = score_file(file, "ecommmmu", gold=gold, rule="published")
    assert report.robust == replace(ours, file="")
    assert ours.robust is None
    assert (ours.subsets["vision-salient"].n, ours.subsets["vision-salient"].answers) == (2, ("A", "C"))
    told = report.as_json()
    assert list(told)[:7] == ["benchmark", "task", "rule", "n", "failed", "answers", "metrics"]
    assert told["robust"]["metrics"] == ours.as_json()["metrics"]
    assert told["robust"]["subsets"]["vision-salient"]["n"] == told["subsets"]["vision-salient"]["n"] == 2
    assert told["metrics"] == {n: pytest.approx(v) for n, v in report.metrics.items()}
    assert told["robust"]["metrics"] != told["metrics"]
    assert main(["score", str(file), "--benchmark", "ecommmmu", "--gold", str(gold), "--rule", "published"]) == 0
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["published", "our", "rule"] in said
    assert ["n", "4", "4"] in said
    assert ["n", "2", "2"] in said
    assert ["accuracy", f"{report.metrics['accuracy']:.4f}", f"{ours.metrics['accuracy']:.4f}"] in said
    assert ["2", "gold", "rows", "left", "out:", "no", "output"] in said


def test_where_our_rule_cannot_read_the_gold_the_published_figures_still_stand(tmp_path, capsys):
    file = put(tmp_path / "sentiment_analysis.json", ["A"])
    gold = put(tmp_path / "g.json", ["purple"])
    told = score_file(file, "mmecinstruct", gold=gold, rule="published").as_json()
    assert told["failed"] == 1
    assert "'purple' is none" in told["robust"]["reason"]
    assert main(["score", str(file), "--benchmark", "mmecinstruct", "--gold", str(gold), "--rule", "published"]) == 0
    assert "our rule could not be applied" in capsys.readouterr().out
