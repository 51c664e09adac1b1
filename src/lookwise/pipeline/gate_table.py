"""A gate that was taken home, asked about a file of new rows.

In: a gate's folder, rows in the published layout that its tasks are of, or a table with the columns of the run's own.
Out: one record per row, in the order of the file: the likeliest candidate, its probability, and whether to look, or the
reason why it could not be judged.  Rows need no answer and no split; it knows no run and no reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lookwise.errors import DataError, RunError
from lookwise.inference import Display
from lookwise.metrics.choice import by_candidate, likeliest
from lookwise.pipeline.gate import Gate, open_gate
from lookwise.pipeline.gate_own import table_of
from lookwise.rows import Utility
from lookwise.sample import Sample
from lookwise.sources import ecommmmu, mmecinstruct
from lookwise.sources.rejected import Rejected
from lookwise.sources.table import BENCHMARK as OWN
from lookwise.sources.table import read_table

__all__ = ["judged_table"]


def judged_table(
    folder: Path, table: Path, display: Display | None = None, *, remote_code: bool = False
) -> list[dict[str, Any]]:
    """Return a gate's word on every row; `remote_code` permits a verifier's own Python to run."""
    gate = open_gate(folder)
    rows = list(_rows(gate, table))
    samples = [row for row in rows if isinstance(row, Sample)]
    if not samples:
        why = f"; the first row: {rows[0].reason}" if rows and isinstance(rows[0], Rejected) else ""
        raise DataError(f"{table}: no row that this gate can judge{why}")
    judged = gate.judge(samples, gate.options(remote_code=remote_code), display=display)
    chosen = gate.choose(judged)
    return [
        _rejected(row) if isinstance(row, Rejected) else _record(row, judged[row.id], bool(chosen[row.id]))
        for row in rows
    ]


def _rows(gate: Gate, table: Path) -> Iterator[Sample | Rejected]:
    if not table.is_file():
        raise DataError(f"no table {table}; give a file in the layout of the data that the gate's tasks are of")
    benchmarks = {name.split("/")[0] for name in gate.tasks}
    tasks = [task.short for task in gate.tasks.values()]
    if benchmarks == {ecommmmu.BENCHMARK}:
        return ecommmmu.read(table, tasks=tasks, fewest=1, fresh=True)
    if benchmarks == {mmecinstruct.BENCHMARK}:
        return mmecinstruct.read(table, tasks=tasks)
    if benchmarks == {OWN}:
        return _own_rows(gate, table)
    raise RunError(f"{gate.folder}: no file of rows is known for {', '.join(gate.tasks)}; ask it with open_gate")


def _own_rows(gate: Gate, table: Path) -> Iterator[Sample | Rejected]:
    told = gate.record.get("table")
    if told is None:
        raise RunError(
            f"{gate.folder}: it does not say what its table's columns are (an earlier lookwise wrote it); export it "
            "again with `lookwise gate RUN DIR`, or ask it with open_gate"
        )
    try:
        own = table_of(told, table)
    except ValueError as error:
        raise RunError(f"{gate.folder}: gate.json holds {error}; export it again with `lookwise gate`") from error
    return read_table(table, own)


def _record(sample: Sample, rows: Sequence[Utility], look: bool) -> dict[str, Any]:
    best = next(iter(likeliest(rows)), None)
    row = None if best is None else by_candidate(rows)[best]
    reason = next((r.reason for r in rows if r.reason), None) if row is None else None
    return {
        "sample_id": sample.id,
        "row": None,
        "task": sample.task,
        "candidate": best,
        "probability": None if row is None else row.probability,
        "look": look,
        "reason": reason or (None if rows else "no candidate that all of its products have"),
    }


def _rejected(row: Rejected) -> dict[str, Any]:
    blank = dict.fromkeys(("sample_id", "row", "task", "candidate", "probability", "look", "reason"))
    return {**blank, "row": row.row, "reason": row.reason}
