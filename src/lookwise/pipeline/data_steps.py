"""Steps of a run that concern data: the samples, and the truth about their pictures where it is known.

Rows out: `samples`; `utilities` (source "truth").  Rows of a file that are no samples are counted in rejected.json with
their reasons; they stop nothing, but a file without a single sample does.
"""

from __future__ import annotations

from collections import Counter

from lookwise.errors import DataError
from lookwise.pipeline.context import Context
from lookwise.rows import Utility
from lookwise.runs.store import write_json_atomic
from lookwise.sample import Sample
from lookwise.sources.rejected import Rejected

__all__ = ["samples", "utilities"]

_NAMED = 100
"""Rejected rows that are written out one by one; the rest is counted by reason."""


def samples(context: Context) -> None:
    """Read the samples and keep them with the run."""
    context.data.prepare(context.display)
    kept: list[Sample] = []
    rejected: list[Rejected] = []
    for row in context.data.read():
        if isinstance(row, Sample):
            kept.append(row)
        else:
            rejected.append(row)
    if not kept:
        why = f"; the first row: {rejected[0].reason}" if rejected else ""
        raise DataError(f"{context.data.path}: no sample of {', '.join(t.short for t in context.tasks.values())}{why}")
    reasons = Counter(r.reason for r in rejected)
    write_json_atomic(
        context.folder / "rejected.json",
        {
            "rows": len(rejected),
            "reasons": dict(reasons.most_common()),
            "first": [{"row": r.row, "reason": r.reason} for r in rejected[:_NAMED]],
        },
    )
    context.write("samples", Sample, kept)


def utilities(context: Context) -> None:
    """Keep the truth about the run's pictures; none where it is not known."""
    known = {sample.id for sample in context.samples()}
    context.write("utilities", Utility, [u for u in context.data.utilities() if u.sample_id in known])
