"""How good a run's verifier is, as tables ready to be drawn: area under ROC, judgement by judgement, and calibration.

In: the record of gates.json (plain values).  Out: a frozen report that terminal.py and html.py draw alike.  It reads no
file; what it computes are precision and recall of each judgement, from the counts that the record holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookwise.benchmarks.utility import LABELS
from lookwise.report.words import number

__all__ = ["BIN_HEAD", "CLASS_HEAD", "VERIFIER_HEAD", "VERIFIER_NOTE", "Curve", "VerifierReport", "verifier_report"]

Record = Mapping[str, Any]
Cells = tuple[str, ...]
VERIFIER_HEAD = ("judged by", "candidates", "helpful", "area under ROC", "calibration error", "unread")
CLASS_HEAD = ("judgement", "known", "said", "precision", "recall", "F1")
BIN_HEAD = ("judged by", "candidates", "mean probability", "share helpful")
VERIFIER_NOTE = (
    "over candidates of test samples, unless the line says validation; area under ROC: of helpful against the rest; "
    "calibration error: mean distance of a probability from the share that was helpful, in ten equal parts; unread: "
    "judgements that could not be read, which are in none of the counts of judgements"
)
_SOURCES = {"truth": "the truth", "measured": "measured worth"}


@dataclass(frozen=True, slots=True)
class Curve:
    """A calibration curve: of each bin the mean probability said, the share that was helpful, and the candidates."""

    name: str
    points: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True, slots=True)
class VerifierReport:
    """Lines under VERIFIER_HEAD; by what they are judged, lines under CLASS_HEAD; lines under BIN_HEAD; and remarks.

    `curves` are drawn: of all candidates, and of right-product pictures alone.
    """

    lines: tuple[Cells, ...]
    classes: tuple[tuple[str, tuple[Cells, ...]], ...]
    bins: tuple[Cells, ...]
    remarks: tuple[str, ...]
    curves: tuple[Curve, ...] = ()


def verifier_report(gates: Record) -> VerifierReport | None:
    """Return what there is to say; None for a run without a verifier, and without measured worth to check."""
    parts = dict(_parts(gates))
    found = VerifierReport(
        lines=tuple(_lines(parts)),
        classes=tuple(
            (name, tuple(_classes(part["all"]["confusion"])))
            for name, part in parts.items()
            if part["all"]["confusion"]
        ),
        bins=tuple(
            (name, f"{one['n']:,}", number(one["predicted"]), number(one["helpful"]))
            for name, part in parts.items()
            for one in part["all"]["bins"]
        ),
        remarks=tuple(_remarks(gates)),
        curves=tuple(
            Curve(_whose(name, kinds), tuple((one["predicted"], one["helpful"], one["n"]) for one in score["bins"]))
            for name, part in parts.items()
            for kinds, score in part.items()
            if score["bins"]
        ),
    )
    return found if found.lines or found.remarks else None


def _parts(gates: Record) -> Iterator[tuple[str, Mapping[str, Record]]]:
    """Yield what there is by what it is judged by: of all samples, then of each subset."""
    for subset, scores in (("", gates.get("verifier", {})), *gates.get("verifier_subsets", {}).items()):
        for source, name in _SOURCES.items():
            if scores.get(source):
                words = (name, "validation" if _held(gates, source) else "", subset)
                yield ", ".join(filter(None, words)), scores[source]


def _held(gates: Record, source: str) -> Record | None:
    """Return which samples are meant where they are validation samples, since no test sample was measured."""
    whose: Record | None = gates.get("verifier_samples", {}).get(source)
    return whose if whose and whose["splits"] == ["val"] else None


def _lines(parts: Mapping[str, Mapping[str, Record]]) -> Iterator[Cells]:
    for name, part in parts.items():
        for kinds, score in part.items():
            if score["n"]:
                whose = _whose(name, kinds)
                counts = (f"{score['n']:,}", f"{score['helpful']:,}")
                yield (whose, *counts, _number(score["auc"]), _number(score["error"]), f"{score['unread']:,}")


def _whose(name: str, kinds: str) -> str:
    """Return by what candidates are judged, and which candidates."""
    return name + ("" if kinds == "all" else f", {kinds} alone")


def _classes(confusion: Sequence[Record]) -> Iterator[Cells]:
    for label in LABELS:
        known = sum(one["n"] for one in confusion if one["known"] == label)
        said = sum(one["n"] for one in confusion if one["said"] == label)
        both = sum(one["n"] for one in confusion if one["known"] == one["said"] == label)
        shares = (both / said if said else None, both / known if known else None)
        f1 = 2 * both / (known + said) if known + said else None
        yield (label, f"{known:,}", f"{said:,}", *map(_number, (*shares, f1)))


def _remarks(gates: Record) -> Iterator[str]:
    held = _held(gates, "measured")
    if held:
        half = "the readers' half of the validation samples" if held["half"] else "the validation samples"
        yield (
            f"validation: {half}, {held['samples']:,} of them, which did not teach the verifier; no test sample was "
            "measured, since no policy needs it"
        )
    for subset, agreed in (
        ("", gates.get("measured_against_truth")),
        *gates.get("measured_against_truth_subsets", {}).items(),
    ):
        if agreed:
            where = ", ".join(filter(None, ("validation" if held else "", subset)))
            yield (
                f"measured against the truth{f' ({where})' if where else ''}: the same judgement of "
                f"{agreed['equal']:.1%} of {agreed['n']:,} candidates"
            )
    if gates.get("cost_curve"):
        price, at = gates["look_price"], gates["threshold"]
        chosen = "looking never pays" if at is None else f"looking pays from a probability of {at:.3g}"
        n = gates["cost_curve"][0]["n"]
        yield f"at a price of {price:g} nats a look, {chosen} (chosen on {n:,} validation samples)"


def _number(value: float | None) -> str:
    return "none" if value is None else number(value)
