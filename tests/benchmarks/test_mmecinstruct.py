"""Every task: its example is right, its prompts fill, its gold scores 1.0, its declaration is that of the paper."""

import dataclasses
import math

import pytest

from lookwise.benchmarks.catalog import BENCHMARKS, find_benchmark, find_task
from lookwise.benchmarks.mmecinstruct import ACRONYMS, EXAMPLES, MMECINSTRUCT
from lookwise.benchmarks.rendering import answer_conversation, caption_conversation, hole_names, quality_conversation
from lookwise.benchmarks.wording import USES
from lookwise.errors import UsageError

TASKS = MMECINSTRUCT.tasks
PRIMARY = {
    "answerability_prediction": "f1",
    "category_classification": "recall_at_1",
    "product_relation_prediction": "macro_f1",
    "product_substitute_identification": "f1",
    "multiclass_product_classification": "accuracy",
    "sentiment_analysis": "macro_f1",
    "sequential_recommendation": "recall_at_1",
}
by_task = pytest.mark.parametrize("task", TASKS, ids=lambda t: t.short)


def test_seven_tasks_five_of_them_out_of_domain():
    assert [t.short for t in TASKS] == list(PRIMARY)
    assert sum("ood" in t.splits for t in TASKS) == 5


@by_task
def test_the_primary_metric_is_the_papers_and_failures_are_left_out(task):
    assert task.metrics[0].name == PRIMARY[task.short]
    assert {m.over for m in task.metrics} == {"parsed"}


@by_task
def test_the_gold_answer_scores_one(task):
    sample = EXAMPLES[task.name]
    replies = [sample.target, *(o for o in sample.options if o.startswith(f"{sample.target}:"))]
    for reply in replies:
        for rule in ("robust", "published"):
            answer = task.parse[rule](reply, sample)
            assert answer == sample.target
            assert all(m.score([sample.target], [answer]) == 1.0 for m in task.metrics)


@by_task
def test_every_open_answer_is_read_and_a_wrong_one_scores_nothing(task):
    sample = EXAMPLES[task.name]
    for answer in task.answers(sample):
        assert task.parse["robust"](f"The answer is {answer}.", sample) == answer
    wrong = next(a for a in task.answers(sample) if a != sample.target)
    assert task.metrics[0].score([sample.target], [wrong]) == 0.0
    assert task.parse["robust"]("I do not know", sample) is None
    assert math.isnan(task.metrics[0].score([sample.target], [None]))


@by_task
def test_the_example_has_the_published_fields(task):
    sample = EXAMPLES[task.name]
    assert tuple(name for name, _ in sample.fields) == task.fields
    assert sample.target in task.answers(sample)
    assert not task.option_texts or sample.options == task.option_texts


@by_task
def test_prompts_ask_with_every_field_the_options_and_the_captions(task):
    sample = EXAMPLES[task.name]
    for use in USES:
        task.prompts[use].check(hole_names(task, use))
    captions = {v.slot: f"seen in {v.slot}" for v in sample.visuals}
    text = answer_conversation(task, sample, captions)[0].text
    for name, value in sample.fields:
        assert all(part in text for part in ((value,) if isinstance(value, str) else value)), name
    assert all(option in text for option in sample.options)
    assert all(caption in text for caption in captions.values())
    assert text.startswith("### Instruction:\n")
    assert text.endswith("### Response:")
    assert text.index("### Input:") < text.index("### Response:")


@by_task
def test_a_caption_that_is_not_shown_leaves_nothing_behind(task):
    text = answer_conversation(task, EXAMPLES[task.name], {})[0].text
    assert "extracted from image" not in text
    assert "null" not in text
    assert "None" not in text


@by_task
def test_captions_are_asked_in_context_and_judged_on_it(task):
    sample = EXAMPLES[task.name]
    visual = sample.visuals[-1]
    plain = caption_conversation(task, sample, visual, "caption_plain")[0].text
    context = caption_conversation(task, sample, visual, "caption")[0].text
    judged = quality_conversation(task, sample, visual.slot, "a red thing")[0].text
    assert context != plain
    assert "a red thing" in judged
    assert "yes or no" in judged


def test_relation_judges_hear_of_the_right_product_first():
    task = find_task("prp")
    sample = EXAMPLES[task.name]
    text = quality_conversation(task, sample, "product 2", "bits")[0].text
    assert text.index("Drill bit set") < text.index("Cordless drill")


def test_names():
    assert find_task("sa").short == "sentiment_analysis"
    assert find_task("mmecinstruct/sentiment_analysis") is find_task("sentiment_analysis")
    assert set(ACRONYMS) == {"ap", "cc", "prp", "psi", "mpc", "sa", "sr", "ori_psi"}
    with pytest.raises(UsageError, match="'sentiment_analysis'"):
        find_task("sentiment_analyses")
    with pytest.raises(UsageError, match="'mmecinstruct'"):
        find_benchmark("mmecinstruc")


def test_declarations_are_values():
    assert all(dataclasses.is_dataclass(t) for t in TASKS)
    assert BENCHMARKS["mmecinstruct"].published == ()
    assert len(find_benchmark("mmecinstruct").published) > 900
