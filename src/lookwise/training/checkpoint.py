"""A tuning's state on disk: complete or absent, whatever moment the process is killed at.

In: a folder and what writes into it.  Out: a checkpoint that appears by one rename, the latest of them, and the
finished folder, whose card.json is written last.  It knows the order of writing, not what is written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lookwise.errors import RunError
from lookwise.runs.files import read_json, write_json_atomic

__all__ = ["CARD", "clear", "commit", "finished", "latest", "same_plan"]

CARD = "card.json"
_PLAN = "plan.json"
_PREFIX = "step-"


def commit(work: Path, step: int, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a folder, then make it the checkpoint of this step; older ones go once it is there."""
    part, final = work / "part", work / f"{_PREFIX}{step:08d}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    write(part)
    shutil.rmtree(final, ignore_errors=True)
    os.replace(part, final)
    for old in sorted(work.glob(f"{_PREFIX}*")):
        if old != final:
            shutil.rmtree(old, ignore_errors=True)
    return final


def latest(work: Path) -> Path | None:
    """Return the checkpoint of the highest step, or None."""
    found = sorted(work.glob(f"{_PREFIX}*"))
    return found[-1] if found else None


def finished(out: Path, plan: Mapping[str, Any]) -> bool:
    """Return whether the folder holds a complete result of this plan; a result of another plan is an error."""
    card = out / CARD
    if not card.is_file():
        return False
    if read_json(card).get("plan") != _plain(plan):
        raise RunError(
            f"{out} holds a model tuned by other settings or on other data; choose another folder or delete it"
        )
    return True


def same_plan(work: Path, plan: Mapping[str, Any]) -> None:
    """Claim the folder for this plan, or check that the checkpoints in it are of the same plan."""
    path = work / _PLAN
    if path.is_file():
        if read_json(path) != _plain(plan):
            raise RunError(
                f"{work} holds a tuning begun with other settings or data; choose another folder or delete it"
            )
        return
    work.mkdir(parents=True, exist_ok=True)
    write_json_atomic(path, plan)


def clear(work: Path) -> None:
    """Remove the checkpoints of a finished tuning."""
    shutil.rmtree(work, ignore_errors=True)


def _plain(value: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(value))
