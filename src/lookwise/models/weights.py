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
from operator import index
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

    ModelError, naming the model as `spec`, for a list that does not read, or that names files outside the folder.
    """
    if (folder / SINGLE).is_file():
        return (SINGLE,)
    if not (folder / INDEX).is_file():
        return ()
    try:
        named = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
        names = tuple(sorted({str(name) for name in named}))
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise ModelError(f"model {spec!r}: {folder / INDEX} does not read; fetch it again") from None
    strange = next((name for name in names if name != Path(name).name or "\\" in name), None)
    if strange is not None:
        raise ModelError(f"model {spec!r}: {INDEX} names {strange!r}, which is no file of its folder; fetch it again")
    return names


def held_in_file(path: Path) -> Iterator[Held]:
    """Yield each tensor of a safetensors file; ModelError for a file that is none."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        header = file.read(length) if 0 < length <= _LONGEST_HEADER else b""
    try:
        shapes = {name: [*tensor["shape"]] for name, tensor in json.loads(header).items() if name != "__metadata__"}
        found = [Held(name, math.prod(map(index, shape)), len(shape) == 2) for name, shape in shapes.items()]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise ModelError(f"{path} is no safetensors file: its header does not read; fetch it again") from None
    yield from found
