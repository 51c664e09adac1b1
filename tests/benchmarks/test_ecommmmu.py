"""EcomMMMU's eight tasks: declarations, both spellings, gold scores 1.0, the published failure rule beside ours."""

import math

import pytest

from lookwise.benchmarks.catalog import find_benchmark, find_task
from lookwise.benchmarks.ecommmmu import CAPABILITIES, ECOMMMMU, EXAMPLES, TASKS, canonical, our_name
from lookwise.benchmarks.rendering import answer_conversation, hole_names, quality_conversation, utility_conversation
from lookwise.benchmarks.utility import JUDGEMENTS, LABELS, label_of, line_of, utility_label
from lookwise.benchmarks.wording import ALL_USES, SETS_OF, reworded
from lookwise.message import Media
from lookwise.metrics import published

by_task = pytest.mark.parametrize("task", ECOMMMMU.tasks, ids=lambda t: t.short)
KEPT = {"multiclass": ("macro_f1", "published_macro_f1"), "binary": ("f1", "published_f1")}


def test_eight_tasks_in_four_capabilities():
    shorts = [t.short for t in ECOMMMMU.tasks]
    assert len(shorts) == 8
    assert sorted(name for names in CAPABILITIES.values() for name in names) == sorted(shorts)
    assert len(CAPABILITIES) == 4
    assert find_benchmark("ecommmmu").tasks == ECOMMMMU.tasks


def test_both_spellings_name_the_same_task():
    for published_id in TASKS:
        if published_id != "verfication":
            task = find_task(f"ecommmmu/{published_id}")
            assert task is find_task(f"ecommmmu/{our_name(published_id)}")
            assert canonical(task.name) == published_id
    assert find_task("click-through_predction").short == "click_through_prediction"
    assert find_task("production_substitute_identification", "ecommmmu").name.startswith("ecommmmu/")
    assert find_task("sentiment_analysis").name == "mmecinstruct/sentiment_analysis"
    assert find_task("sentiment_analysis", "ecommmmu").name == "ecommmmu/sentiment_analysis"


@by_task
def test_the_gold_answer_scores_one_and_a_failure_is_wrong(task):
    sample = EXAMPLES[task.name]
    assert tuple(name for name, _ in sample.fields) == task.fields
    assert sample.target in task.answers(sample)
    for rule in ("robust", "published"):
        answer = task.parse[rule](sample.target, sample)
        assert answer == sample.target
        assert all(m.score([sample.target], [answer]) == 1.0 for m in task.metrics)
    assert task.metrics[0].over == "all"
    assert task.metrics[0].score([sample.target], [None]) == 0.0


@by_task
def test_the_published_f1_leaves_failures_out_as_the_published_program_does(task):
    kind = TASKS[canonical(task.short)].kind
    if kind == "recall":
        assert [m.name for m in task.metrics] == ["recall_at_1"]
        return
    answers = TASKS[canonical(task.short)].answers
    gold = [answers[i % len(answers)] for i in range(15)]
    said = [None if i % 5 == 3 else gold[i] if i % 3 else answers[0] for i in range(15)]
    theirs, failed = published.ecommmmu(gold, said, kind)
    ours = {m.name: m.score(gold, said) for m in task.metrics}
    plain, beside = KEPT[kind]
    assert failed == 3
    assert ours[beside] == pytest.approx(theirs[plain])
    assert ours["accuracy"] == pytest.approx(theirs["accuracy"])
    assert ours[plain] < ours[beside]


def test_the_published_reading_folds_case_for_yes_and_no_only():
    ask, tell = find_task("ecommmmu/answerability_prediction"), find_task("ecommmmu/binary_question_answering")
    assert ask.parse["published"]("assistant Yes", EXAMPLES[ask.name]) == "yes"
    assert tell.parse["published"]("assistant Yes", EXAMPLES[tell.name]) == "Yes"
    assert tell.parse["robust"]("Yes.", EXAMPLES[tell.name]) == "yes"
    assert math.isnan(published.ecommmmu(["yes"], ["Yes"], "multiclass")[0]["macro_f1"])


@pytest.mark.parametrize("name", SETS_OF["ecommmmu"])
def test_every_set_asks_with_every_field_what_is_shown_and_all_judgements(name):
    for task in reworded(ECOMMMMU, name).tasks:
        assert set(task.prompts) == set(ALL_USES)
        sample = EXAMPLES[task.name]
        for use in ALL_USES:
            task.prompts[use].check(hole_names(task, use))
        captions = {v.slot: f"seen in {v.slot}" for v in sample.visuals}
        text = answer_conversation(task, sample, captions)[0].text
        asked = utility_conversation(task, sample, [Media("a.png"), Media("b.png")])
        for _, value in sample.fields:
            for part in (value,) if isinstance(value, str) else value:
                assert part in text
                assert part in asked[0].text
        assert all(caption in text for caption in captions.values())
        assert all(line in asked[0].text for line in JUDGEMENTS)
        assert [m.source for m in asked[0].media] == ["a.png", "b.png"]
        for slot in captions:
            assert "a red thing" in quality_conversation(task, sample, slot, "a red thing")[0].text


def test_pictures_come_before_the_question_and_text_alone_is_the_text_alone():
    task = find_task("ecommmmu/product_relation_prediction")
    sample = EXAMPLES[task.name]
    plain, seen = answer_conversation(task, sample, {}), answer_conversation(task, sample, {}, [Media("a.png")])
    assert plain[0].media == ()
    assert len(seen[0].media) == 1
    assert seen[0].text.strip() == plain[0].text.strip()


def test_judgements_are_the_same_words_in_prompt_and_label():
    assert [line_of(label) for label in LABELS] == list(JUDGEMENTS)
    for label, line in zip(LABELS, JUDGEMENTS, strict=True):
        assert {label_of(form) for form in (label, line, line[0], f"{line.upper()}.")} == {label}
    assert label_of("E: unsure") is None
    pairs = [(False, True), (False, False), (True, True), (True, False)]
    assert tuple(utility_label(*pair) for pair in pairs) == LABELS
