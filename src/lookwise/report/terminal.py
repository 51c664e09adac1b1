"""The tables on a terminal: as wide as it is, in plain text where there is none.

In: the tables of tables.py, or a run folder.  Out: lines through rich.  A table that is too wide is cut into several by
its columns, the first one repeated.  It computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lookwise.report.beside import BESIDE_HEAD, BESIDE_NOTE, BesideLine
from lookwise.report.gains import GAIN_NOTE, GainCell, GainTable
from lookwise.report.gather import gather, policies_of, verifier_of
from lookwise.report.policies import HEADS, POLICY_NOTE, PolicyTable
from lookwise.report.tables import CallLine, Cell, Column, Line, ScoreTable
from lookwise.report.verifier import CLASS_HEAD, VERIFIER_HEAD, VERIFIER_NOTE, VerifierReport
from lookwise.report.words import caption, change, metric_name, number, seconds, short_names, spread, wording

__all__ = ["beside_table", "call_table", "gain_parts", "policy_table", "score_parts", "show", "show_verifier"]

_PLAIN_WIDTH = 132
"""Width where the output is a file or a pipe."""
_SIDE = 21
"""What the columns `shown`, `failed` and `time` take."""
_GAP = 2
_VERDICTS = {"pays": ("*", "bold green"), "costs": ("*", "bold red"), "unclear": (" ", "")}
_STYLES = {"baseline": "dim", "ceiling": "italic", "published": "cyan", "reader": ""}


def show(folder: Path, console: Console | None = None) -> None:
    """Print a run's tables."""
    out = console or Console(highlight=False)
    if console is None and not out.is_terminal:
        out = Console(highlight=False, width=_PLAIN_WIDTH, no_color=True)
    run = gather(folder)
    for table in run.tables:
        shown = _whole_tasks(table)
        for part in score_parts(shown, out.width):
            out.print(part)
        for line in caption(shown):
            out.print(Padding(Text(line, style="dim"), (0, 0, 0, 1)))
        out.print()
    for gains in run.gains:
        for part in gain_parts(gains, out.width):
            out.print(part)
        if gains is run.gains[-1]:
            out.print(Padding(Text(GAIN_NOTE, style="dim"), (0, 0, 0, 1)))
        out.print()
    if run.beside:
        out.print(beside_table(run.beside))
        out.print(Padding(Text(BESIDE_NOTE, style="dim"), (0, 0, 0, 1)))
        out.print()
    policies = policies_of(folder)
    for one in policies:
        out.print(policy_table(one))
    if policies:
        out.print(Padding(Text(POLICY_NOTE, style="dim"), (0, 0, 1, 1)))
    show_verifier(out, verifier_of(folder))
    if run.calls:
        out.print(call_table(run.calls))
    out.print(Padding(Text(wording(run.record), style="dim"), (0, 0, 0, 1)))


def show_verifier(out: Console, found: VerifierReport | None) -> None:
    """Print how good a run's verifier is; nothing for a run without one."""
    if found is None:
        return
    if found.lines:
        out.print(_plain_table("the verifier", VERIFIER_HEAD, found.lines))
    for source, lines in found.classes:
        out.print(_plain_table(f"its judgements, by {source}", CLASS_HEAD, lines))
    for line in (*([VERIFIER_NOTE] if found.lines else []), *found.remarks):
        out.print(Padding(Text(line, style="dim"), (0, 0, 0, 1)))
    out.print()


def _plain_table(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    table = _table(title)
    for i, name in enumerate(head):
        table.add_column(name, justify="right" if i else "left", overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))
    return table


def beside_table(lines: Sequence[BesideLine]) -> Table:
    """Return written and ranked answers side by side, a line for each reader, policy and task."""
    table = _table("written and ranked answers")
    for i, name in enumerate(BESIDE_HEAD):
        table.add_column(name, justify="right" if i else "left", overflow="fold")
    group = ""
    for line in lines:
        if line.group != group:
            table.add_row(Text(line.group, style="bold"), *[""] * (len(BESIDE_HEAD) - 1))
        group = line.group
        table.add_row(*map(Text, line.cells))
    return table


def _whole_tasks(table: ScoreTable) -> ScoreTable:
    """Return the table without the columns of subsets: a terminal has no room for them, the page shows them."""
    keep = [i for i, column in enumerate(table.columns) if column.subset is None]
    lines = tuple(replace(line, cells=tuple(line.cells[i] for i in keep)) for line in table.lines)
    return replace(table, columns=tuple(table.columns[i] for i in keep), lines=lines)


def score_parts(table: ScoreTable, width: int) -> Iterator[Table]:
    """Yield a score table in as many parts as the width asks for, about equally wide."""
    label = max((_cell_width(Text(text)) for line in table.lines for text in (_label(line), line.group)), default=0)
    names = short_names(table.columns)
    widths = [_column_width(table, i, names[i]) + _GAP for i in range(len(table.columns))]
    for chosen in _cut(widths, width - label - _SIDE):
        yield _score_part(table, chosen, names, _continued(table.title, chosen))


def gain_parts(table: GainTable, width: int) -> Iterator[Table]:
    """Yield a table of gains in as many parts as the width asks for."""
    names = short_names(table.columns)
    label = max((len(text) for line in table.lines for text in (line.label, line.group)), default=0) + _GAP
    heads = [_head(name, column) for name, column in zip(names, table.columns, strict=True)]
    widths = [
        max(_cell_width(head), *(_cell_width(_gain_cell(line.cells[i])) for line in table.lines)) + _GAP
        for i, head in enumerate(heads)
    ]
    for chosen in _cut(widths, width - label - _GAP):
        yield _gain_part(table, chosen, heads, _continued(table.title, chosen))


