"""Steps of a run that concern data: the samples, and the truth about their pictures where it is known.

Rows out: `samples`; `utilities` (source "truth").  Samples are written as they are read.  Rows of a file that are no
samples are counted in rejected.json with their reasons, as far as the file was read; they stop nothing, but a file
without a single sample does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from lookwise.errors import DataError
from lookwise.pipeline.context import Context
from lookwise.rows import Utility
from lookwise.runs.store import write_json_atomic, write_rows
from lookwise.sample import Sample
from lookwise.sources.rejected import Rejected

__all__ = ["samples", "utilities"]

_NAMED = 100
"""Rejected rows that are written out one by one; the rest is counted by reason."""


def samples(context: Context) -> None:
    """Read the samples and keep them with the run."""
    context.data.prepare(context.display)
    refused = _Refused()
    found = refused.without(context.data.read())
    first = next(found, None)
    if first is None:
        why = f"; the first row: {refused.first[0].reason}" if refused.first else ""
        raise DataError(f"{context.data.path}: no sample of {', '.join(t.short for t in context.tasks.values())}{why}")
    folder = context.rows_folder("samples")
    write_rows(folder, Sample, _told(chain([first], found), refused, context.folder / "rejected.json"))


class _Refused:
    """What is kept of rows that are no samples: their reasons, counted, and the first of them."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()
        self.first: list[Rejected] = []

    def without(self, rows: Iterable[Sample | Rejected]) -> Iterator[Sample]:
        """Yield the samples among the rows, and keep count of the others."""
        for row in rows:
            if isinstance(row, Sample):
                yield row
                continue
            self.reasons[row.reason] += 1
            if len(self.first) < _NAMED:
                self.first.append(row)


def _told(rows: Iterable[Sample], refused: _Refused, path: Path) -> Iterator[Sample]:
    """Yield the samples; after the last one rejected.json is written, so that it is there before they are complete."""
    yield from rows
    write_json_atomic(
        path,
        {
            "rows": refused.reasons.total(),
            "reasons": dict(refused.reasons.most_common()),
            "first": [{"row": r.row, "reason": r.reason} for r in refused.first],
        },
    )


def utilities(context: Context) -> None:
    """Keep the truth about the run's pictures; none where it is not known."""
    known = {sample.id for sample in context.samples()}
    context.write("utilities", Utility, [u for u in context.data.utilities() if u.sample_id in known])
