"""Does looking pay: which readers are compared, on which samples, and which way the difference points."""

import json
import math
from dataclasses import replace

from lookwise.benchmarks.catalog import find_task
from lookwise.benchmarks.gains import gain_record, gains, pooled_gains
from lookwise.rows import Prediction
from lookwise.sample import Sample

TASK = find_task("mpc")
N = 60
GOLD = ["ABCD"[i % 4] for i in range(N)]
SAMPLES = {
    f"s{i}": Sample(f"s{i}", "mmecinstruct", TASK.name, "test", (("query", "q"),), (), (), gold)
    for i, gold in enumerate(GOLD)
}


def side(policy, tuned_on, right, reader="r", split="test", of=range(N)):
    """Return predictions of which the first `right` are right."""
    return [
        Prediction(
            f"s{i}",
            TASK.name,
            split,
            policy,
            tuned_on,
            None,
            GOLD[i] if i < right else "ABCD"[(i + 1) % 4],
            (),
            "f",
            reader,
        )
        for i in of
    ]


TUNED = [
    *side("none", "none", 30),
    *side("captions:vote", "none", 5),
    *side("none", "captions:vote", 10),
    *side("captions:vote", "captions:vote", 50),
    *side("captions:random@vote", "captions:vote", 35),
    *side("captions:oracle/truth", "captions:vote", 58),
    *side("captions:always", "captions:always", 55),
    *side("ceiling/text", "", 40, "exact text"),
    *side("ceiling/pictures", "", 60, "exact pictures"),
]


def asked(found):
    return {(g.question, g.policy, g.tuned_on, g.against, g.against_tuned_on): g for g in found}


def test_every_policy_is_answered_by_the_reader_that_was_tuned_on_it():
    found = asked(gains(TASK, SAMPLES, TUNED))
    assert set(found) == {
        ("text", "captions:vote", "captions:vote", "none", "none"),
        ("text", "captions:always", "captions:always", "none", "none"),
        ("all", "captions:vote", "captions:vote", "captions:always", "captions:always"),
        ("random", "captions:vote", "captions:vote", "captions:random@vote", "captions:vote"),
        ("ceiling", "ceiling/pictures", "", "ceiling/text", ""),
    }
    vote = found["text", "captions:vote", "captions:vote", "none", "none"]
    assert (vote.metric, vote.n, vote.wins, vote.losses) == ("accuracy", N, 20, 0)
    assert math.isclose(vote.value, 20 / N)
    assert 0 < vote.low < vote.value < vote.high
    everything = found["all", "captions:vote", "captions:vote", "captions:always", "captions:always"]
    assert math.isclose(everything.value, -5 / N)
    assert everything.losses == 5


def test_an_untuned_reader_is_compared_with_itself_and_an_oracle_is_no_gate():
    rows = [
        *side("none", "", 30),
        *side("captions:always", "", 20),
        *side("captions:oracle/truth", "", 40),
        *side("captions:random@vote", "", 40),
        *side("none", "", 60, reader="another"),
    ]
    found = gains(TASK, SAMPLES, rows)
    assert [(g.question, g.policy, g.model) for g in found] == [
        ("text", "captions:always", "r"),
        ("text", "captions:oracle/truth", "r"),
        ("text", "captions:random@vote", "r"),
    ]
    assert found[0].value < 0


def test_only_samples_that_both_answered_count():
    rows = [*side("none", "", 0, of=range(30)), *side("captions:always", "", N, of=range(20, N))]
    (gain,) = gains(TASK, SAMPLES, rows)
    assert (gain.n, gain.wins) == (10, 10)


def test_a_reader_without_text_alone_is_not_compared_and_other_tasks_are_left_out():
    assert gains(TASK, SAMPLES, side("captions:always", "", 5)) == []
    assert gains(find_task("psi"), SAMPLES, TUNED) == []


def test_records_are_json():
    samples = {k: Sample(s.id, s.benchmark, s.task, s.split, s.fields, (), (), None) for k, s in SAMPLES.items()}
    (gain, *_) = gains(TASK, samples, [*side("none", "", 5), *side("captions:always", "", 6)])
    assert gain.n == 0
    assert gain_record(gain)["low"] is None
    json.dumps(gain_record(gain), allow_nan=False)


def test_a_side_of_one_answer_marks_the_comparison():
    stuck = [replace(p, answer="A") for p in side("none", "none", 0)]
    found = asked(gains(TASK, SAMPLES, [*stuck, *side("captions:vote", "captions:vote", 50)]))
    assert [g.one_sided for g in found.values()] == [True]
    assert not any(g.one_sided for g in gains(TASK, SAMPLES, TUNED))


def test_a_declared_subset_is_asked_the_same_of_its_own_samples():
    part = {k: replace(s, subset="salient" if i < 20 else "other") for i, (k, s) in enumerate(SAMPLES.items())}
    rows = [*side("none", "", 10), *side("captions:always", "", 20)]
    found = gains(TASK, part, rows, subsets=("salient", "absent"))
    assert [(g.subset, g.policy, g.n, g.wins) for g in found] == [
        (None, "captions:always", N, 10),
        ("salient", "captions:always", 20, 10),
    ]
    assert math.isclose(found[1].value, 10 / 20)
    assert gain_record(found[1])["subset"] == "salient"
    assert gains(TASK, part, rows) == found[:1], "what is not declared is not asked"


SECOND = find_task("sa")
BOTH = SAMPLES | {
    f"o{i}": Sample(f"o{i}", "mmecinstruct", SECOND.name, "test", (("review", "r"),), (), (), "ABCDE"[i % 5])
    for i in range(40)
}


def second(policy, tuned_on, right):
    """Return predictions of the second task: one letter for all, or `right` of them right and the others unread."""
    return [
        Prediction(f"o{i}", SECOND.name, "test", policy, tuned_on, None, BOTH[f"o{i}"].target if i < right else "?",
                   (), "f", "r")
        for i in range(40)
    ]  # fmt: skip


def test_tasks_pooled_weigh_by_their_samples_and_count_failures_as_wrong():
    rows = [*TUNED, *second("none", "none", 30), *second("captions:vote", "captions:vote", 25)]
    found = asked(pooled_gains([TASK, SECOND], BOTH, rows))
    vote = found["text", "captions:vote", "captions:vote", "none", "none"]
    assert (vote.task, vote.metric, vote.n) == ("all tasks", "share_right", N + 40)
    assert (vote.wins, vote.losses, vote.one_sided) == (20, 5, False)
    assert math.isclose(vote.value, 15 / 100)
    assert 0 < vote.low < vote.value < vote.high
    always = found["text", "captions:always", "captions:always", "none", "none"]
    assert always.n == N, "the second task was not answered under this policy: only what both answered counts"
    assert pooled_gains([TASK], SAMPLES, TUNED) == []


def test_pooled_gains_of_a_subset_are_of_its_samples_alone():
    marked = {key: replace(s, subset="marked" if i % 2 else None) for i, (key, s) in enumerate(BOTH.items())}
    rows = [*TUNED, *second("none", "none", 30), *second("captions:vote", "captions:vote", 25)]
    found = pooled_gains([TASK, SECOND], marked, rows, subsets=("marked",))
    part = asked(g for g in found if g.subset == "marked")["text", "captions:vote", "captions:vote", "none", "none"]
    assert part.n == (N + 40) // 2
    assert part.wins + part.losses < 25
