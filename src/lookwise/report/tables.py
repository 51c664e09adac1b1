"""Score records and call counts as tables, ready to be drawn: which lines, which columns, what is best, what is odd.

In: the records of scores.json and the counts of calls.json (plain values), and the share of pictures that each policy
shows.  Out: frozen tables that terminal.py and html.py draw alike.  It reads no file, computes no score, and knows
nothing about widths, colours or HTML.  Capabilities, and the subsets that a benchmark declares, have tables of their
own; any other subset is a column beside its task.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lookwise.benchmarks.catalog import BENCHMARKS

__all__ = [
    "CallLine",
    "Cell",
    "Column",
    "Line",
    "LineKind",
    "Reader",
    "ScoreTable",
    "call_lines",
    "declared_subsets",
    "group_of",
    "is_oracle",
    "kind_of",
    "label_of",
    "score_tables",
    "several_models",
]

Record = Mapping[str, Any]
_CAPABILITIES = ", capabilities"
LineKind = Literal["baseline", "reader", "ceiling", "published"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who answered under which policy: what identifies a line of the table and its predictions."""

    model: str
    training: str
    tuned_on: str
    policy: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One score; `value` None: nothing could be scored.  `one_sided`: the commonest answer's share, if over 95 %."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    failed: int
    best: bool = False
    one_sided: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A task (or a subset of it, or a capability) with its primary metric and the samples scored."""

    task: str
    subset: str | None
    metric: str
    n: int

    @property
    def name(self) -> str:
        """The task without its benchmark, its subset behind."""
        short = self.task.rsplit("/", 1)[-1]
        return f"{short} [{self.subset}]" if self.subset else short


@dataclass(frozen=True, slots=True)
class Line:
    """One reader under one policy (or a baseline, a ceiling, a published system) over all tasks of a split.

    `used` is the share of captions or pictures that the policy shows there.  `group` is what the lines of one reader
    share ("tuned on captions:vote"); it is empty outside readers.  `seconds` is what all answers of that reader took,
    under every policy and in every split together.
    """

    kind: LineKind
    group: str
    label: str
    cells: tuple[Cell | None, ...]
    used: float | None = None
    reader: Reader | None = None
    note: str = ""
    seconds: float | None = None

    @property
    def failed(self) -> int | None:
        """Samples without a readable answer, over all tasks."""
        counts = [cell.failed for cell in self.cells if cell is not None]
        return sum(counts) if counts and self.kind != "published" else None


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """All lines of one benchmark and split; `part` says which of its scores, where these are not the tasks' own."""

    benchmark: str
    split: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    part: str = ""

    @property
    def title(self) -> str:
        """What the split means, in words where it is a usual one."""
        meaning = {"test": "in domain", "ood": "out of domain", "val": "validation"}.get(self.split)
        return f"{self.benchmark}, {self.split}" + (f" ({meaning})" if meaning else "") + self.part


@dataclass(frozen=True, slots=True)
class CallLine:
    """Calls of one stage and model, or (model "") of a whole stage; `seconds` is wall time of the batches sent."""

    stage: str
    model: str
    asked: int
    merged: int
    stored: int
    decided_early: int
    sent: int
    failed: int
    seconds: float


def score_tables(
    scores: Sequence[Record],
    used: Mapping[tuple[str, str], float] | None = None,
    calls: Sequence[CallLine] = (),
) -> tuple[ScoreTable, ...]:
    """Return the tables of every benchmark and split, in the order of the records.

    `used` is keyed by (split, policy).  Only primary metrics stand here.
    """
    primary = [record for record in scores if record.get("primary")]
    places = dict.fromkeys((str(r["benchmark"]), str(r["split"])) for r in primary)
    tables = []
    for benchmark, split in places:
        here = [r for r in primary if (r["benchmark"], r["split"]) == (benchmark, split)]
        parts = _parts(here, declared_subsets(benchmark))
        tables += [
            replace(
                _table(benchmark, split, mine, used or {} if not part else {}, calls if not part else ()), part=part
            )
            for part, mine in parts.items()
        ]
    return tuple(tables)


