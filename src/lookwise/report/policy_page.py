"""The page's part on policies: the table with costs, score against cost, where the gates disagree, and the verifier.

In: tables of policies, disagreements, how good the verifier is.  Out: markup; every text in it is escaped.  It reads no
file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from lookwise.report.disagree import Decision, Disagreements, Split
from lookwise.report.markup import element, table
from lookwise.report.plots import calibration_charts, cost_charts
from lookwise.report.policies import HEADS, POLICY_NOTE, PolicyTable
from lookwise.report.verifier import BIN_HEAD, CLASS_HEAD, VERIFIER_HEAD, VERIFIER_NOTE, VerifierReport

__all__ = ["policy_section", "verifier_section"]

_ABOUT = 90
"""Letters of a sample's first field that are shown."""
_CHARTS_NOTE = (
    "Score (mean over tasks, with its 95 % interval) against tokens in and out a sample; hollow: an oracle, which "
    "nobody has at hand.  The charts share their scales."
)


def policy_section(tables: Sequence[PolicyTable], found: Disagreements) -> str:
    """Return the part."""
    return "\n".join([*map(_policies, tables), *_disagreements(found)])


def _policies(one: PolicyTable) -> str:
    head = [element("th", "policy"), *(element("th", name) for name in HEADS)]
    charts = cost_charts(one)
    note = element("p", POLICY_NOTE, "note")
    drawn = charts + element("p", _CHARTS_NOTE, "note") if charts else ""
    return element("h2", one.title) + table(head, _lines(one)) + note + drawn


def _lines(one: PolicyTable) -> Iterator[str]:
    group = None
    for line in one.lines:
        if line.group != group:
            yield f'<tr class="group"><th colspan="{len(HEADS) + 1}">{escape(line.group)}</th></tr>'
        group = line.group
        first, *rest = line.cells
        cells = element("td", line.policy) + element("td", first, "best" if line.best else "", f"n {line.n}")
        yield f'<tr class="reader">{cells}{"".join(element("td", cell) for cell in rest)}</tr>'


def _disagreements(found: Disagreements) -> Iterator[str]:
    if not found.pairs:
        return
    yield element("h2", "Where the gates disagree")
    head = [element("th", name) for name in ("gates", "both look", "only the first", "only the second", "neither")]
    yield table(head, _pairs(found))
    if not found.samples:
        yield element("p", "There is no sample of which one looks and another does not.", "note")
        return
    yield element(
        "p",
        f"{len(found.samples):,} of {found.total:,} samples of which one gate looks at a picture and another does not, "
        "those first whose best picture is worth most (nats of log p(target), by the truth where it is known, else as "
        "measured).  Each gate: the slots and candidates shown, and the answer of the reader that was tuned on it, or "
        "of the untuned one.",
        "note",
    )
    head = [element("th", name) for name in ("sample", "gold", "worth", *found.gates)]
    yield table(head, (f"<tr>{_sample(one)}</tr>" for one in found.samples))


def _pairs(found: Disagreements) -> Iterator[str]:
    for pair in found.pairs:
        counts = (pair.both, pair.only_first, pair.only_second, pair.neither)
        cells = element("td", f"{pair.first}, {pair.second}") + "".join(element("td", f"{n:,}") for n in counts)
        yield f'<tr class="reader">{cells}</tr>'


def _sample(one: Split) -> str:
    about = one.about if len(one.about) <= _ABOUT else one.about[:_ABOUT].rstrip() + " …"
    where = " ".join(filter(None, (one.sample, one.subset)))
    name = f'<td class="text">{escape(where)}{element("small", about)}</td>'
    worth = "" if one.worth is None else f"{one.worth:.3f}"
    cells = element("td", one.target or "") + element("td", worth)
    return name + cells + "".join(map(_decision, one.decisions))


def _decision(one: Decision) -> str:
    mark = {True: " ✓", False: " ✗", None: ""}[one.right]
    said = ("unreadable" if one.answer is None else one.answer) + mark
    return f'<td title="{escape(said)}">{escape(one.shown or "nothing")}{element("small", said)}</td>'


def verifier_section(found: VerifierReport) -> str:
    """Return the part on the verifier: how good it is, each judgement's scores, and its calibration, folded away."""
    parts = [element("h2", "The verifier")]
    if found.lines:
        parts += [_plain(VERIFIER_HEAD, found.lines), element("p", VERIFIER_NOTE, "note")]
    parts += [element("p", remark, "note") for remark in found.remarks]
    for source, lines in found.classes:
        parts += [element("h3", f"judgement by judgement, by {source}"), _plain(CLASS_HEAD, lines)]
    if found.bins:
        summary = element("summary", "in numbers: probabilities against what was helpful")
        parts += [element("h3", "calibration"), calibration_charts(found.curves)]
        parts.append(f"<details>{summary}{_plain(BIN_HEAD, found.bins)}</details>")
    return "\n".join(parts)


def _plain(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    cells = ("".join(element("td", cell) for cell in line) for line in lines)
    return table((element("th", name) for name in head), (f'<tr class="reader">{line}</tr>' for line in cells))
