"""report.html: one self-contained page with a run's tables and some of its samples.

In: a run folder.  Out: a file of at most 10 MB without any outside reference.  Every text that comes from a run is
escaped on its way into the markup; the samples travel as JSON in which `<` cannot occur, and page/page.js draws them as
text.  A policy in the page's head lets only our own script and style run, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import yaml

from lookwise.report.beside import BESIDE_HEAD, BESIDE_NOTE, BesideLine
from lookwise.report.browser import Browser, browse, safe_json
from lookwise.report.disagree import disagreements
from lookwise.report.gains import GAIN_NOTE, GainCell, GainTable
from lookwise.report.gather import Run, gather, policies_of, verifier_of
from lookwise.report.markup import element as _element
from lookwise.report.markup import table as _table
from lookwise.report.policy_page import policy_section, verifier_section
from lookwise.report.tables import CallLine, Cell, Line, ScoreTable
from lookwise.report.words import caption, change, metric_name, number, seconds, short_names, spread, wording
from lookwise.runs.files import write_bytes_atomic

__all__ = ["MAX_BYTES", "page_text", "write_page"]

MAX_BYTES = 10_000_000
_ROOM = 200_000
"""Bytes kept for the page's own text besides tables and samples."""
_PAGE = Path(__file__).parent / "page"
_DEFAULT_SAMPLES = 300
_DISAGREEMENTS = 60
"""Samples about which gates disagree that are listed."""


def write_page(folder: Path, page: Path) -> None:
    """Write the page of a run; `html_samples` of its recipe says how many samples to embed at most."""
    write_bytes_atomic(page, page_text(folder).encode("utf-8"))


def page_text(folder: Path) -> str:
    """Return the page of a run as HTML."""
    run = gather(folder)
    recipe = _recipe(run)
    parts = {
        "title": _title(run, recipe),
        "lede": _lede(run, recipe),
        "scores": "\n".join(
            [*_gain_tables(run.gains), *map(_score_table, run.tables), _beside(run.beside), _all_scores(run.scores)]
        ),
        "calls": _call_table(run.calls) if run.calls else "",
        "facts": _facts(run),
        "policies": _policies(folder),
    }
    room = MAX_BYTES - _ROOM - sum(len(part.encode()) for part in parts.values())
    browser = browse(folder, _limit(recipe), room)
    style, script = (_PAGE / "page.css").read_text("utf-8"), (_PAGE / "page.js").read_text("utf-8")
    return _fill(
        (_PAGE / "page.html").read_text("utf-8"),
        {
            **parts,
            "embedded": _embedded(browser),
            "data": safe_json(asdict(browser)),
            "style": style,
            "script": script,
            "style_hash": _digest(style),
            "script_hash": _digest(script),
        },
    )


def _policies(folder: Path) -> str:
    """Return the part on policies and their verifier; nothing for a run that shows no pictures."""
    tables, verifier = policies_of(folder), verifier_of(folder)
    parts = [policy_section(tables, disagreements(folder, _DISAGREEMENTS))] if tables else []
    return "\n".join([*parts, *([verifier_section(verifier)] if verifier else [])])


def _fill(template: str, parts: Mapping[str, str]) -> str:
    """Fill `{name}` holes in one pass, so that braces in what is filled in stay as they are."""
    return re.sub(r"\{([a-z_]+)\}", lambda hole: parts[hole[1]], template)


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _recipe(run: Run) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(run.recipe)
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}


def _limit(recipe: Mapping[str, Any]) -> int:
    limit = recipe.get("html_samples", _DEFAULT_SAMPLES)
    return limit if isinstance(limit, int) else _DEFAULT_SAMPLES


def _title(run: Run, recipe: Mapping[str, Any]) -> str:
    return escape(str(recipe.get("title") or recipe.get("name") or run.folder.name))


