"""Files that are there whole or not at all.

In: a path and its new content.  Out: the file, replaced in one step: a reader, or a process killed meanwhile, finds
the old content or the new, never a part.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lookwise.errors import RunError

__all__ = ["read_json", "read_record", "write_bytes_atomic", "write_json_atomic"]


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Write a file (its folder is made when missing) by way of a hidden neighbour and a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def read_json(path: Path) -> Any:
    """Return the value in a JSON file; RunError when it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read as JSON ({error}); delete it and give the command again") from error


def read_record(run: Path) -> dict[str, Any]:
    """Return what run.json says of a run, nothing where there is none; RunError when it is no run's record."""
    path = run / "run.json"
    found = read_json(path) if path.is_file() else {}
    if not isinstance(found, dict) or not isinstance(found.get("state", ""), str):
        raise RunError(f"{path} is no record of a run; give the folder of a run, or delete the file and run again")
    return found


def write_json_atomic(path: Path, value: object) -> None:
    """Write a value as readable JSON, keys in their own order, floats exactly."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    write_bytes_atomic(path, (text + "\n").encode())
