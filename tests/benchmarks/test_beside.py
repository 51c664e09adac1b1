"""Two columns of one reader, counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lookwise.benchmarks.beside import beside, beside_record
from lookwise.benchmarks.mmecinstruct import EXAMPLES, MMECINSTRUCT
from lookwise.report.beside import beside_lines
from lookwise.rows import Prediction

TASK = MMECINSTRUCT.task("multiclass_product_classification")
EXAMPLE = EXAMPLES[TASK.name]
# gold, written reply, ranked
CASES = [
    ("A", "A: The product", "A"),
    ("A", "A", "B"),
    ("B", "C", "B"),
    ("B", "no idea", "B"),
    ("C", "D", "A"),
    ("D", "what?", None),
]
SAMPLES = {f"s{i}": replace(EXAMPLE, id=f"s{i}", target=gold) for i, (gold, _, _) in enumerate(CASES)}


def prediction(name: str, reply: str, ranked: str | None) -> Prediction:
    return Prediction(
        sample_id=name,
        task=TASK.name,
        split="test",
        policy="none",
        tuned_on="",
        reply=reply,
        answer=None,
        option_scores=(-1.0, -2.0, -3.0, -4.0),
        model="f",
        reader="r",
        training="zero-shot",
        ranked=ranked,
        ranked_reason=None if ranked else "no scores",
    )


ROWS = [prediction(f"s{i}", reply, ranked) for i, (_, reply, ranked) in enumerate(CASES)]


def test_both_columns_are_scored_on_the_same_samples_and_set_against_each_other() -> None:
    (found,) = beside(TASK, SAMPLES, ROWS, resamples=200)
    assert (found.n, found.same, found.both_right, found.only_written, found.only_ranked) == (6, 2, 1, 1, 2)
    assert found.metric == "accuracy"
    assert found.written.value == pytest.approx(2 / 4), "two replies could not be read, as published they do not count"
    assert found.ranked.value == pytest.approx(3 / 5)
    assert (found.written.failed, found.ranked.failed) == (2, 1)
    assert found.difference == pytest.approx(found.ranked.value - found.written.value)
    assert found.low <= found.difference <= found.high
    differing = {example.sample_id: (example.target, example.written, example.ranked) for example in found.examples}
    assert differing == {
        "s1": ("A", "A", "B"),
        "s2": ("B", "C", "B"),
        "s3": ("B", None, "B"),
        "s4": ("C", "D", "A"),
    }
    told = json.loads(json.dumps(beside_record(found), allow_nan=False))
    assert told["examples"][0].keys() == {"sample_id", "target", "reply", "written", "ranked"}


def test_rows_of_one_column_alone_are_left_out() -> None:
    alone = [replace(row, ranked=None, ranked_reason=None) for row in ROWS]
    assert beside(TASK, SAMPLES, alone) == []
    assert beside(TASK, {k: replace(s, target=None) for k, s in SAMPLES.items()}, ROWS) == []


def test_a_subset_is_scored_apart_after_the_whole() -> None:
    part = {name: replace(s, subset="salient" if name in ("s0", "s1", "s2") else None) for name, s in SAMPLES.items()}
    whole, salient = beside(TASK, part, [*ROWS[3:], *ROWS[:3]], resamples=50)
    assert (whole.subset, whole.n) == (None, 6)
    assert (salient.subset, salient.n, salient.same, salient.only_written, salient.only_ranked) == (
        "salient",
        3,
        1,
        1,
        1,
    )
    assert {example.sample_id for example in salient.examples} == {"s1", "s2"}
    written, drawn = beside_lines([beside_record(salient), beside_record(whole)])
    assert [line.cells[0].partition(",")[0] for line in (written, drawn)] == [TASK.short, f"{TASK.short} [salient]"]
    assert (len(written.examples), drawn.examples) == (4, ())