def _lede(run: Run, recipe: Mapping[str, Any]) -> str:
    said = [f"recipe {recipe['name']}"] if recipe.get("name") else []
    said += [f"{key} {run.record[key]}" for key in ("seed", "start", "end", "state") if key in run.record]
    said.append(wording(run.record))
    version = run.record.get("lookwise")
    return escape("; ".join([*said, *([f"lookwise {version}"] if version else [])]))


def _embedded(browser: Browser) -> str:
    shown = f"{len(browser.samples):,} of the {browser.total:,} samples that were answered are embedded here"
    return shown + ", task by task and split by split in turn." if browser.samples else "This run has no samples."


def _score_table(table: ScoreTable) -> str:
    names = short_names(table.columns)
    head = [_element("th", "policy")]
    for name, column in zip(names, table.columns, strict=True):
        small = _element("small", metric_name(column.metric)) + _element("small", f"n = {column.n:,}")
        head.append(f'<th title="{escape(column.name)}">{escape(name)}{small}</th>')
    head += [_element("th", "shown"), _element("th", "failed"), _element("th", "time")]
    notes = "".join(_element("p", line, "note") for line in caption(table))
    return _element("h2", table.title) + _table(head, _score_rows(table)) + notes


def _score_rows(table: ScoreTable) -> Iterable[str]:
    group = ""
    for line in table.lines:
        if line.group and line.group != group:
            time = "" if line.seconds is None else seconds(line.seconds)
            name = f'<th colspan="{len(table.columns) + 3}">{escape(line.group)}</th>'
            yield f'<tr class="group">{name}{_element("td", time)}</tr>'
        group = line.group
        yield f'<tr class="{line.kind}">{_score_line(line)}</tr>'


def _score_line(line: Line) -> str:
    used = "" if line.used is None else f"{line.used:.0%}"
    failed = "" if line.failed is None else f"{line.failed:,}"
    cells = [_element("td", line.label, title=line.note), *map(_score_cell, line.cells)]
    return "".join([*cells, _element("td", used), _element("td", failed), "<td></td>"])


def _score_cell(cell: Cell | None) -> str:
    if cell is None or cell.value is None:
        return _element("td", "" if cell is None else "none")
    kinds = [name for name, holds in (("best", cell.best), ("odd", cell.one_sided is not None)) if holds]
    said, half = [], ""
    if cell.low is not None and cell.high is not None:
        said.append(f"{number(cell.low)} to {number(cell.high)}")
        half = _element("small", spread(cell.low, cell.high))
    said += [f"n {cell.n}, failed {cell.failed}"] if cell.n else []
    said += [f"one answer in {cell.one_sided:.1%}"] if cell.one_sided is not None else []
    attribute = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<td{attribute} title="{escape("; ".join(said))}">{escape(number(cell.value))}{half}</td>'


def _gain_tables(tables: Sequence[GainTable]) -> Iterable[str]:
    yield from map(_gain_table, tables)
    if tables:
        yield _element("p", GAIN_NOTE, "note")


def _gain_table(table: GainTable) -> str:
    names = short_names(table.columns)
    head = ["<th></th>"]
    for name, column in zip(names, table.columns, strict=True):
        small = _element("small", metric_name(column.metric)) + _element("small", f"n = {column.n:,}")
        head.append(f'<th title="{escape(column.name)}">{escape(name)}{small}</th>')
    rows, group = [], ""
    for line in table.lines:
        if line.group != group:
            rows.append(f'<tr class="group"><th colspan="{len(names) + 1}">{escape(line.group)}</th></tr>')
        group = line.group
        cells = _element("td", line.label) + "".join(map(_gain_cell, line.cells))
        rows.append(f'<tr class="reader">{cells}</tr>')
    return _element("h2", table.title) + _table(head, rows)


