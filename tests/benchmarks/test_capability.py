"""Capabilities: the mean of their tasks' primary metrics, only where every task of theirs has answers."""

from __future__ import annotations

import dataclasses
import math

import pytest

from lookwise.benchmarks.capability import ALL_TASKS, capability_scores
from lookwise.benchmarks.ecommmmu import CAPABILITIES, ECOMMMMU, VISION_SALIENT
from lookwise.benchmarks.scores import blank_score, score_predictions
from lookwise.rows import Prediction
from lookwise.sample import Sample


def wanted(*tasks):
    return {ALL_TASKS: tuple(task.short for task in tasks), **CAPABILITIES}


ANSWERABLE, QUESTION = (ECOMMMMU.task(name) for name in CAPABILITIES["shopping question perception"])
CLICK = ECOMMMMU.task("click_through_prediction")
BLANK = blank_score("ecommmmu", seed=3)


def sample(task, i, target, salient=False):
    return Sample(
        f"{task.short}/{i}", "ecommmmu", task.name, "test", (), (), (), target, VISION_SALIENT if salient else None
    )


def answer(one, said, policy="none"):
    return Prediction(one.id, one.task, "test", policy, "", None, said, (), f"w-{one.task}", "r", "per-task")


SAMPLES = {
    s.id: s
    for s in (
        *(sample(ANSWERABLE, i, "yes" if i % 2 else "no", salient=i < 10) for i in range(40)),
        *(sample(QUESTION, i, ("yes", "no", "cannot answer")[i % 3], salient=i < 9) for i in range(30)),
        *(sample(CLICK, i, "yes") for i in range(5)),
    )
}


def of(scores, name, policy="none", subset=None):
    (found,) = [s for s in scores if (s.capability, s.policy, s.subset) == (name, policy, subset)]
    return found


def test_a_capability_is_the_mean_of_its_tasks() -> None:
    said = [answer(s, "no" if s.id.endswith("7") else str(s.target)) for s in SAMPLES.values() if s.task != CLICK.name]
    tasks = (ANSWERABLE, QUESTION)
    scores = capability_scores(tasks, SAMPLES, said, wanted(*tasks), BLANK, resamples=200)
    mine = of(scores, "shopping question perception")
    parts = [
        next(s for s in score_predictions(t, SAMPLES, said) if s.primary and s.policy == "none" and not s.subset)
        for t in tasks
    ]
    assert mine.value == pytest.approx((parts[0].value + parts[1].value) / 2)
    assert mine.low < mine.value < mine.high
    assert mine.high - mine.low < max(p.high - p.low for p in parts)
    assert (mine.n, mine.failed, mine.task, mine.metric, mine.primary) == (70, 0, "", "mean", True)
    assert "f1 of answerability_prediction" in mine.note
    assert "macro_f1 of binary_question_answering" in mine.note
    assert dataclasses.replace(of(scores, ALL_TASKS), capability=mine.capability) == mine, "the same two tasks"
    assert of(scores, mine.capability, subset=VISION_SALIENT).n == 19
    assert of(scores, mine.capability, "majority").training == ""


def test_a_capability_without_one_of_its_tasks_is_not_scored() -> None:
    said = [answer(s, s.target) for s in SAMPLES.values()]
    scores = capability_scores((ANSWERABLE, CLICK), SAMPLES, said, wanted(ANSWERABLE, CLICK), BLANK, resamples=20)
    assert {s.capability for s in scores} == {ALL_TASKS}
    assert {s.subset for s in scores} == {None}, "no click is vision-salient, so no subset has all tasks"
    assert not capability_scores((CLICK,), SAMPLES, said, CAPABILITIES, BLANK)


def test_a_policy_that_answered_one_task_alone_has_no_mean() -> None:
    said = [answer(s, s.target) for s in SAMPLES.values() if s.task != CLICK.name]
    said += [answer(s, s.target, "visuals:always") for s in SAMPLES.values() if s.task == QUESTION.name]
    scores = capability_scores((ANSWERABLE, QUESTION), SAMPLES, said, wanted(ANSWERABLE, QUESTION), BLANK, resamples=20)
    assert {s.policy for s in scores} == {"majority", "none"}


def test_failures_count_and_what_cannot_be_scored_is_not_a_number() -> None:
    said = [answer(s, None) for s in SAMPLES.values()]
    mine = of(capability_scores((ANSWERABLE, QUESTION), SAMPLES, said, wanted(ANSWERABLE, QUESTION), BLANK), ALL_TASKS)
    assert mine.failed == mine.n == 70
    assert mine.value == 0 or math.isnan(mine.value)
