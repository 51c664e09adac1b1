"""What a run's calls came to: calls.json, one entry per stage and model.

In: the counts of a finished stage.  Out: the file, replaced whole.  It counts nothing itself: inference derives every
figure from the asks and from the marks in the reply store, so the file of a run that was killed and resumed equals
that of one that ran through (`seconds` apart, which are measured).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lookwise.errors import RunError
from lookwise.runs.files import write_json_atomic

__all__ = ["Calls", "Ledger"]


@dataclass(frozen=True, slots=True)
class Calls:
    """Counts of one stage and model.

    asked          requests that the stage made, over all samples and rounds
    merged         of those, equal to another ask of the same stage and model
    stored         of the rest, answered from the store by what another stage or run had sent
    decided_early  calls that early decision saved (they were never asked)
    sent           requests that this run's model was given, each counted once however often the run was resumed
    failed         requests that ended without an answer; those whose picture could not be read were never sent
    tokens_in, tokens_out, seconds   of the requests sent: tokens as the model counts them, wall time of their batches
    """

    asked: int = 0
    merged: int = 0
    stored: int = 0
    decided_early: int = 0
    sent: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0


class Ledger:
    """The calls of one run, identified by `run` in the reply store; kept in memory only when `path` is None.

    Give a run the same id each time it is resumed, and no two runs the same: an id made anew counts as a new run.
    """

    def __init__(self, path: Path | None = None, run: str = "") -> None:
        self.path = path
        self.run = run
        self._calls = _read(path) if path is not None and path.exists() else {}

    @property
    def calls(self) -> dict[str, dict[str, Calls]]:
        """Counts by stage and model, in the order in which stages were first recorded."""
        return {stage: dict(models) for stage, models in self._calls.items()}

    def record(self, stage: str, calls: Mapping[str, Calls]) -> None:
        """Set a stage's counts, in place of any earlier ones, and write the file."""
        self._calls[stage] = dict(calls)
        if self.path is not None:
            table = {s: {m: asdict(c) for m, c in models.items()} for s, models in self._calls.items()}
            write_json_atomic(self.path, table)


def _read(path: Path) -> dict[str, dict[str, Calls]]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {stage: {model: Calls(**c) for model, c in models.items()} for stage, models in table.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is not a table of calls ({error}); delete it, it is written again") from error
