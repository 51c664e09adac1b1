"""Policies as pure selectors: what each keeps, and what it may not look at."""

from __future__ import annotations

import pytest

from lookwise.errors import RecipeError
from lookwise.message import Media
from lookwise.rows import Ballot, Caption, Utility
from lookwise.sample import Sample, Visual
from lookwise.stages.evidence import Known, kept_captions, parse_policy, select, shown_captions


def sample(i: int, slots: tuple[str, ...] = ("picture",)) -> Sample:
    return Sample(f"s{i}", "b", "b/t", "test", (), tuple(Visual(s, Media(f"{i}{s}.png")) for s in slots))


def caption(i: int, slot: str = "picture", text: str | None = "a mug") -> Caption:
    return Caption(f"s{i}", f"c{i}{slot}", slot, 0, text, "m", None if text else "broken")


def ballots(i: int, votes: str, slot: str = "picture") -> list[Ballot]:
    verdicts = {"y": "yes", "n": "no", "?": None}
    return [Ballot(f"s{i}", f"c{i}{slot}", f"j{k}", verdicts[v], v, "m") for k, v in enumerate(votes)]  # type: ignore[arg-type]


def utility(i: int, gain: float, slot: str | None = "picture") -> Utility:
    return Utility(f"s{i}", slot, 0, "helpful", gain, None, False, True, "naive", "truth", "naive")


SAMPLES = [sample(i) for i in range(6)]
KNOWN = Known(
    captions={f"s{i}": [caption(i, text=None if i == 5 else "a mug")] for i in range(6)},
    ballots={f"s{i}": ballots(i, v) for i, v in enumerate(("yyy", "nnn", "yn?", "yyn", "n??"))},
    truth={"s0": [utility(0, 1.0)], "s1": [utility(1, 0.0)], "s2": [utility(2, -1.0)], "s3": [utility(3, 0.2)]},
)


def kept(name: str, known: Known = KNOWN) -> set[str]:
    return set(kept_captions(parse_policy(name, ("j0", "j1", "j2")), SAMPLES, known))


def test_each_selector_keeps_what_it_says() -> None:
    assert kept("none") == set()
    assert kept("captions:always") == {f"c{i}picture" for i in range(5)}
    assert kept("captions:vote") == {"c0picture", "c3picture"}
    assert kept("captions:judge/j0") == {"c0picture", "c2picture", "c3picture"}
    assert kept("captions:judge/j2") == {"c0picture"}
    assert kept("captions:oracle/truth") == {"c0picture", "c3picture"}


def test_random_keeps_as_many_as_the_vote_blindly_and_repeatably() -> None:
    drawn = kept("captions:random@vote")
    assert len(drawn) == len(kept("captions:vote"))
    assert drawn == kept("captions:random@vote")
    flipped = Known(KNOWN.captions, {k: list(reversed(v)) for k, v in KNOWN.ballots.items()}, KNOWN.truth)
    assert kept("captions:random@vote", flipped) == drawn, "who won the votes must not matter, only how many"


def test_ties_follow_the_rule() -> None:
    assert "c2picture" in kept("captions:vote", Known(KNOWN.captions, KNOWN.ballots, KNOWN.truth, tie="keep"))


def test_the_published_tie_rule_counts_junk_and_takes_the_first_seen() -> None:
    replies = ("not sure", "yes", "no", "yes", "no")
    cast = [Ballot("s0", "c0picture", f"j{i}", None, r, "m") for i, r in enumerate(replies)]
    known = Known({"s0": [caption(0)]}, {"s0": cast}, {}, tie="published")
    assert kept("captions:vote", known) == {"c0picture"}, "2-2-1: the first of the most frequent wins, here yes"


def test_an_oracle_takes_several_pictures_as_a_whole_where_the_truth_does() -> None:
    pair = sample(9, ("product 1", "product 2"))
    known = Known(
        captions={"s9": [caption(9, "product 1"), caption(9, "product 2")]},
        ballots={},
        truth={"s9": [utility(9, 0.0, "product 1"), utility(9, 0.0, "product 2"), utility(9, 0.7, None)]},
    )
    assert len(kept_captions(parse_policy("captions:oracle/truth"), [pair], known)) == 2


def test_evidence_names_every_slot_and_says_none() -> None:
    rows = select(parse_policy("captions:vote"), SAMPLES, KNOWN)
    assert [r.kind for r in rows] == ["caption", "none", "none", "caption", "none", "none"]
    shown = shown_captions(rows, KNOWN.captions)
    assert shown == {"s0": {"picture": "a mug"}, "s3": {"picture": "a mug"}}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("caption:vote", "'captions:vote'"),
        ("captions:votes", "'vote'"),
        ("captions:judge/j9", "judge/j"),
        ("captions:random@alway", "'always'"),
    ],
)
def test_an_unknown_policy_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=hint):
        parse_policy(name, ("j0", "j1", "j2"))