def _gain_part(table: GainTable, chosen: range, heads: Sequence[Text], title: str) -> Table:
    part = _table(title)
    part.add_column("", overflow="fold")
    for i in chosen:
        part.add_column(heads[i], justify="right", no_wrap=True)
    group = ""
    for line in table.lines:
        if line.group != group:
            part.add_row(Text(line.group, style="bold"), *[""] * len(chosen))
        group = line.group
        part.add_row(Text(f"  {line.label}"), *(_gain_cell(line.cells[i]) for i in chosen))
    return part


def _gain_cell(cell: GainCell | None) -> Text:
    if cell is None or cell.value is None:
        return Text("" if cell is None else "none")
    mark, style = _VERDICTS[cell.verdict]
    text = Text(change(cell.value), style=style)
    if cell.low is not None and cell.high is not None:
        text.append(spread(cell.low, cell.high), "dim")
    return text.append(mark).append("!" if cell.one_sided else "", "yellow")


def _cut(widths: Sequence[int], room: int) -> Iterator[range]:
    """Yield the columns in runs of equal length that fit the room, the last perhaps shorter."""
    parts, step = 1, max(1, len(widths))
    while parts < len(widths) and any(sum(widths[i : i + step]) > room for i in range(0, len(widths), step)):
        parts += 1
        step = -(-len(widths) // parts)
    yield from (range(i, min(i + step, len(widths))) for i in range(0, max(1, len(widths)), step))


def _continued(title: str, chosen: range) -> str:
    return f"{title}, continued" if chosen.start else title


def _cell_width(text: Text) -> int:
    return max((part.cell_len for part in text.split()), default=0)


def _column_width(table: ScoreTable, index: int, name: str) -> int:
    cells = [_cell_width(_score_cell(line.cells[index])) for line in table.lines]
    return max(_cell_width(_head(name, table.columns[index])), *cells)


def _score_part(table: ScoreTable, chosen: range, names: Sequence[str], title: str) -> Table:
    part = _table(title)
    part.add_column("policy", overflow="fold")
    for i in chosen:
        part.add_column(_head(names[i], table.columns[i]), justify="right", no_wrap=True)
    part.add_column("shown", justify="right", no_wrap=True)
    part.add_column("failed", justify="right", no_wrap=True)
    part.add_column("time", justify="right", no_wrap=True)
    place: tuple[str, str] | None = None
    for line in table.lines:
        if place is not None and (line.group, line.kind) != place:
            part.add_section()
        if line.group and (line.group, line.kind) != place:
            time = "" if line.seconds is None else seconds(line.seconds)
            part.add_row(Text(line.group, style="bold"), *[""] * (len(chosen) + 2), Text(time))
        place = (line.group, line.kind)
        part.add_row(*_score_row(line, chosen), style=_STYLES[line.kind])
    return part


def _table(title: str) -> Table:
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, show_edge=False, collapse_padding=True, pad_edge=False)
    table.title_justify, table.title_style = "left", "bold"
    return table


def _head(name: str, column: Column) -> Text:
    return Text(f"{name}\n{metric_name(column.metric)}\nn={column.n}", justify="right")


def _label(line: Line) -> str:
    return f"  {line.label}" if line.group else line.label


def _score_row(line: Line, chosen: Sequence[int]) -> list[Text]:
    used = "" if line.used is None else f"{line.used:.0%}"
    failed = "" if line.failed is None else str(line.failed)
    return [Text(_label(line)), *(_score_cell(line.cells[i]) for i in chosen), Text(used), Text(failed)]


def _score_cell(cell: Cell | None) -> Text:
    if cell is None:
        return Text("")
    if cell.value is None:
        return Text("none")
    marks = ("*" if cell.best else "") + ("!" if cell.one_sided is not None else "")
    text = Text(number(cell.value) + (marks or " "), style="bold green" if cell.best else "")
    if cell.low is not None and cell.high is not None:
        text.append(spread(cell.low, cell.high), "dim")
    return text


def policy_table(table: PolicyTable) -> Table:
    """Return the policies with their scores, costs and regrets; a heading for every reader."""
    drawn = _table(table.title)
    drawn.add_column("policy", overflow="fold")
    for head in HEADS:
        drawn.add_column(head.replace(" ", "\n", 1), justify="right", no_wrap=True)
    group = ""
    for line in table.lines:
        if line.group != group:
            drawn.add_row(Text(line.group, style="bold"), *[""] * len(HEADS))
        group = line.group
        cells = [Text(cell, style="bold green" if line.best and i == 0 else "") for i, cell in enumerate(line.cells)]
        drawn.add_row(Text(f"  {line.policy}"), *cells)
    return drawn


def call_table(lines: Sequence[CallLine]) -> Table:
    """Return the calls as a table: a line for a stage, with its models below where there are several."""
    table = _table("calls")
    table.add_column("stage, model", overflow="fold")
    for name in ("asked", "merged", "stored", "early", "sent", "failed", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    stage = ""
    for line in lines:
        counts = (line.asked, line.merged, line.stored, line.decided_early, line.sent, line.failed)
        name = f"  {line.model}" if line.stage == stage else line.stage
        name += f", {line.model}" if line.stage != stage and line.model else ""
        stage = line.stage
        table.add_row(Text(name), *(Text(f"{count:,}") for count in counts), Text(seconds(line.seconds)))
    return table