def _gain_cell(cell: GainCell | None) -> str:
    if cell is None or cell.value is None:
        return _element("td", "" if cell is None else "none")
    said = [f"only the first right {cell.wins}, only the second {cell.losses}, n {cell.n}"]
    half = ""
    if cell.low is not None and cell.high is not None:
        said.insert(0, f"{change(cell.low)} to {change(cell.high)}")
        half = _element("small", spread(cell.low, cell.high))
    odd = " odd" if cell.one_sided else ""
    title = escape("; ".join(said))
    return f'<td class="{cell.verdict}{odd}" title="{title}">{escape(change(cell.value))}{half}</td>'


def _beside(lines: Sequence[BesideLine]) -> str:
    """Return written and ranked answers side by side, and samples where they differ; nothing where none were ranked."""
    if not lines:
        return ""
    rows, group = [], ""
    for line in lines:
        if line.group != group:
            rows.append(f'<tr class="group"><th colspan="{len(BESIDE_HEAD)}">{escape(line.group)}</th></tr>')
        group = line.group
        rows.append(f'<tr class="reader">{"".join(_element("td", cell) for cell in line.cells)}</tr>')
    table = _table((_element("th", name) for name in BESIDE_HEAD), rows)
    head = ("task, split, policy", "sample", "gold", "reply", "read as", "ranked first")
    body = (
        "<tr>" + "".join(_element("td", text, "text") for text in (line.cells[0], *texts)) + "</tr>"
        for line in lines
        for texts in ((e.sample_id, e.target, e.reply, e.written, e.ranked) for e in line.examples)
    )
    examples = _table((_element("th", name) for name in head), body)
    samples = f"<details>{_element('summary', 'samples where they differ')}{examples}</details>"
    return _element("h2", "Written and ranked answers") + table + _element("p", BESIDE_NOTE, "note") + samples


_SCORE_FIELDS = (
    *("benchmark", "task", "split", "subset", "policy", "model", "training", "tuned_on", "metric"),
    *("value", "low", "high", "n", "failed", "over"),
)


def _all_scores(scores: Sequence[Mapping[str, Any]]) -> str:
    """Return every record, all metrics, folded away."""
    rows = ("<tr>" + "".join(_plain_cell(record.get(field)) for field in _SCORE_FIELDS) + "</tr>" for record in scores)
    table = _table((_element("th", field) for field in _SCORE_FIELDS), rows)
    return f"<details>{_element('summary', f'all {len(scores):,} scores, every metric')}{table}</details>"


def _plain_cell(value: object) -> str:
    if isinstance(value, float):
        return _element("td", number(value))
    return _element("td", "" if value is None else str(value), "text" if isinstance(value, str) else "")


def _call_table(lines: Sequence[CallLine]) -> str:
    counted = ("asked", "merged", "stored", "decided early", "sent", "failed", "time")
    head = [_element("th", "stage"), _element("th", "model", "text"), *(_element("th", name) for name in counted)]
    rows = []
    for line in lines:
        counts = (line.asked, line.merged, line.stored, line.decided_early, line.sent, line.failed)
        cells = _element("td", line.stage) + _element("td", line.model or "all models", "text")
        cells += "".join(_element("td", f"{count:,}") for count in counts) + _element("td", seconds(line.seconds))
        kind = "call" if line.model else "sum"
        rows.append(f'<tr class="{kind}">{cells}</tr>')
    note = "merged: equal to another request; stored: answered from an earlier call; decided early: never asked, since "
    note += "the majority was certain; time: of the batches sent."
    return _element("h2", "Calls") + _table(head, rows) + _element("p", note, "note")


def _facts(run: Run) -> str:
    pairs = "".join(_element("dt", key) + _element("dd", _flat(value)) for key, value in run.record.items())
    summary = _element("summary", "the recipe, every default written out")
    recipe = f"<details>{summary}{_element('pre', run.recipe)}</details>" if run.recipe else ""
    return _element("h2", "The run") + f"<dl>{pairs}</dl>" + recipe


def _flat(value: object) -> str:
    """Return a value of run.json on one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_flat(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_flat, value))
    return str(value)