def declared_subsets(benchmark: str) -> tuple[str, ...]:
    """Return the subsets that a benchmark scores in a table of their own."""
    return BENCHMARKS[benchmark].subsets if benchmark in BENCHMARKS else ()


def _parts(records: Sequence[Record], declared: Sequence[str]) -> dict[str, list[Record]]:
    """Return the records by the table that they belong to: the tasks', the capabilities', each declared subset's.

    Within a subset's table capabilities come first, and a column need not say the subset again.
    """
    parts: dict[str, list[Record]] = {"": []}
    for record in sorted(records, key=lambda r: not r.get("capability")):
        subset = record.get("subset")
        if subset in declared:
            parts.setdefault(f", {subset}", []).append({**record, "subset": None})
        else:
            parts.setdefault(_CAPABILITIES if record.get("capability") else "", []).append(record)
    return {part: parts[part] for part in sorted(parts, key=_part_order) if parts[part]}


def _part_order(part: str) -> tuple[bool, bool]:
    return bool(part), part != _CAPABILITIES


def _table(
    benchmark: str,
    split: str,
    records: Sequence[Record],
    used: Mapping[tuple[str, str], float],
    calls: Sequence[CallLine],
) -> ScoreTable:
    columns = _columns(records)
    readers = dict.fromkeys(_reader(record) for record in records)
    several = several_models(readers)
    lines = []
    for reader in readers:
        mine = {(_task(r), r.get("subset")): r for r in records if _reader(r) == reader}
        cells = tuple(_cell(mine[c.task, c.subset]) if (c.task, c.subset) in mine else None for c in columns)
        kind = kind_of(reader)
        shown = used.get((split, reader.policy)) if kind == "reader" else None
        lines.append(
            Line(
                kind, group_of(reader, several), label_of(reader), cells, shown, reader, seconds=_seconds(reader, calls)
            )
        )
    lines = [*_mark_best(lines, len(columns)), *_published(records, columns)]
    order = {"baseline": 0, "reader": 1, "published": 2, "ceiling": 3}
    return ScoreTable(benchmark, split, columns, tuple(sorted(lines, key=lambda line: order[line.kind])))


def _columns(records: Sequence[Record]) -> tuple[Column, ...]:
    found: dict[tuple[str, str | None], Column] = {}
    for record in records:
        key = (_task(record), record.get("subset"))
        known = found.get(key)
        n = max(int(record["n"]), known.n if known else 0)
        found[key] = Column(key[0], key[1], str(record["metric"]), n)
    return tuple(found.values())


def _task(record: Record) -> str:
    """Return what a record's column is of: its task, or its capability."""
    return str(record.get("capability") or record["task"])


def _reader(record: Record) -> Reader:
    return Reader(*(str(record.get(field) or "") for field in ("model", "training", "tuned_on", "policy")))


def several_models(readers: Iterable[Reader]) -> bool:
    """Return whether readers differ in more than their tuning, so that a group has to name its model."""
    return len({reader.model for reader in readers if kind_of(reader) == "reader"}) > 1


def kind_of(reader: Reader) -> LineKind:
    """Return what sort of line a reader makes."""
    if reader.policy.startswith("ceiling"):
        return "ceiling"
    names = (reader.policy, reader.training, reader.model)
    return "baseline" if any(name.startswith(("majority", "baseline")) for name in names) else "reader"


def is_oracle(policy: str) -> bool:
    """Return whether a policy goes by what nobody knows beforehand, were it by how much an oracle shows alone."""
    return "oracle/" in policy


def group_of(reader: Reader, named: bool) -> str:
    """Return what the lines of one reader share, whatever policy it answers under; "" for baselines and ceilings."""
    if kind_of(reader) != "reader":
        return ""
    how = f"tuned on {reader.tuned_on}" if reader.tuned_on else reader.training or "as it is"
    if reader.training == "per-task":
        how += ", per task"
    return f"{reader.model}, {how}" if named else how


