"""Answers: what is asked, and which option wins by each way of ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lookwise.benchmarks.ecommmmu import ECOMMMMU
from lookwise.benchmarks.ecommmmu import EXAMPLES as ECOM
from lookwise.benchmarks.mmecinstruct import EXAMPLES, MMECINSTRUCT
from lookwise.benchmarks.scores import read_prediction
from lookwise.inference import Answered, Ask
from lookwise.metrics.ranking import Ranking
from lookwise.model import Generate, Rank, Reply
from lookwise.rows import Prediction
from lookwise.sample import Sample
from lookwise.stages.answer import AnswerStage, Reader, bearers_of, shared_by_task

TASKS = {task.name: task for task in MMECINSTRUCT.tasks}
SAMPLE = EXAMPLES["mmecinstruct/sentiment_analysis"]
LETTERS = TASKS[SAMPLE.task].answers(SAMPLE)
SCORES = (-1.0, -2.0, -3.0, -8.0, -9.0)
COUNTS = (1, 4, 2, 1, 1)
EMPTY = (-1.0, -2.0, -7.0, -8.0, -9.0)


def stage(ranking: Ranking = "raw", want: Generate | None = None, bearers: Sequence[Sample] = ()) -> AnswerStage:
    reader = Reader("reader", "tiny:reader-s", "zero-shot", "")
    shown = {"none": {}, "captions:always": {SAMPLE.id: {"review": "a broken torch"}}}
    return AnswerStage(TASKS, [reader], shown, want=want, ranking=ranking, bearers=bearers_of(TASKS, bearers))


def rows(made: AnswerStage, reply: Reply, empty: Reply | None = None) -> list[Prediction]:
    def said(ask: Ask) -> Reply:
        return reply if ask.tag[0] else empty or Reply(failure="not said")

    return made.read(SAMPLE, [Answered(ask, said(ask), "f") for ask in made.ask(SAMPLE, ())])


def test_the_sum_asks_each_policy_once_and_takes_the_model_s_own_choice() -> None:
    asks = stage().ask(SAMPLE, ())
    assert [ask.tag[0] for ask in asks] == ["none", "captions:always"]
    found = rows(stage(), Reply(LETTERS[0], SCORES, COUNTS))
    assert [row.answer for row in found] == [LETTERS[0]] * 2
    assert {(row.option_scores, row.option_tokens, row.option_empty) for row in found} == {(SCORES, COUNTS, ())}
    assert rows(stage(), Reply(LETTERS[1]))[0].answer == LETTERS[1]  # a server that gives no scores


def test_the_mean_prefers_a_long_option_that_is_likely_word_by_word() -> None:
    found = rows(stage("normalised"), Reply(LETTERS[0], SCORES, COUNTS))
    assert [row.answer for row in found] == [LETTERS[1]] * 2
    assert [row.reply for row in found] == [LETTERS[0]] * 2  # what the model said stays
    assert found[0].option_scores == SCORES


def test_an_empty_context_is_asked_once_for_all_policies_and_samples() -> None:
    asks = stage("calibrated").ask(SAMPLE, ())
    assert [ask.tag[0] for ask in asks] == ["none", "captions:always", ""]
    other = replace(SAMPLE, id="other", fields=(("review", "quite another review"),))
    assert stage("calibrated").ask(other, ())[-1].request == asks[-1].request  # so the loop sends it once
    text = asks[-1].request.conversation[0].text
    assert SAMPLE.text("review") not in text
    assert SAMPLE.options[0] in text
    assert stage("calibrated", Generate()).ask(SAMPLE, ())[-1].tag[0] == "captions:always"


def test_what_calibrates_is_kept_whatever_decides_and_paid_only_where_it_does() -> None:
    said, empty = Reply(LETTERS[0], SCORES, COUNTS, tokens_in=90), Reply(LETTERS[0], EMPTY, COUNTS, tokens_in=20)
    paying: dict[Ranking, int] = {"raw": 90, "normalised": 90, "calibrated": 110}
    for ranking, paid in paying.items():
        found = rows(stage(ranking, bearers=[SAMPLE]), said, empty)
        assert {(row.option_empty, row.tokens_in) for row in found} == {(EMPTY, paid)}


def test_one_sample_asks_it_for_all_of_its_task_and_reader() -> None:
    other, own = replace(SAMPLE, id="other"), EXAMPLES["mmecinstruct/category_classification"]
    assert not TASKS[own.task].labels
    assert bearers_of(TASKS, [own, SAMPLE, other]) == {SAMPLE.id}
    made = stage(bearers=[SAMPLE, other])
    assert [[ask.tag[0] for ask in made.ask(one, ())] for one in (SAMPLE, other)] == [
        ["none", "captions:always", ""],
        ["none", "captions:always"],
    ]
    first = rows(made, Reply(LETTERS[0], SCORES, COUNTS), Reply(LETTERS[0], EMPTY, COUNTS))
    second = [replace(row, sample_id="other", option_empty=()) for row in first]
    stranger = replace(second[0], model="another")
    shared = shared_by_task([*first, *second, stranger])
    assert [row.option_empty for row in shared] == [EMPTY] * 4 + [()]
    assert [row.sample_id for row in shared] == [row.sample_id for row in (*first, *second, stranger)]


def test_calibration_prefers_what_the_question_made_likelier() -> None:
    found = rows(stage("calibrated"), Reply(LETTERS[0], SCORES, COUNTS), Reply(LETTERS[0], EMPTY, COUNTS))
    assert [(row.policy, row.answer) for row in found] == [("none", LETTERS[2]), ("captions:always", LETTERS[2])]
    assert found[0].option_empty == EMPTY


def test_ranking_without_what_it_needs_is_a_row_with_a_reason() -> None:
    (first, _) = rows(stage("normalised"), Reply(LETTERS[0]))
    assert (first.answer, first.reason) == (None, "no scores for ranking by 'normalised'")
    failed = rows(stage("calibrated"), Reply(LETTERS[0], SCORES, COUNTS), Reply(failure="out of memory"))
    assert {(row.answer, row.reason) for row in failed} == {
        (None, "no scores for ranking by 'calibrated' (out of memory)")
    }
    assert rows(stage("calibrated"), Reply(failure="no such file"))[0].reason == "no such file"


def test_free_text_is_parsed_and_never_ranked() -> None:
    assert isinstance(stage().ask(SAMPLE, ())[0].request.want, Rank)
    found = rows(stage("normalised", Generate()), Reply(f"{LETTERS[3]}: so it is"))
    assert found[0].answer == LETTERS[3]
    assert rows(stage("raw", Generate()), Reply("hm"))[0].reason == "no answer could be read"


def test_what_a_rule_reads_and_scores_as_no_answer_is_none_and_says_why() -> None:
    task, sample = ECOMMMMU.task("binary_question_answering"), ECOM["ecommmmu/binary_question_answering"]
    reader = Reader("reader", "tiny:reader-s", "zero-shot", "")
    made = AnswerStage({task.name: task}, [reader], {"none": {}}, Generate(), rule="published")

    def row(text: str) -> Prediction:
        return made.read(sample, [Answered(ask, Reply(text), "f") for ask in made.ask(sample, ())])[0]

    assert task.parse["published"]("Yes", sample) == "Yes", "as published: its metric knows small letters alone"
    odd = row("Yes")
    assert (odd.answer, odd.reply, odd.reason) == (None, "Yes", "read as 'Yes', which is not among the answers")
    assert read_prediction(task, sample, odd, "published") is None
    assert read_prediction(task, sample, odd, "robust") == "yes", "the reply stays, so another rule may read it"
    assert (row("yes").answer, row("yes").reason) == ("yes", None)
