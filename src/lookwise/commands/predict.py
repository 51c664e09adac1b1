"""`lookwise predict`: answers for rows without gold."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lookwise import config
from lookwise.commands.printing import say
from lookwise.errors import RunError, UsageError, nearest

__all__ = ["predict"]

Rows = Sequence[Mapping[str, Any]]


def predict(arguments: argparse.Namespace) -> int:
    """Answer a table's rows and write them, or print CSV."""
    from lookwise.inference import terminal_display
    from lookwise.pipeline.predict import predict as answer
    from lookwise.runs.files import write_bytes_atomic

    run = Path(arguments.run)
    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.suffix not in _WRITERS:
        raise UsageError(f"--out {out}: unknown kind {out.suffix!r}; {nearest(out.suffix, _WRITERS)}")
    if not (run / "recipe.yaml").is_file():
        raise RunError(f"{run}: not a run folder (it has no recipe.yaml); give one that `lookwise run` has filled")
    recipe = config.load(str(run / "recipe.yaml"))
    rows = answer(run, recipe, Path(arguments.table), arguments.policy, terminal_display())
    if out is None:
        say(_csv(rows).decode().rstrip("\n"))
        return 0
    write_bytes_atomic(out, _WRITERS[out.suffix](rows))
    failed = sum(row["answer"] is None for row in rows)
    say(f"{out}: {len(rows)} rows, {failed} without an answer (column reason says why)")
    return 0


def _csv(rows: Rows) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows).encode()


def _parquet(rows: Rows) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), buffer)
    return buffer.getvalue()


_WRITERS: Mapping[str, Callable[[Rows], bytes]] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
