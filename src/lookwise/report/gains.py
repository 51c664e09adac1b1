"""What looking gains, as tables ready to be drawn: one line per comparison, one column per task.

In: the records of gains.json (plain values).  Out: frozen tables that terminal.py and html.py draw alike.  It computes
nothing but which gains are clear of zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lookwise.report.tables import Column

__all__ = ["GAIN_NOTE", "GainCell", "GainLine", "GainTable", "Verdict", "gain_tables"]

Record = Mapping[str, Any]
Verdict = Literal["pays", "costs", "unclear"]
GAIN_NOTE = (
    "each side answered by the reader tuned on it; difference of the two scores on the same samples, ± half of "
    "its 95 % interval, not corrected for the number of comparisons; marked (*, colour): its interval is clear of "
    "zero; !: one of the two gave one answer in over 95 % of the samples, so its tuning may be what differs"
)
_TITLES = {
    "text": "against text alone",
    "all": "against showing everything",
    "random": "against as many drawn blindly",
    "ceiling": "what there is to gain",
}
_POOLED = "all tasks"
_ALWAYS = "against always showing the main picture"
"""What `visuals:always` is, which of several pictures of a product shows the first."""


@dataclass(frozen=True, slots=True)
class GainCell:
    """One difference; `value` None: nothing could be scored."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    wins: int
    losses: int
    one_sided: bool

    @property
    def verdict(self) -> Verdict:
        """Whether the interval is clear of zero, and on which side."""
        if self.low is not None and self.low > 0:
            return "pays"
        return "costs" if self.high is not None and self.high < 0 else "unclear"


@dataclass(frozen=True, slots=True)
class GainLine:
    """One comparison over all tasks of a split; `group` is what lines of one question share."""

    group: str
    label: str
    cells: tuple[GainCell | None, ...]


@dataclass(frozen=True, slots=True)
class GainTable:
    """All comparisons of one benchmark and split, or of one subset of it."""

    benchmark: str
    split: str
    columns: tuple[Column, ...]
    lines: tuple[GainLine, ...]
    subset: str | None = None

    @property
    def title(self) -> str:
        """The question, and where it is asked."""
        return f"Does looking pay? {self.split}" + (f", {self.subset}" if self.subset else "")


def gain_tables(records: Sequence[Record]) -> tuple[GainTable, ...]:
    """Return one table per benchmark and split, in the order of the records; those of subsets after the others."""
    places: dict[tuple[str, str, str | None], list[Record]] = {}
    for r in records:
        places.setdefault((str(r["benchmark"]), str(r["split"]), r.get("subset")), []).append(r)
    ordered = sorted(places.items(), key=lambda item: item[0][2] is not None)
    return tuple(_table(*place, mine) for place, mine in ordered)


def _table(benchmark: str, split: str, subset: str | None, records: Sequence[Record]) -> GainTable:
    counts: dict[str, int] = {}
    metrics = {str(r["task"]): str(r["metric"]) for r in records}
    for r in records:
        counts[str(r["task"])] = max(int(r["n"]), counts.get(str(r["task"]), 0))
    ordered = sorted(counts, key=lambda task: task != _POOLED)  # what all tasks come to stands first
    columns = tuple(Column(task, None, metrics[task], counts[task]) for task in ordered)
    several = len({r["model"] for r in records if r["question"] != "ceiling"}) > 1
    found: dict[tuple[str, str], dict[str, GainCell]] = {}
    for question in _TITLES:
        for r in records:
            if r["question"] == question:
                found.setdefault((_title(r), _label(r, several)), {})[str(r["task"])] = _cell(r)
    lines = (
        GainLine(group, label, tuple(cells.get(c.task) for c in columns)) for (group, label), cells in found.items()
    )
    return GainTable(benchmark, split, columns, tuple(lines), subset)


def _title(record: Record) -> str:
    looks = record["question"] == "all" and record["against"] == "visuals:always"
    return _ALWAYS if looks else _TITLES[str(record["question"])]


def _label(record: Record, several: bool) -> str:
    if record["question"] == "ceiling":
        return "best possible reader"
    label = str(record["policy"]) if record["tuned_on"] else f"{record['policy']}, untuned"
    return f"{record['model']}, {label}" if several else label


def _cell(r: Record) -> GainCell:
    return GainCell(
        r["value"], r["low"], r["high"], int(r["n"]), int(r["wins"]), int(r["losses"]), bool(r.get("one_sided"))
    )
