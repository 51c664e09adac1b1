"""Where written and ranked answers differ, as tables ready to be drawn: one line a reader, policy and task.

In: the records of beside.json (plain values).  Out: frozen lines that terminal.py and html.py draw alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookwise.report.tables import Column, Reader, group_of
from lookwise.report.words import change, number, spread

__all__ = ["BESIDE_HEAD", "BESIDE_NOTE", "BesideLine", "Difference", "beside_lines"]

Record = Mapping[str, Any]
BESIDE_HEAD = ("task, split, policy", "n", "written", "ranked", "ranked - written", "same", "only written right",
               "only ranked right")  # fmt: skip
BESIDE_NOTE = (
    "written: answers generated freely, as published; ranked: the likeliest option, from the same question; the "
    "difference is of the task's first metric, ± half of its 95 % interval, paired on the same samples"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One sample on which the two differ, as texts."""

    sample_id: str
    target: str
    reply: str
    written: str
    ranked: str


@dataclass(frozen=True, slots=True)
class BesideLine:
    """One reader under one policy on one task; `cells` stand under BESIDE_HEAD.  Those of a subset name no examples."""

    group: str
    cells: tuple[str, ...]
    examples: tuple[Difference, ...]


def beside_lines(records: Sequence[Record]) -> tuple[BesideLine, ...]:
    """Return the lines in the order of the records, those of one reader together, its subsets last."""
    several = len({record["model"] for record in records}) > 1
    lines = [_line(record, several) for record in sorted(records, key=lambda record: bool(record.get("subset")))]
    groups = list(dict.fromkeys(line.group for line in lines))
    return tuple(sorted(lines, key=lambda line: groups.index(line.group)))


def _line(record: Record, several: bool) -> BesideLine:
    reader = Reader(*(str(record[key]) for key in ("model", "training", "tuned_on", "policy")))
    column = Column(str(record["task"]), record.get("subset"), str(record["metric"]), int(record["n"]))
    place = f"{column.name}, {record['split']}, {record['policy']}"
    cells = (
        place,
        f"{record['n']:,}",
        _score(record["written"]),
        _score(record["ranked"]),
        _change(record),
        f"{record['same'] / record['n']:.1%}" if record["n"] else "",
        f"{record['only_written']:,}",
        f"{record['only_ranked']:,}",
    )
    examples = () if column.subset else tuple(map(_example, record["examples"]))
    return BesideLine(group_of(reader, several), cells, examples)


def _score(column: Record) -> str:
    failed = f", {column['failed']} failed" if column["failed"] else ""
    return ("none" if column["value"] is None else number(column["value"])) + failed


def _change(record: Record) -> str:
    if record["difference"] is None:
        return "none"
    half = "" if record["low"] is None else f" {spread(record['low'], record['high'])}"
    return change(record["difference"]) + half


def _example(found: Record) -> Difference:
    texts = (str(found[key] if found[key] is not None else "none") for key in ("target", "reply", "written", "ranked"))
    return Difference(str(found["sample_id"]), *texts)
