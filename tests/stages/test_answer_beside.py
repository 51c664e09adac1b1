"""Options ranked beside written answers: asked apart, kept in one row, read apart."""

from __future__ import annotations

from lookwise.benchmarks.mmecinstruct import EXAMPLES, MMECINSTRUCT
from lookwise.benchmarks.scores import read_prediction
from lookwise.inference import Answered, Ask
from lookwise.metrics.ranking import Ranking
from lookwise.model import Generate, Rank, Reply
from lookwise.rows import Prediction
from lookwise.stages.answer import AnswerStage, Reader

TASKS = {task.name: task for task in MMECINSTRUCT.tasks}
SAMPLE = EXAMPLES["mmecinstruct/sentiment_analysis"]
LETTERS = TASKS[SAMPLE.task].answers(SAMPLE)
SCORES, COUNTS = (-1.0, -2.0, -3.0, -8.0, -9.0), (1, 4, 2, 1, 1)
EMPTY = (-1.0, -2.0, -7.0, -8.0, -9.0)
WRITTEN = Reply("E: very negative", tokens_in=50, tokens_out=4)
RANKED = Reply(LETTERS[0], SCORES, COUNTS, tokens_in=50)


def stage(ranking: Ranking = "raw") -> AnswerStage:
    reader = Reader("reader", "tiny:reader-s", "zero-shot", "")
    return AnswerStage(TASKS, [reader], {"none": {}, "captions:vote": {}}, Generate(9), ranking=ranking, also_rank=True)


def rows(made: AnswerStage, ranked: Reply = RANKED, empty: Reply | None = None) -> list[Prediction]:
    def said(ask: Ask) -> Reply:
        if not ask.tag[0]:
            return empty or Reply(failure="not said")
        return ranked if isinstance(ask.request.want, Rank) else WRITTEN

    return made.read(SAMPLE, [Answered(ask, said(ask), "f") for ask in made.ask(SAMPLE, ())])


def test_each_policy_is_asked_twice_and_answered_in_one_row() -> None:
    asks = stage().ask(SAMPLE, ())
    assert [(ask.tag[0], type(ask.request.want)) for ask in asks] == [
        ("none", Generate),
        ("none", Rank),
        ("captions:vote", Generate),
        ("captions:vote", Rank),
    ]
    found = rows(stage())
    assert [row.policy for row in found] == ["none", "captions:vote"]
    row = found[0]
    assert (row.reply, row.answer, row.ranked) == ("E: very negative", "E", LETTERS[0])
    assert (row.option_scores, row.option_tokens, row.reason, row.ranked_reason) == (SCORES, COUNTS, None, None)
    assert (row.tokens_in, row.tokens_out) == (100, 4)
    assert read_prediction(TASKS[SAMPLE.task], SAMPLE, row, "robust") == "E", "the written answer is what counts"


def test_every_way_of_ranking_decides_the_second_column_alone() -> None:
    assert {(row.answer, row.ranked) for row in rows(stage("normalised"))} == {("E", LETTERS[1])}
    asks = stage("calibrated").ask(SAMPLE, ())
    assert [ask.tag[0] for ask in asks][-1] == ""
    found = rows(stage("calibrated"), empty=Reply(LETTERS[0], EMPTY, COUNTS))
    assert {(row.answer, row.ranked, row.option_empty) for row in found} == {("E", LETTERS[2], EMPTY)}


def test_a_ranking_that_failed_leaves_the_written_answer() -> None:
    row = rows(stage(), Reply(failure="no scores"))[0]
    assert (row.answer, row.ranked, row.reason, row.ranked_reason) == ("E", None, None, "no scores")
    assert row.is_beside
    row = rows(stage("calibrated"), empty=Reply(failure="slow"))[0]
    assert row.ranked_reason == "no scores for ranking by 'calibrated' (slow)"
    assert row.option_scores == SCORES
    assert read_prediction(TASKS[SAMPLE.task], SAMPLE, row, "robust") == "E"
