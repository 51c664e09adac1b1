"""Policies side by side: the table, score against cost, and where the gates disagree."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from rich.console import Console

from lookwise.report.disagree import Pair, disagreements
from lookwise.report.plots import cost_charts
from lookwise.report.policies import HEADS, policy_tables
from lookwise.report.policy_page import policy_section
from lookwise.report.terminal import policy_table
from lookwise.rows import Evidence, Prediction, Utility
from lookwise.runs.store import write_rows
from lookwise.sample import Sample

HOSTILE = '<img src=x onerror="alert(1)">&'


def record(policy: str, tuned_on: str, value: float | None, tokens: float, **more: Any) -> dict[str, Any]:
    where = {"benchmark": "ecommmu", "split": "test", "subset": None, "model": "m", "training": "generalist"}
    spent = {"pictures": 1.5, "captions": 0.0, "calls": 9.0, "tokens_in": tokens, "tokens_out": 2.0}
    half = {"low": None if value is None else value - 0.1, "high": None if value is None else value + 0.1, "n": 40}
    given = {**where, **spent, **half, "policy": policy, "tuned_on": tuned_on, "value": value}
    return {**given, "regret": {"truth": 0.25, "measured": None}, **more}


RECORDS = [
    record("none", "none", 0.5, 100),
    record("visuals:always", "none", 0.4, 700),
    record("none", "visuals:always", 0.6, 100),
    record("visuals:oracle/truth", "visuals:always", 0.7, 1500, regret={"truth": 0.0}),
    record("none", "none", 0.3, 90, subset="vision-salient"),
]


def test_a_table_per_split_and_subset_with_readers_together() -> None:
    whole, salient = policy_tables(RECORDS)
    assert [t.title for t in (whole, salient)] == [
        "policies, ecommmu, test",
        "policies, ecommmu, test, vision-salient",
    ]
    assert whole.groups == ("tuned on none", "tuned on visuals:always")
    assert [line.best for line in whole.lines] == [False, False, True, False], "the best that one can have: no oracle"
    assert dict(zip(HEADS, whole.lines[0].cells, strict=True)) == {
        "mean score": ".500±.10",
        "pictures": "1.50",
        "captions": "0.00",
        "calls": "9.0",
        "tokens in": "100",
        "out": "2",
        "regret, truth": "0.250",
        "measured": "",
    }
    assert policy_tables([record("none", "none", None, 1)])[0].lines[0].cells[0] == "none"
    assert policy_tables([]) == ()


def test_a_subset_of_any_name_is_drawn_as_it_is_on_a_terminal() -> None:
    out = io.StringIO()
    (table,) = policy_tables([record("none", "", 0.5, 100, subset="[/b][red]")])
    Console(file=out, width=132).print(policy_table(table))
    assert "policies, ecommmu, test, [/b][red]" in out.getvalue()


def test_charts_share_their_scales_and_are_sound_markup() -> None:
    table = policy_tables(RECORDS)[0]
    charts = ElementTree.fromstring(cost_charts(table)).findall("svg")
    assert len(charts) == 2
    places = [[float(dot.get("cx", "")) for dot in chart.iter("circle")] for chart in charts]
    assert places[0][0] == places[1][0], "the same cost stands at the same place in both charts"
    assert places[0][0] < places[0][1] < places[1][1]
    heights = {dot.get("cy") for chart in charts for dot in chart.iter("circle")}
    assert len(heights) == 4
    assert [dot.get("fill") == "none" for dot in charts[1].iter("circle")] == [False, True], "an oracle is hollow"
    labels = [text.text for text in charts[0].iter("text")]
    assert "1  none" in labels
    assert "2  visuals:always" in labels
    assert any("logarithmic" in str(text) for text in labels)


def test_points_upon_one_another_share_a_label() -> None:
    same = [record(f"visuals:{name}", "none", 0.5, 100) for name in ("a", "b")] + [record("none", "none", 0.5, 9000)]
    labels = [text.text for text in ElementTree.fromstring(cost_charts(policy_tables(same)[0])).iter("text")]
    assert "1, 2" in labels
    assert "3" in labels
    assert "2" not in labels


def test_charts_escape_and_need_something_to_compare() -> None:
    hostile = [record("none", HOSTILE, 0.5, 100), record(f"visuals:{HOSTILE}", HOSTILE, 0.4, 200)]
    drawn = cost_charts(policy_tables(hostile)[0])
    assert "<img" not in drawn
    assert ElementTree.fromstring(drawn) is not None
    assert cost_charts(policy_tables(hostile[:1])[0]) == ""
    assert cost_charts(policy_tables([record("none", "", None, 9), record("x:y", "", None, 9)])[0]) == ""


VOTE, PICKED, ORACLE = "captions:vote", "visuals:predicted", "visuals:oracle/truth"


def run(folder: Path, policies: tuple[str, ...] = ("none", "visuals:always", VOTE, PICKED, ORACLE)) -> Path:
    """Three samples: about `a` the gates agree, of `b` only the vote shows, of `c` only the verifier's pick."""
    looks = {VOTE: "ab", PICKED: "ac", ORACLE: "c", "none": "", "visuals:always": "abc"}
    samples = [Sample(i, "b", "b/t", "test", (("query", HOSTILE),), (), (), "yes") for i in "abc"]
    evidence, predictions = [], []
    for policy in policies:
        for i in "abc":
            kind = "none" if i not in looks[policy] else "caption" if policy == VOTE else "image"
            evidence.append(Evidence(i, policy, "product", kind, None, 2))  # type: ignore[arg-type]
            for tuned_on in ("none", PICKED):
                said = "yes" if tuned_on == policy else "no"
                predictions.append(Prediction(i, "b/t", "test", policy, tuned_on, None, said, (), "m", "r"))
    worth = [Utility(i, None, 2, None, gain, None, None, None, "n", "truth", "m") for i, gain in (("b", 0.1), ("c", 2))]
    rows: dict[str, tuple[type, list[Any]]] = {
        "samples": (Sample, samples),
        "evidence": (Evidence, evidence),
        "predictions": (Prediction, predictions),
        "utilities": (Utility, worth),
    }
    for stage, (kind, mine) in rows.items():
        write_rows(folder / "rows" / stage, kind, mine)
    return folder


