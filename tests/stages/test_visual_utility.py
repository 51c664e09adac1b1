"""Utility measured and predicted: what is asked, and that labels follow from the two rightnesses and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookwise.benchmarks.ecommmmu import CANDIDATES, ECOMMMMU, EXAMPLES
from lookwise.benchmarks.utility import JUDGEMENTS, LABELS, utility_label
from lookwise.inference import Answered, Ask
from lookwise.model import Generate, Rank, Reply
from lookwise.rows import Utility
from lookwise.sample import Sample
from lookwise.stages.visual_utility import UtilityPrediction, VisualUtility

TASKS = {task.name: task for task in ECOMMMMU.tasks}
PAIR = EXAMPLES["ecommmmu/product_relation_prediction"]
ASKED = EXAMPLES["ecommmmu/answerability_prediction"]
RANKED = VisualUtility(TASKS)
WRITTEN = VisualUtility(TASKS, want=Generate(max_new_tokens=16), rule="published")


def ranked(*scores: float, options: tuple[str, ...] = ("yes", "no")) -> Reply:
    return Reply(options[scores.index(max(scores))], scores, tuple(1 for _ in scores))


def read(stage: VisualUtility, sample: Sample, replies: dict[str, list[Reply]]) -> list[Utility]:
    """Answer each ask by what is shown ("text", "0", ...), in the order of its wants."""
    left = {shown: list(mine) for shown, mine in replies.items()}
    asks = stage.ask(sample, ())
    return stage.read(sample, [Answered(ask, left[ask.tag[0]].pop(0), "print") for ask in asks])


def all_alike(reply: Reply, **special: Reply) -> dict[str, list[Reply]]:
    shown = ["text", *map(str, range(CANDIDATES))]
    return {name: [special.get(f"c{name}", reply)] * 2 for name in shown}


def test_text_alone_and_every_candidate_of_all_products_at_once() -> None:
    asks = RANKED.ask(PAIR, ())
    assert [ask.tag for ask in asks] == [("text", "rank"), *((str(i), "rank") for i in range(CANDIDATES))]
    assert asks[0].request.conversation[0].media == ()
    for i, ask in enumerate(asks[1:]):
        assert [m.source for m in ask.request.conversation[0].media] == [v.media.source for v in PAIR.view(i)]
        assert len(PAIR.view(i)) == 2
        assert ask.request.want == Rank(("A", "B", "C"))
    assert len(WRITTEN.ask(PAIR, ())) == 2 * (CANDIDATES + 1)
    assert len(replace(WRITTEN, gains=False).ask(PAIR, ())) == CANDIDATES + 1


def test_nothing_is_asked_without_a_target_a_common_candidate_or_twice() -> None:
    rows = tuple(read(RANKED, ASKED, all_alike(ranked(-0.1, -3.0))))
    assert RANKED.ask(ASKED, rows) == []
    assert RANKED.ask(replace(ASKED, target=None), ()) == []
    assert RANKED.ask(replace(ASKED, visuals=()), ()) == []
    short = tuple(v for v in PAIR.visuals if not (v.slot == "product 2" and v.candidate > 2))
    assert len(RANKED.ask(replace(PAIR, visuals=short), ())) == 1 + 3


RIGHT, WRONG = ranked(-0.2, -1.8), ranked(-1.2, -0.4)


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("seen", [True, False])
def test_the_label_is_that_of_both_rightnesses(text: bool, seen: bool) -> None:
    pick = {True: RIGHT, False: WRONG}
    rows = read(RANKED, ASKED, all_alike(pick[seen], ctext=pick[text]))
    assert {row.label for row in rows} == {utility_label(text, seen)}
    assert {(row.text_right, row.visual_right, row.reason) for row in rows} == {(text, seen, None)}
    assert {row.source for row in rows} == {"measured"}
    assert [row.candidate for row in rows] == list(range(CANDIDATES))


SCORES = st.tuples(st.floats(-30, 0), st.floats(-30, 0))


@given(SCORES, SCORES)
def test_the_gain_is_the_difference_of_log_probabilities_of_the_target(
    text: tuple[float, float], seen: tuple[float, float]
) -> None:
    row = read(RANKED, ASKED, all_alike(ranked(*seen), ctext=ranked(*text)))[0]

    def log_share(scores: tuple[float, float]) -> float:
        return scores[0] - math.log(math.exp(scores[0]) + math.exp(scores[1]))

    assert row.gain == pytest.approx(log_share(seen) - log_share(text), abs=1e-9)
    swapped = read(RANKED, ASKED, all_alike(ranked(*text), ctext=ranked(*seen)))[0]
    assert swapped.gain == pytest.approx(-row.gain)


REPLIES = st.sampled_from(["yes", "no", "Yes, because", "who knows", "", "perhaps not"])


@given(REPLIES, REPLIES)
def test_an_unparsed_reply_gives_no_label(text: str, seen: str) -> None:
    stage = replace(WRITTEN, gains=False)
    rows = read(stage, ASKED, all_alike(Reply(seen), ctext=Reply(text)))
    parse = TASKS[ASKED.task].parse["published"]
    answers = [parse(reply, ASKED) for reply in (text, seen)]
    for row in rows:
        if None in answers:
            assert row.label is None
            assert row.reason
        else:
            assert row.label == utility_label(answers[0] == "yes", answers[1] == "yes")
        assert row.gain is None


def test_capitals_do_not_make_a_written_answer_wrong() -> None:
    question = EXAMPLES["ecommmmu/binary_question_answering"]
    rows = read(replace(WRITTEN, gains=False), question, all_alike(Reply("Yes"), ctext=Reply("no")))
    assert question.target == "yes"
    assert {row.label for row in rows} == {"helpful"}


def test_a_written_answer_gives_the_label_and_the_ranking_beside_it_the_gain() -> None:
    said = {shown: [Reply("no"), ranked(-0.1, -4.0)] for shown in map(str, range(CANDIDATES))}
    rows = read(WRITTEN, ASKED, {"text": [Reply("yes"), ranked(-0.7, -0.7)], **said})
    assert {row.label for row in rows} == {"misleading"}
    assert all(row.gain is not None and row.gain > 0.5 for row in rows)


def test_a_dead_picture_concerns_its_candidate_and_a_failed_text_all() -> None:
    dead = Reply(failure="picture not found")
    rows = read(RANKED, ASKED, all_alike(RIGHT, ctext=WRONG, c3=dead))
    assert [row.label for row in rows] == ["helpful"] * 3 + [None] + ["helpful"] * 4
    assert rows[3].reason == "picture not found"
    assert (rows[3].gain, rows[3].visual_right) == (None, None)
    rows = read(RANKED, ASKED, all_alike(RIGHT, ctext=dead))
    assert {(row.label, row.gain, row.reason) for row in rows} == {(None, None, "text alone: picture not found")}


def test_the_verifier_sees_the_pictures_and_never_the_target() -> None:
    stage = UtilityPrediction(TASKS)
    asks = stage.ask(PAIR, ())
    assert asks == stage.ask(replace(PAIR, target=None), ())
    assert [len(ask.request.conversation[0].media) for ask in asks] == [2] * CANDIDATES
    assert all(ask.request.want == Rank(JUDGEMENTS) for ask in asks)


def judged(stage: UtilityPrediction, reply: Reply) -> list[Utility]:
    return stage.read(ASKED, [Answered(ask, reply, "print") for ask in stage.ask(ASKED, ())])


@given(st.permutations([-0.5, -1.5, -2.5, -3.5]))
def test_predicted_rows_carry_the_likeliest_label_and_the_probability_of_helpful(scores: list[float]) -> None:
    reply = ranked(*scores, options=JUDGEMENTS)
    total = sum(math.exp(score) for score in scores)
    for row in judged(UtilityPrediction(TASKS), reply):
        assert row.label == LABELS[scores.index(-0.5)]
        assert row.probability == pytest.approx(math.exp(scores[0]) / total)
        assert (row.source, row.reason, row.gain) == ("predicted", None, None)


def test_written_judgements_are_read_as_published_ones_are_written() -> None:
    stage = UtilityPrediction(TASKS, want=Generate(max_new_tokens=16))
    assert {row.label for row in judged(stage, Reply("A: helpful"))} == {"helpful"}
    assert {row.label for row in judged(stage, Reply("D"))} == {"misleading"}
    assert {(row.label, row.reason) for row in judged(stage, Reply("E: hm"))} == {(None, "unreadable reply")}
    assert {row.reason for row in judged(stage, Reply(failure="refused"))} == {"refused"}


def test_a_written_judgement_has_the_probability_of_the_ranking_beside_it() -> None:
    stage = UtilityPrediction(TASKS, want=Generate(max_new_tokens=16))
    likely = ranked(-0.1, -3.0, -4.0, -5.0, options=JUDGEMENTS)
    replies = [Reply("C: redundant", tokens_in=5), replace(likely, tokens_in=7)] * CANDIDATES
    asked = stage.ask(ASKED, ())
    rows = stage.read(ASKED, [Answered(ask, reply, "print") for ask, reply in zip(asked, replies, strict=True)])
    assert [row.candidate for row in rows] == list(range(CANDIDATES))
    assert {(row.label, row.tokens_in, row.reason) for row in rows} == {("redundant", 12, None)}
    assert all(row.probability is not None and row.probability > 0.9 for row in rows)


def test_asks_are_pure() -> None:
    for stage in (RANKED, WRITTEN, UtilityPrediction(TASKS)):
        for sample in EXAMPLES.values():
            one: list[Ask] = stage.ask(sample, ())
            assert one == stage.ask(sample, ())
            assert len(one) > CANDIDATES - 1