def label_of(reader: Reader) -> str:
    """Return the name of a line."""
    kind = kind_of(reader)
    if kind == "ceiling":
        return "ceiling, " + (reader.policy.partition("/")[2] or "exact")
    return "majority class" if kind == "baseline" else reader.policy


def _seconds(reader: Reader, calls: Sequence[CallLine]) -> float | None:
    """Return what a reader's answers took.

    Calls name a reader as the pipeline does: "reader", "reader[policy]" or "reader[policy, task]".
    """
    if kind_of(reader) != "reader":
        return None
    name = f"reader[{reader.tuned_on}" if reader.tuned_on else "reader"
    mine = [c for c in calls if c.model == name or c.model.startswith((name + "]", name + ","))]
    return sum(c.seconds for c in mine) if mine else None


def _cell(record: Record) -> Cell:
    return Cell(
        value=record.get("value"),
        low=record.get("low"),
        high=record.get("high"),
        n=int(record["n"]),
        failed=int(record.get("failed") or 0),
        one_sided=record.get("commonest_share") if record.get("one_sided") else None,
    )


def _mark_best(lines: Sequence[Line], columns: int) -> list[Line]:
    """Mark the highest value of every column among what one can have, no oracle; equals are all marked."""
    tops: list[float | None] = []
    for i in range(columns):
        values = [c.value for line in lines if _is_at_hand(line) and (c := line.cells[i]) and c.value is not None]
        tops.append(max(values) if len(values) > 1 else None)
    return [replace(line, cells=_best_cells(line.cells, tops)) if _is_at_hand(line) else line for line in lines]


def _is_at_hand(line: Line) -> bool:
    return line.kind == "reader" and line.reader is not None and not is_oracle(line.reader.policy)


def _best_cells(cells: Sequence[Cell | None], tops: Sequence[float | None]) -> tuple[Cell | None, ...]:
    return tuple(
        replace(cell, best=True) if cell is not None and top is not None and cell.value == top else cell
        for cell, top in zip(cells, tops, strict=True)
    )


def _published(records: Sequence[Record], columns: Sequence[Column]) -> list[Line]:
    """Return a line per published system whose cells stand beside ours."""
    found: dict[str, dict[tuple[str, str | None], Mapping[str, Any]]] = {}
    for record in records:
        for cell in record.get("published") or ():
            found.setdefault(str(cell["system"]), {})[_task(record), record.get("subset")] = cell
    lines = []
    for system, cells in found.items():
        sources = dict.fromkeys(str(cell.get("source", "")) for cell in cells.values())
        notes = dict.fromkeys(str(cell["note"]) for cell in cells.values() if cell.get("note"))
        values = tuple(
            Cell(float(cells[key]["value"]), None, None, 0, 0) if (key := (c.task, c.subset)) in cells else None
            for c in columns
        )
        lines.append(Line("published", "", system, values, note="; ".join([*filter(None, sources), *notes])))
    return lines


def call_lines(calls: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> tuple[CallLine, ...]:
    """Return the calls of every stage and model in order, a stage with several models summed up first."""
    lines: list[CallLine] = []
    for stage, models in calls.items():
        mine = [_call_line(stage, model, counts) for model, counts in models.items()]
        if len(mine) > 1:
            lines.append(_sum(stage, mine))
        lines += mine
    return tuple(lines)


_COUNTS = ("asked", "merged", "stored", "decided_early", "sent", "failed")


def _call_line(stage: str, model: str, counts: Mapping[str, Any]) -> CallLine:
    asked, merged, stored, early, sent, failed = (int(counts.get(name, 0)) for name in _COUNTS)
    return CallLine(stage, model, asked, merged, stored, early, sent, failed, float(counts.get("seconds", 0)))


def _sum(stage: str, lines: Sequence[CallLine]) -> CallLine:
    asked, merged, stored, early, sent, failed = (sum(getattr(line, name) for line in lines) for name in _COUNTS)
    return CallLine(stage, "", asked, merged, stored, early, sent, failed, sum(line.seconds for line in lines))
