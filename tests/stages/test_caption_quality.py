"""Early decision: every possible panel of ballots gives the verdict of asking everybody, with no call in vain."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from lookwise.benchmarks.answers import parsers
from lookwise.inference import Answered
from lookwise.metrics.vote import majority
from lookwise.model import Reply
from lookwise.prompt import Prompt
from lookwise.rows import Ballot, Caption
from lookwise.sample import Sample
from lookwise.stages.caption_quality import CaptionQuality
from lookwise.task import Task

JUDGES = ("a", "b", "c", "d", "e")
REPLIES: Mapping[str | None, str] = MappingProxyType({"yes": "Yes.", "no": "no", None: "perhaps"})
SAMPLE = Sample("s", "own", "own/t", "test", (("title", "a mug"),))
TASK = Task(
    name="own/t",
    title="",
    source="",
    fields=("title",),
    labels=("yes", "no"),
    option_texts=(),
    prompts={"caption_quality": Prompt("{title}\n{caption}\nhelpful?", "here")},
    parse=parsers(labels=("yes", "no")),
    metrics=(),
)
CAPTION = Caption("s", "c1", "picture", 0, "a red mug", "m")


def stage(**changes: object) -> CaptionQuality:
    return CaptionQuality({"own/t": TASK}, {"s": (CAPTION,)}, JUDGES, **changes)  # type: ignore[arg-type]


def hold(quality: CaptionQuality, votes: Mapping[str, str | None]) -> list[Ballot]:
    """Play the rounds of one caption."""
    rows: tuple[Ballot, ...] = ()
    while asks := quality.ask(SAMPLE, rows):
        replies = [Answered(a, Reply(REPLIES[votes[a.model]]), f"print-{a.model}") for a in asks]
        rows += tuple(quality.read(SAMPLE, replies))
    return list(rows)


def fewest(votes: tuple[str | None, ...]) -> int:
    """How many judges one must ask, one at a time, until the majority is certain by the rule of DESIGN."""
    for asked in range(len(votes) + 1):
        margin = sum({"yes": 1, "no": -1, None: 0}[v] for v in votes[:asked])
        if abs(margin) > len(votes) - asked:
            return asked
    return len(votes)


@pytest.mark.parametrize("votes", list(itertools.product(("yes", "no", None), repeat=5)))
def test_equals_asking_everybody_with_the_fewest_calls(votes: tuple[str | None, ...]) -> None:
    panel = dict(zip(JUDGES, votes, strict=True))
    early, full = hold(stage(), panel), hold(stage(audit=1.0), panel)
    assert [b.judge for b in full] == list(JUDGES)
    assert majority([b.verdict for b in early]) == majority([b.verdict for b in full]) == majority(votes)
    assert len(early) == fewest(votes)
    assert stage().decided_early(SAMPLE, tuple(early)) == dict.fromkeys(JUDGES[len(early) :], 1)


def test_judges_that_a_policy_needs_are_asked_first_and_always() -> None:
    quality = stage(always=frozenset({"e", "d"}))
    assert quality.order == ("d", "e", "a", "b", "c")
    for votes in itertools.product(("yes", "no"), repeat=5):
        rows = hold(quality, dict(zip(JUDGES, votes, strict=True)))
        assert {"d", "e"} <= {b.judge for b in rows}
    everybody = stage(always=frozenset(JUDGES))
    assert len(hold(everybody, dict.fromkeys(JUDGES, "yes"))) == 5


def test_an_unreadable_reply_is_a_ballot_without_verdict_and_says_so() -> None:
    rows = hold(stage(), {**dict.fromkeys(JUDGES, "yes"), "a": None})
    assert rows[0].verdict is None
    assert rows[0].reason == "unreadable reply"
    assert rows[0].reply == "perhaps"
    assert rows[0].model == "print-a"


def test_a_caption_that_failed_is_not_judged() -> None:
    failed = Caption("s", "c1", "picture", 0, None, "m", "broken picture")
    assert CaptionQuality({"own/t": TASK}, {"s": (failed,)}, JUDGES).ask(SAMPLE, ()) == []
