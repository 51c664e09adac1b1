"""The papers' own numbers: benchmarks/published/*.yaml, read into cells with source and note.

In: a benchmark's name.  Out: `Published` cells, values as printed; metrics are named as ours where they are the same
quantity, and end in `_percent` where the paper prints percent.  It knows nothing about our runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from lookwise.errors import DataError
from lookwise.task import Published

__all__ = ["MAIN_TABLE", "published", "published_cells", "remarks"]

_FOLDER = Path(__file__).parent / "published"
MAIN_TABLE: Mapping[str, str] = {"mmecinstruct": "Table 2", "mmla": "per-dataset figures"}
"""The table whose cells stand beside a run's scores; the others hold ablations and secondary metrics."""


@lru_cache(maxsize=8)
def published(benchmark: str) -> tuple[Published, ...]:
    """Return every published cell of a benchmark, in the order of the paper; none where no results ship."""
    return tuple(cell for table in _tables(benchmark) for cell in _cells(_document(benchmark)["paper"], table))


def published_cells(benchmark: str, task: str, split: str, metric: str, *, main: bool = True) -> tuple[Published, ...]:
    """Return the cells of one task (short name), split and metric: of the main table, or of all."""
    source = f"{_document(benchmark).get('paper')}, {MAIN_TABLE.get(benchmark)}"
    return tuple(
        cell
        for cell in published(benchmark)
        if (cell.task, cell.split, cell.metric) == (task, split, metric) and (cell.source == source or not main)
    )


def remarks(benchmark: str) -> tuple[str, ...]:
    """Return what must be known when these tables are read as a whole."""
    return tuple(_document(benchmark).get("remarks", ()))


@lru_cache(maxsize=8)
def _document(benchmark: str) -> Mapping[str, Any]:
    file = _FOLDER / f"{benchmark}.yaml"
    if not file.is_file():
        return {}
    import yaml

    document = yaml.load(file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(document, dict) or document.get("benchmark") != benchmark:
        raise DataError(f"published/{file.name}: expected the tables of {benchmark!r}; reinstall Lookwise")
    return document


def _tables(benchmark: str) -> Sequence[Mapping[str, Any]]:
    return tuple(_document(benchmark).get("tables", ()))


def _cells(paper: str, table: Mapping[str, Any]) -> Iterator[Published]:
    for system, values in table["rows"].items():
        for column, value in zip(table["columns"], values, strict=True):
            task, split, metric = column.split(" ")
            note = " ".join(n["note"] for n in table.get("notes", ()) if _concerns(n, system, column))
            yield Published(system, task, split, metric, float(value), f"{paper}, {table['table']}", note)


def _concerns(note: Mapping[str, Any], system: str, column: str) -> bool:
    columns = note["columns"]
    named = any(column == c or column.startswith(f"{c} ") for c in columns)
    return (not note["systems"] or system in note["systems"]) and (not columns or named)
