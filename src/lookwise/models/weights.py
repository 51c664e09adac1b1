"""The files that hold a checkpoint's weights, by the names that transformers reads, and what is in them.

In: a folder, or a file's path.  Out: names of files; names and sizes of tensors, read from headers alone.  A folder may
hold a second copy of its weights under another name (consolidated.safetensors); that copy changes no answer.  Plain
Python: nothing is loaded.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lookwise.errors import ModelError

__all__ = ["INDEX", "SINGLE", "Held", "held_in_file", "weight_names"]

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""The list of the files of a checkpoint that is in several; where there is a single one too, that is read."""

_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors itself refuses a longer header."""


class Held(NamedTuple):
    """A tensor in a file: its name, how many numbers it holds, whether it is a matrix."""

    name: str
    size: int
    matrix: bool


def weight_names(folder: Path, spec: str) -> tuple[str, ...]:
    """Return the names of the files with a checkpoint's weights, whether they are there or not; () where none is named.

    ModelError, naming the model as `spec`, for a list that does not read.
    """
    if (folder / SINGLE).is_file():
        return (SINGLE,)
    if not (folder / INDEX).is_file():
        return ()
    try:
        named = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
        return tuple(sorted({str(name) for name in named}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"model {spec!r}: {folder / INDEX} does not read; fetch it again") from None


def held_in_file(path: Path) -> Iterator[Held]:
    """Yield each tensor of a safetensors file; ModelError for a file that is none."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        header = file.read(length) if 0 < length <= _LONGEST_HEADER else b""
    try:
        found = json.loads(header)
    except ValueError:
        raise ModelError(f"{path} is no safetensors file: its header does not read; fetch it again") from None
    for name, tensor in found.items():
        if name != "__metadata__":
            yield Held(name, math.prod(tensor["shape"]), len(tensor["shape"]) == 2)