def test_the_samples_about_which_gates_disagree_come_by_what_is_at_stake(tmp_path: Path) -> None:
    found = disagreements(run(tmp_path), 10)
    assert found.gates == (VOTE, PICKED, ORACLE)
    assert found.pairs[0] == Pair(VOTE, PICKED, both=1, only_first=1, only_second=1, neither=0)
    assert [(s.sample, s.worth) for s in found.samples] == [("c", 2.0), ("b", 0.1)]
    assert found.total == 2
    vote, picked, oracle = found.samples[0].decisions
    assert (vote.shown, picked.shown, oracle.shown) == ("", "product[2]", "product[2]")
    assert (vote.right, picked.right) == (False, True), "each by the reader that was tuned on it, where there is one"
    assert found.samples[0].about == f"query: {HOSTILE}"
    some = disagreements(tmp_path, 1)
    assert (len(some.samples), some.total) == (1, 2)


def test_the_page_escapes_what_it_lists(tmp_path: Path) -> None:
    drawn = policy_section(policy_tables(RECORDS), disagreements(run(tmp_path), 1))
    assert "<img" not in drawn
    assert "&lt;img" in drawn
    assert "1 of 2 samples" in drawn
    assert drawn.count("<svg") == 2
    assert drawn.index("policies, ecommmu, test</h2>") < drawn.index("Where the gates disagree")
    alone = policy_section(policy_tables(RECORDS[:1]), disagreements(run(tmp_path / "blind", ("none",)), 1))
    assert "<svg" not in alone
    assert "disagree" not in alone


def test_a_single_gate_is_held_to_the_oracle(tmp_path: Path) -> None:
    found = disagreements(run(tmp_path, ("none", PICKED, ORACLE)), 10)
    assert [s.sample for s in found.samples] == ["a"]
    assert disagreements(run(tmp_path / "blind", ("none", "visuals:always")), 10).gates == ()
