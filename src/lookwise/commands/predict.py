"""`lookwise predict`: answers for rows without gold, or a gate's word on them."""

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
    from lookwise.runs.files import write_bytes_atomic

    run = Path(arguments.run)
    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.suffix not in _WRITERS:
        raise UsageError(f"--out {out}: unknown kind {out.suffix!r}; {nearest(out.suffix, _WRITERS)}")
    told, rows = _judged(arguments) if (run / "gate.json").is_file() else _answered(arguments)
    if out is None:
        say(_csv(rows).decode().rstrip("\n"))
        return 0
    write_bytes_atomic(out, _WRITERS[out.suffix](rows))
    failed = sum(row[told] is None for row in rows)
    say(f"{out}: {len(rows)} rows, {failed} without {told} (column reason says why)")
    who = next((row for row in rows if row.get("tuned_on")), None)
    if who is not None:
        say(_answering(str(who["policy"]), str(who["tuned_on"])))
    return 0


def _answering(policy: str, tuned_on: str) -> str:
    """Say who answered, and that it is not the policy's own reader where it is not."""
    said = f"answered under {policy} by "
    if tuned_on == "zero-shot":
        return f"{said}the untuned reader"
    return f"{said}the reader tuned on {tuned_on}" + ("" if tuned_on == policy else ", not on that policy itself")


def _answered(arguments: argparse.Namespace) -> tuple[str, Rows]:
    """Return the answers of a run, and the column that holds them."""
    from lookwise.inference import terminal_display
    from lookwise.pipeline.predict import predict as answer

    run = Path(arguments.run)
    if not (run / "recipe.yaml").is_file():
        raise RunError(f"{run}: not a run folder (it has no recipe.yaml); give one that `lookwise run` has filled")
    if arguments.remote_code:
        raise UsageError("--remote-code permits the Python of a gate's verifier; a run keeps what its recipe permitted")
    recipe = config.load(str(run / "recipe.yaml"))
    prompts = Path(arguments.prompts) if arguments.prompts else None
    policy, tuned_on, display = arguments.policy, arguments.tuned_on, terminal_display()
    return "answer", answer(run, recipe, Path(arguments.table), policy, display, prompts, tuned_on)


def _judged(arguments: argparse.Namespace) -> tuple[str, Rows]:
    """Return what a gate says of the rows, and the column that holds its word."""
    from lookwise.inference import terminal_display
    from lookwise.pipeline.gate_table import judged_table

    if arguments.policy is not None:
        raise UsageError(f"--policy {arguments.policy}: a gate has none; it says which picture to look at")
    if arguments.tuned_on is not None:
        raise UsageError(f"--tuned-on {arguments.tuned_on}: a gate has no readers; leave it out")
    if arguments.prompts is not None:
        raise UsageError(f"--prompts {arguments.prompts}: a gate brings its own words; leave it out")
    gate, table, code = Path(arguments.run), Path(arguments.table), arguments.remote_code
    return "probability", judged_table(gate, table, terminal_display(), remote_code=code)


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
