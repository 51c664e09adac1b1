"""How numbers and names are written in a report, on a terminal and on the page alike.

Strings in, strings out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lookwise.report.tables import Column, ScoreTable

__all__ = ["caption", "change", "metric_name", "number", "seconds", "short_names", "spread", "wording"]

_LONG = 10
"""A task's name longer than this is written by its initials, as the papers do."""


_METRICS = {"recall_at_1": "R@1", "f1": "F1", "macro_f1": "macro F1", "weighted_f1": "wtd F1"}


def metric_name(metric: str) -> str:
    """Return a metric as a column's head says it."""
    return _METRICS.get(metric, metric.replace("_", " "))


def number(value: float) -> str:
    """Return a score between 0 and 1 with three decimals and no leading zero; anything else with two."""
    if not 0 <= value <= 1:
        return f"{value:.2f}"
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0") else text


def change(value: float) -> str:
    """Return a difference of two scores, its sign always written."""
    return ("+" if value >= 0 else "-") + number(abs(value))


def spread(low: float, high: float) -> str:
    """Return half an interval, with two decimals where they say something."""
    half = (high - low) / 2
    return f"±{half:.2f}".replace("±0.", "±.") if half >= 0.0095 else "±" + number(half)


def seconds(value: float) -> str:
    """Return a duration as a person would say it."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def short_names(columns: Sequence[Column]) -> list[str]:
    """Return a short name for every column: initials of a long task name, where no two share them."""
    tasks = dict.fromkeys(column.task for column in columns)
    initials = {task: _initials(task.rsplit("/", 1)[-1]) for task in tasks}
    twice = {short for short, count in Counter(initials.values()).items() if count > 1}
    names = []
    for column in columns:
        short = initials[column.task]
        name = column.task.rsplit("/", 1)[-1] if short in twice else short
        names.append(f"{name} [{column.subset}]" if column.subset else name)
    return names


def wording(record: Mapping[str, Any]) -> str:
    """Return whose words a run's questions were asked in, from its run.json: ours, unless a use says otherwise."""
    uses: dict[str, dict[str, None]] = {}
    for name, prompt in record.get("prompts", {}).items():
        whose = str(prompt.get("wording", ""))
        uses.setdefault(name.rpartition("/")[2], {})["own" if whose.endswith("our own words") else whose] = None
    others = {use: [whose for whose in found if whose != "own"] for use, found in uses.items()}
    said = [f"wording of {use}: {' and '.join(whose)}" for use, whose in others.items() if whose]
    ours = [use for use, whose in others.items() if not whose]
    if not said:
        return "prompts in our own wording"
    return "; ".join([*said, f"own wording of {', '.join(ours)}"] if ours else said)


def _initials(name: str) -> str:
    words = name.replace("-", "_").replace(" ", "_").split("_")
    if len(name) <= _LONG or len(words) < 2:
        return name
    return "".join(word[0].upper() for word in words if word)


def caption(table: ScoreTable) -> list[str]:
    """Return the lines that explain a table: its abbreviations, its marks."""
    names = zip(short_names(table.columns), table.columns, strict=True)
    long = [f"{short} {column.name.replace('_', ' ')}" for short, column in names if short != column.name]
    cells = [cell for line in table.lines for cell in line.cells if cell is not None]
    lines = ["; ".join(long)] if long else []
    marks = ["± half of the 95 % interval"] if any(cell.low is not None for cell in cells) else []
    if any(cell.best for cell in cells):
        marks.append("* best reader of the column, oracles aside")
    if any(cell.one_sided is not None for cell in cells):
        marks.append("! one answer in over 95 % of the samples")
    if any(line.used is not None for line in table.lines):
        marks.append("shown: share of pictures of which the policy shows something")
    if any(line.seconds is not None for line in table.lines):
        marks.append("time: of all of a reader's answers, every policy and split together")
    return [*lines, "; ".join(marks)] if marks else lines
