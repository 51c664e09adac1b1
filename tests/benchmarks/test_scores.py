"""Score records: groups, failures, the baseline, marks, published cells, pairing."""

import json
import math

import pytest

from lookwise.benchmarks.catalog import find_task
from lookwise.benchmarks.scores import compare_predictions, read_prediction, record, score_predictions
from lookwise.errors import DataError
from lookwise.rows import Prediction
from lookwise.sample import Sample

TASK = find_task("psi")
FIELDS = (("query", "bottle"), ("product title", "flask"))


def sample(i, target, split="test", subset=None):
    return Sample(f"s{i}", "mmecinstruct", TASK.name, split, FIELDS, (), (), target, subset)


def said(i, reply, policy="none", reader="r", **more):
    answer = TASK.parse["robust"](reply, sample(i, None)) if reply is not None else None
    return Prediction(f"s{i}", TASK.name, "test", policy, "", reply, answer, (), "f00d", reader=reader, **more)


SAMPLES = {s.id: s for s in [*(sample(i, "yes" if i % 4 == 0 else "no") for i in range(40)), sample(99, "no", "train")]}
RIGHT = [said(i, "yes" if i % 4 == 0 else "no") for i in range(40)]


def of(scores, metric, policy="none", **more):
    (found,) = [
        s
        for s in scores
        if (s.metric, s.policy) == (metric, policy) and all(getattr(s, k) == v for k, v in more.items())
    ]
    return found


def test_every_metric_of_every_group_and_the_baseline_first():
    scores = score_predictions(TASK, SAMPLES, [*RIGHT, *(said(i, "no", "captions:always") for i in range(40))], seed=1)
    assert [s.policy for s in scores] == ["majority"] * 4 + ["none"] * 4 + ["captions:always"] * 4
    assert [s.metric for s in scores[:4]] == ["f1", "accuracy", "precision", "recall"]
    assert [s.primary for s in scores[:4]] == [True, False, False, False]
    assert of(scores, "f1").value == 1.0
    assert of(scores, "f1", "captions:always").value == 0.0
    assert of(scores, "accuracy", "captions:always").value == 0.75
    always = of(scores, "accuracy", "captions:always")
    assert always.low < 0.75 < always.high
    assert always.one_sided
    assert (always.commonest, always.commonest_share) == ("no", 1.0)
    assert not of(scores, "f1").one_sided


def test_the_baseline_gives_the_commonest_answer_of_the_training_data():
    scores = score_predictions(TASK, SAMPLES, RIGHT)
    baseline = of(scores, "accuracy", "majority")
    assert (baseline.value, baseline.n, baseline.note) == (0.75, 40, "commonest answer of train")
    alone = {k: s for k, s in SAMPLES.items() if s.split != "train"}
    assert of(score_predictions(TASK, alone, RIGHT), "accuracy", "majority").note == "commonest answer of test itself"


def test_failures_are_counted_and_left_out():
    replies = [said(0, "yes"), said(1, "perhaps"), said(2, None, reason="out of memory"), said(3, "yes")]
    score = of(score_predictions(TASK, SAMPLES, replies), "accuracy")
    assert (score.n, score.failed, score.over, score.value) == (4, 2, "parsed", 0.5)


def test_nothing_read_is_null_and_not_nought():
    score = of(score_predictions(TASK, SAMPLES, [said(0, "perhaps")]), "f1")
    assert math.isnan(score.value)
    values = record(score)
    assert values["value"] is values["low"] is values["commonest_share"] is None
    assert json.loads(json.dumps(values, allow_nan=False))["failed"] == 1


def test_samples_without_target_are_not_scored():
    scores = score_predictions(TASK, {"s1": sample(1, None)}, [said(1, "yes")])
    assert scores == []


def test_subsets_are_scored_on_their_own_as_well():
    samples = {s.id: s for s in (sample(i, "yes", subset="salient" if i < 5 else None) for i in range(10))}
    scores = score_predictions(TASK, samples, [said(i, "yes" if i < 5 else "no") for i in range(10)])
    assert of(scores, "accuracy", subset=None).value == 0.5
    assert of(scores, "accuracy", subset="salient").value == 1.0
    assert of(scores, "accuracy", "majority", subset="salient").n == 5


def test_published_cells_only_where_asked():
    assert of(score_predictions(TASK, SAMPLES, RIGHT), "f1").published == ()
    cells = of(score_predictions(TASK, SAMPLES, RIGHT, with_published=True), "f1").published
    assert {c.system: c.value for c in cells}["CASLIE-M"] == 0.398
    (one,) = [
        c
        for c in record(score_predictions(TASK, SAMPLES, RIGHT, with_published=True)[4])["published"]
        if c["system"][-1] == "L" and "CASLIE" in c["system"]
    ]
    assert one["note"]
    assert set(one) == {"system", "value", "source", "note"}


def test_the_rule_reads_free_text_again_but_not_a_ranking():
    shouted = said(0, "YES!")
    assert read_prediction(TASK, SAMPLES["s0"], shouted, "robust") == "yes"
    assert read_prediction(TASK, SAMPLES["s0"], shouted, "published") is None
    ranked = Prediction("s0", TASK.name, "test", "none", "", "yes", "yes", (-0.1, -2.0), "f")
    assert read_prediction(TASK, SAMPLES["s0"], ranked, "published") == "yes"
    bare = Prediction("s0", TASK.name, "test", "ceiling/text", "", None, "no", (), "")
    assert read_prediction(TASK, SAMPLES["s0"], bare, "robust") == "no"
    closed = Prediction("s0", TASK.name, "test", "none", "", None, "C", (), "")
    assert read_prediction(TASK, SAMPLES["s0"], closed, "robust") is None


def test_order_does_not_change_a_byte():
    one = [record(s) for s in score_predictions(TASK, SAMPLES, RIGHT, seed=5)]
    other = [record(s) for s in score_predictions(TASK, SAMPLES, RIGHT[::-1], seed=5)]
    assert one == other


def test_an_unknown_sample_is_named():
    with pytest.raises(DataError, match="'s500'"):
        score_predictions(TASK, SAMPLES, [said(500, "yes")])


def test_pairs_are_the_shared_samples():
    tasks = {TASK.name: TASK}
    worse = [said(i, "no") for i in range(30)]
    difference = compare_predictions(tasks, SAMPLES, RIGHT, worse)
    assert (difference.n, difference.only_a, difference.only_b) == (30, 8, 0)
    assert difference.value == 1.0
    assert difference.p == pytest.approx(2 * 0.5**8)


def test_several_tasks_are_pooled_by_their_right_answers():
    other = find_task("ap")
    samples = SAMPLES | {"q": Sample("q", "mmecinstruct", other.name, "test", (), (), (), "yes")}
    theirs = Prediction("q", other.name, "test", "none", "", None, "yes", (), "f")
    ours = Prediction("q", other.name, "test", "none", "", None, None, (), "f")
    tasks = {TASK.name: TASK, other.name: other}
    difference = compare_predictions(tasks, samples, [*RIGHT[:3], theirs], [*RIGHT[:3], ours])
    assert (difference.value, difference.n) == (0.25, 4)
