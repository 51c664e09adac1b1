"""What policies.json counts as calls is what the stages ask, whether answers are ranked, written or both."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from lookwise.benchmarks.ecommmmu import ECOMMMMU, EXAMPLES
from lookwise.metrics.ranking import Ranking
from lookwise.model import Generate
from lookwise.pipeline.policy_steps import calls_a_row
from lookwise.recipe import Recipe
from lookwise.stages.answer import AnswerStage, Reader
from lookwise.stages.visual_utility import UtilityPrediction

TASKS = {task.name: task for task in ECOMMMMU.tasks}
SAMPLE = EXAMPLES["ecommmmu/answerability_prediction"]
Way = Literal["rank", "generate"]


@pytest.mark.parametrize("ranking", ["raw", "normalised", "calibrated"])
@pytest.mark.parametrize(("answering", "also_rank"), [("rank", False), ("generate", False), ("generate", True)])
def test_an_answer_counts_the_calls_that_its_stage_asks(answering: Way, also_rank: bool, ranking: Ranking) -> None:
    recipe = replace(Recipe("x"), answering=answering, also_rank=also_rank, ranking=ranking)
    want = None if answering == "rank" else Generate()
    reader = Reader("reader", "tiny:reader-s", "zero-shot", "")
    stage = AnswerStage(TASKS, [reader], {"none": {}}, want=want, ranking=ranking, also_rank=also_rank)
    assert calls_a_row(recipe)[1] == len(stage.ask(SAMPLE, ()))


@pytest.mark.parametrize("assessing", ["rank", "generate"])
def test_a_judgement_counts_the_calls_that_its_stage_asks(assessing: Way) -> None:
    stage = UtilityPrediction(TASKS, want=None if assessing == "rank" else Generate())
    each = len(stage.ask(SAMPLE, ())) / len(SAMPLE.candidates)
    assert calls_a_row(replace(Recipe("x"), assessing=assessing))[0] == each
