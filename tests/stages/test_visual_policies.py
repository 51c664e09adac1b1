"""Policies of pictures: one candidate number for all slots, the published draw, oracles, and blind dealing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookwise.errors import RecipeError
from lookwise.message import Media
from lookwise.rows import Utility
from lookwise.sample import Sample, Visual
from lookwise.stages.evidence import Known, chosen_candidates, parse_policy, select, shown_visuals

N = 12


def sample(i: int, slots: tuple[str, ...] = ("product 1", "product 2"), count: int = 4) -> Sample:
    pictures = tuple(Visual(slot, Media(f"{i}/{slot}/{c}.png"), c) for slot in slots for c in range(count))
    return Sample(f"s{i:02}", "ecommmmu", "ecommmmu/t", "test", (), pictures, (), "yes")


def row(i: int, candidate: int, source: str, label: str | None, number: float | None) -> Utility:
    gain, probability = (None, number) if source == "predicted" else (number, None)
    return Utility(f"s{i:02}", None, candidate, label, gain, probability, None, None, "r", source, "m")  # type: ignore[arg-type]


SAMPLES = [sample(i) for i in range(N)]
PREDICTED = {
    "s00": [row(0, c, "predicted", label, p) for c, (label, p) in enumerate([("redundant", 0.2), ("helpful", 0.6)])],
    "s01": [row(1, c, "predicted", "helpful", 0.3 + c / 10) for c in range(4)],
    "s02": [row(2, c, "predicted", "misleading", 0.1) for c in range(4)],
    "s03": [row(3, c, "predicted", None, None) for c in range(4)],
}
MEASURED = {
    "s00": [row(0, 0, "measured", "helpful", 0.5), row(0, 3, "measured", "helpful", 1.5)],
    "s01": [row(1, 0, "measured", "misleading", -2.0), row(1, 1, "measured", "redundant", 0.0)],
    "s02": [row(2, 2, "measured", "helpful", None)],
}
TRUTH = {"s05": [row(5, 2, "truth", "helpful", 0.9)]}
KNOWN = Known({}, {}, TRUTH, measured=MEASURED, predicted=PREDICTED, threshold=0.61, seed=3)


def chosen(name: str, known: Known = KNOWN) -> dict[str, tuple[int, ...]]:
    return {i: c for i, c in chosen_candidates(parse_policy(name), SAMPLES, known).items() if c}


def test_each_selector_chooses_what_it_says() -> None:
    every = [s.id for s in SAMPLES]
    assert chosen("visuals:always") == dict.fromkeys(every, (0,))
    assert chosen("visuals:all") == dict.fromkeys(every, (0, 1, 2, 3))
    assert chosen("visuals:predicted/highest") == {"s00": (1,), "s01": (3,), "s02": (0,)}
    assert chosen("visuals:predicted/threshold") == {}
    assert chosen("visuals:predicted/threshold", replace(KNOWN, threshold=0.6)) == {"s00": (1,), "s01": (3,)}
    assert chosen("visuals:predicted/top-3") == {"s00": (1, 0), "s01": (3, 2, 1), "s02": (0, 1, 2)}
    assert chosen("visuals:oracle/measured") == {"s00": (3,), "s02": (2,)}
    assert chosen("visuals:oracle/truth") == {"s05": (2,)}


def test_the_published_selector_draws_one_that_is_called_helpful() -> None:
    assert chosen("visuals:predicted").keys() == {"s00", "s01"}
    assert chosen("visuals:predicted")["s00"] == (1,)
    drawn = {chosen("visuals:predicted", replace(KNOWN, seed=seed))["s01"] for seed in range(40)}
    assert drawn == {(0,), (1,), (2,), (3,)}
    assert chosen("visuals:predicted") == chosen("visuals:predicted")


def test_the_same_candidate_of_every_slot_is_shown_and_none_is_said_aloud() -> None:
    rows = select(parse_policy("visuals:oracle/measured"), SAMPLES, KNOWN)
    assert len(rows) == N * 2 * 4
    shown = [(r.sample_id, r.slot, r.candidate) for r in rows if r.kind == "image"]
    assert shown == [(s, slot, c) for s, c in (("s00", 3), ("s02", 2)) for slot in ("product 1", "product 2")]
    assert Counter(r.kind for r in rows) == {"image": 4, "none": N * 8 - 4}
    media = shown_visuals(rows, SAMPLES)
    assert [m.source for m in media["s00"]] == ["0/product 1/3.png", "0/product 2/3.png"]
    assert media.keys() == {"s00", "s02"}


def test_several_candidates_come_one_after_the_other_each_in_slot_order() -> None:
    rows = select(parse_policy("visuals:predicted/top-2"), SAMPLES[:1], KNOWN)
    assert [m.source for m in shown_visuals(rows, SAMPLES)["s00"]] == [
        f"0/product {slot}/{candidate}.png" for candidate in (0, 1) for slot in (1, 2)
    ]


def test_a_candidate_that_some_slot_lacks_is_never_shown() -> None:
    short = replace(SAMPLES[0], visuals=tuple(v for v in SAMPLES[0].visuals if v.candidate < 3 or v.slot[-1] == "1"))
    assert chosen_candidates(parse_policy("visuals:oracle/measured"), [short], KNOWN) == {"s00": ()}
    assert chosen_candidates(parse_policy("visuals:all"), [short], KNOWN) == {"s00": (0, 1, 2)}
    bare = replace(SAMPLES[0], visuals=())
    for name in ("visuals:always", "visuals:random@always", "visuals:predicted"):
        assert chosen_candidates(parse_policy(name), [bare], KNOWN) == {"s00": ()}


LABELS = st.sampled_from(["helpful", "redundant", "misleading", "ineffective", None])


@given(st.lists(st.lists(LABELS, min_size=4, max_size=4), min_size=N, max_size=N), st.integers(0, 5))
def test_random_shows_as_many_as_its_model_and_does_not_see_which(labels: list[list[str | None]], seed: int) -> None:
    predicted = {f"s{i:02}": [row(i, c, "predicted", x, 0.5) for c, x in enumerate(xs)] for i, xs in enumerate(labels)}
    known = replace(KNOWN, predicted=predicted, seed=seed)
    dealt = chosen("visuals:random@predicted", known)
    assert len(dealt) == len(chosen("visuals:predicted", known))
    turned = {f"s{i:02}": [replace(u, sample_id=f"s{i:02}") for u in predicted[f"s{N - 1 - i:02}"]] for i in range(N)}
    assert chosen("visuals:random@predicted", replace(known, predicted=turned)) == dealt


def test_what_random_deals_out_is_not_lost_on_samples_without_pictures() -> None:
    half = [s if i % 2 else replace(s, visuals=()) for i, s in enumerate(SAMPLES)]
    for seed in range(20):
        known = replace(KNOWN, seed=seed)
        dealt = chosen_candidates(parse_policy("visuals:random@always"), half, known)
        assert sum(map(len, dealt.values())) == N // 2
        assert dealt.keys() == {s.id for s in half}


@given(st.sampled_from(["always", "all", "predicted", "predicted/highest", "predicted/threshold", "predicted/top-2"]))
def test_no_selector_but_the_oracles_reads_a_target_or_a_measurement(selector: str) -> None:
    policy = parse_policy(f"visuals:{selector}")
    blind = [replace(s, target=None) for s in SAMPLES]
    without = replace(KNOWN, measured={}, truth={})
    assert select(policy, SAMPLES, KNOWN) == select(policy, blind, without)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("visuals:vote", "known: "),
        ("visuals:predictd", "'predicted'"),
        ("visuals:oracle/true", "'oracle/truth'"),
        ("visuals:predicted/top-0", "'predicted/top-2'"),
        ("visuals:random@alway", "'always'"),
        ("visual:always", "'visuals:always'"),
        ("captions:predicted", "known: "),
    ],
)
def test_an_unknown_policy_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=hint):
        parse_policy(name, ("vote",))
