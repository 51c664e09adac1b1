"""The verifier's lessons: even classes by seed, the words it is asked with, and no row in both halves."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookwise.benchmarks.ecommmmu import ECOMMMMU, EXAMPLES
from lookwise.benchmarks.utility import JUDGEMENTS, LABELS
from lookwise.inference import Answered
from lookwise.message import Media
from lookwise.model import Reply
from lookwise.rows import Utility
from lookwise.stages.visual_utility import UtilityPrediction
from lookwise.training.utility import balanced, halves, reader_examples, verifier_examples

TASKS = {task.name: task for task in ECOMMMMU.tasks}
BASE = EXAMPLES["ecommmmu/product_relation_prediction"]
SAMPLES = [
    replace(sample, id=f"{sample.id}/{split}/{i}", split=split)
    for sample in EXAMPLES.values()
    for split, n in (("train", 7), ("val", 4))
    for i in range(n)
]


def row(i: int, label: str | None, sample_id: str = "", candidate: int = 0) -> Utility:
    return Utility(sample_id or f"s{i}", None, candidate, label, None, None, None, None, "r", "measured", "m")  # type: ignore[arg-type]


@given(st.integers(0, 99))
def test_no_row_is_in_both_halves_and_none_is_lost(seed: int) -> None:
    verifier, reader = halves(SAMPLES, seed)
    assert not {s.id for s in verifier} & {s.id for s in reader}
    assert {s.id for s in verifier} | {s.id for s in reader} == {s.id for s in SAMPLES}
    sizes = Counter((s.task, s.split) for s in verifier)
    assert set(sizes.values()) == {3, 2}
    assert halves(SAMPLES[::-1], seed)[0] == verifier[::-1], "which half must not hang on the order of the file"


def test_another_seed_is_another_half() -> None:
    assert halves(SAMPLES, 1)[0] != halves(SAMPLES, 2)[0]


@given(st.lists(st.sampled_from([*LABELS, None]), max_size=60), st.integers(0, 9))
def test_every_judgement_that_occurs_is_kept_equally_often(labels: list[str | None], seed: int) -> None:
    rows = [row(i, label) for i, label in enumerate(labels)]
    kept, report = balanced(rows, seed)
    counts = Counter(r.label for r in kept)
    assert len(set(counts.values())) <= 1
    assert set(counts) == {label for label in labels if label}
    assert [rows.index(r) for r in kept] == sorted(rows.index(r) for r in kept)
    assert balanced(rows, seed)[0] == kept
    assert report.record()["before"] == {label: labels.count(label) for label in LABELS}
    assert dict(counts) == {label: n for label, n in report.after.items() if n}
    assert report.unlabelled == labels.count(None)
    assert set(report.absent) == set(LABELS) - set(counts)


def test_which_rows_are_kept_is_drawn_not_the_first() -> None:
    rows = [row(i, "redundant") for i in range(50)] + [row(i, "helpful") for i in range(50, 55)]
    kept = [[r.sample_id for r in balanced(rows, seed)[0] if r.label == "redundant"] for seed in (1, 2)]
    assert kept[0] != kept[1]
    assert len(kept[0]) == 5
    assert {"s0", "s1", "s2", "s3", "s4"} not in map(set, kept)


def test_all_that_is_labelled_is_kept_where_no_even_share_is_asked_for() -> None:
    rows = [row(i, "redundant") for i in range(5)] + [row(5, "helpful"), row(6, None)]
    kept, report = balanced(rows, 1, even=False)
    assert kept == rows[:6]
    assert report.record()["after"] == report.record()["before"]


def test_a_lesson_asks_what_is_asked_later_and_answers_in_the_same_words() -> None:
    rows = [row(0, label, BASE.id, candidate) for candidate, label in enumerate(LABELS)]
    lessons = verifier_examples(TASKS, [BASE], [*rows, row(0, None, BASE.id, 5), row(0, "helpful", "elsewhere")])
    asks = UtilityPrediction(TASKS).ask(BASE, ())
    assert [lesson.conversation for lesson in lessons] == [ask.request.conversation for ask in asks[:4]]
    assert [lesson.answer for lesson in lessons] == list(JUDGEMENTS)
    assert {lesson.options for lesson in lessons} == {JUDGEMENTS}
    stage = UtilityPrediction(TASKS)
    for ask, lesson, label in zip(asks, lessons, LABELS, strict=False):
        scores = tuple(0.0 if line == lesson.answer else -9.0 for line in JUDGEMENTS)
        said = Answered(ask, Reply(lesson.answer, scores, (1,) * 4), "m")
        assert stage.read(BASE, [said])[0].label == label


def test_a_reader_learns_from_what_is_shown_and_never_without_a_target() -> None:
    blind = replace(BASE, id="blind", target=None)
    (plain, seen) = reader_examples(
        TASKS, [BASE, blind, replace(BASE, id="seen")], {}, {"seen": [Media("a.png"), Media("b.png")]}
    )
    assert plain.answer == seen.answer == BASE.target
    assert plain.conversation[0].media == ()
    assert [m.source for m in seen.conversation[0].media] == ["a.png", "b.png"]
    assert seen.options == ("A", "B", "C")


def test_nothing_labelled_is_nothing_to_teach() -> None:
    kept, report = balanced([row(0, None)], 0)
    assert kept == []
    assert report.absent == LABELS
    assert report.unlabelled == pytest.approx(1)
