"""What a report says of the verifier: every number is one of gates.json's, or follows from its counts."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from sklearn.metrics import precision_recall_fscore_support

from lookwise.benchmarks.utility import LABELS
from lookwise.report.gather import verifier_of
from lookwise.report.plots import calibration_charts
from lookwise.report.policy_page import verifier_section
from lookwise.report.terminal import show_verifier
from lookwise.report.verifier import verifier_report

COUNTS = {
    ("helpful", "helpful"): 6,
    ("helpful", "redundant"): 2,
    ("redundant", "helpful"): 4,
    ("misleading", "redundant"): 3,
}
SCORE = {
    "n": 16,
    "helpful": 8,
    "auc": 0.75,
    "error": 0.125,
    "bins": [{"n": 16, "predicted": 0.625, "helpful": 0.5}],
    "confusion": [{"known": k, "said": s, "n": n} for (k, s), n in COUNTS.items()],
    "unread": 1,
}
NONE = {"n": 0, "helpful": 0, "auc": None, "error": None, "bins": [], "confusion": [], "unread": 0}
GATES = {
    "threshold": None,
    "look_price": 0.01,
    "cost_curve": [{"threshold": None, "looked": 0.0, "worth": 0.0, "n": 40}],
    "verifier": {"truth": {"all": SCORE, "right product": NONE}, "measured": {"all": {**SCORE, "auc": None}}},
    "measured_against_truth": {"n": 200, "equal": 0.555},
    "policies": {},
}


def test_each_line_is_of_one_measure_and_empty_parts_are_left_out() -> None:
    found = verifier_report(GATES)
    assert found is not None
    assert found.lines == (
        ("the truth", "16", "8", ".750", ".125", "1"),
        ("measured worth", "16", "8", "none", ".125", "1"),
    )
    assert found.bins[0] == ("the truth", "16", ".625", ".500")
    assert found.remarks == (
        "measured against the truth: the same judgement of 55.5% of 200 candidates",
        "at a price of 0.01 nats a look, looking never pays (chosen on 40 validation samples)",
    )


def test_subsets_stand_after_all_samples() -> None:
    part = {**SCORE, "n": 5, "helpful": 2, "confusion": SCORE["confusion"][:1]}
    found = verifier_report({**GATES, "verifier_subsets": {"vision-salient": {"measured": {"all": part}}}})
    assert found is not None
    assert [line[:3] for line in found.lines] == [
        ("the truth", "16", "8"),
        ("measured worth", "16", "8"),
        ("measured worth, vision-salient", "5", "2"),
    ]
    names = ["the truth", "measured worth", "measured worth, vision-salient"]
    assert [name for name, _ in found.classes] == names
    assert [line[0] for line in found.bins] == names
    assert found.classes[2][1][0][1:3] == ("6", "6")


def test_validation_samples_are_said_to_be_such() -> None:
    whose = {"truth": {"splits": ["test"], "half": None, "samples": 2}}
    held = {**whose, "measured": {"splits": ["val"], "half": "readers", "samples": 1234}}
    part = {"measured": {"all": {**SCORE, "n": 5}}}
    gates = {**GATES, "verifier_samples": held, "verifier_subsets": {"vision-salient": part}}
    found = verifier_report({**gates, "measured_against_truth_subsets": {"vision-salient": {"n": 4, "equal": 0.5}}})
    assert found is not None
    assert [line[0] for line in found.lines] == [
        "the truth",
        "measured worth, validation",
        "measured worth, validation, vision-salient",
    ]
    assert found.remarks[:3] == (
        "validation: the readers' half of the validation samples, 1,234 of them, which did not teach the verifier; no "
        "test sample was measured, since no policy needs it",
        "measured against the truth (validation): the same judgement of 55.5% of 200 candidates",
        "measured against the truth (validation, vision-salient): the same judgement of 50.0% of 4 candidates",
    )
    tested = verifier_report({**GATES, "verifier_samples": whose | {"measured": whose["truth"]}})
    assert tested == verifier_report(GATES), "nothing to say of test samples, nor of runs that did not tell"


def test_scores_of_judgements_are_scikit_learns() -> None:
    found = verifier_report(GATES)
    assert found is not None
    pairs = [pair for pair, n in COUNTS.items() for _ in range(n)]
    theirs = precision_recall_fscore_support(
        [k for k, _ in pairs], [s for _, s in pairs], labels=list(LABELS), zero_division=0.0
    )
    for line, *scores in zip(found.classes[0][1], *theirs[:3], strict=True):
        for cell, value in zip(line[3:], scores, strict=True):
            assert cell == "none" or float(cell) == round(float(value), 3)
    assert found.classes[0][1][1] == ("ineffective", "0", "0", "none", "none", "none")


def test_it_is_drawn_on_the_page_and_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "gates.json").write_text(json.dumps(GATES), encoding="utf-8")
    found = verifier_of(tmp_path)
    assert found is not None
    page = verifier_section(found)
    assert page.count("<table>") == 4
    assert "by the truth" in page
    console = Console(width=132, record=True, no_color=True)
    show_verifier(console, found)
    said = console.export_text()
    assert ".750" in said
    assert "55.5%" in said


def test_a_run_without_a_verifier_says_nothing(tmp_path: Path) -> None:
    bare = {**GATES, "verifier": {}, "measured_against_truth": None, "cost_curve": []}
    assert verifier_report(bare) is None
    assert verifier_of(tmp_path) is None


def test_calibration_is_a_curve_of_all_and_of_right_products_alone() -> None:
    bins = [{"n": 40, "predicted": 0.125, "helpful": 0.25}, {"n": 10, "predicted": 0.875, "helpful": 0.5}]
    parts = {"all": {**SCORE, "bins": bins}, "right product": SCORE}
    found = verifier_report({**GATES, "verifier": {"measured": parts}})
    assert found is not None
    assert [curve.name for curve in found.curves] == ["measured worth", "measured worth, right product alone"]
    assert found.curves[0].points == ((0.125, 0.25, 40), (0.875, 0.5, 10))
    page = ElementTree.fromstring(calibration_charts(found.curves))
    first, second = page.findall("svg")
    dots = [(float(c.attrib["cx"]), float(c.attrib["cy"]), float(c.attrib["r"])) for c in first.iter("circle")]
    assert dots[0][0] < dots[1][0], "a higher probability stands further right"
    assert dots[0][1] > dots[1][1], "a larger share stands higher"
    assert dots[0][2] > dots[1][2], "more candidates make a larger point"
    assert len(list(second.iter("circle"))) == 1
    assert next(t.text for t in first.iter("title")) == "said .125, helpful .250, 40 candidates"
    assert calibration_charts(()) == ""
