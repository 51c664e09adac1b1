"""One cell of a published row: JSON as text, texts, a gold answer, a split's name, a picture's place.

In: a value as a file holds it.  Out: the value that a sample holds, or `Malformed` with the reason in one line, which
the source turns into `Rejected`.  It knows no benchmark.  Messages name the column, seldom its content, so that equal
faults are counted together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["Malformed", "check_text", "json_cell", "picture_place", "split_name", "target_of", "texts"]

_SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train", "training": "train",
        "val": "val", "valid": "val", "validation": "val", "dev": "val",
        "test": "test", "ind": "test", "indtest": "test", "testind": "test", "indomain": "test", "testindomain": "test",
        "ood": "ood", "testood": "ood", "oodtest": "ood", "outofdomain": "ood", "testoutofdomain": "ood",
    }
)  # fmt: skip
"""Lower-case letters of a split's name -> split; the published files do not settle how the last one is written."""


class Malformed(ValueError):
    """Why one row is no sample; becomes `Rejected`."""


def split_name(text: str) -> str | None:
    """Return the split that a spelling means, or None."""
    return _SPELLINGS.get("".join(c for c in text.lower() if c.isalpha()))


def json_cell(record: Mapping[str, Any], column: str) -> Any:
    """Return a column that holds JSON as text (as published), or the value itself."""
    value = record.get(column)
    if not isinstance(value, str):
        return value
    if not value.strip() or value.strip() in ("None", "null"):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{column} is not JSON: {str(error)[:80]}") from error


def texts(value: Any, name: str) -> tuple[str, ...]:
    """Return a list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Malformed(f"{name} is not a list of texts")
    return tuple(value)


def check_text(found: Sequence[str]) -> None:
    """Refuse lone surrogates (bytes that are no UTF-8, or such escapes): no file could hold them."""
    try:
        "".join(found).encode()
    except UnicodeEncodeError as error:
        raise Malformed("a text is not UTF-8") from error


def target_of(output: Any, answers: Sequence[str], options: Sequence[str]) -> str | None:
    """Return the gold as a label or letter, however it is written; None where the row has none."""
    if output is None or output == "":
        return None
    if not isinstance(output, str):
        raise Malformed(f"output is {type(output).__name__}, expected a text")
    text = output.strip().rstrip(".").casefold()
    for answer in answers:
        if text == answer.casefold() or text.startswith(f"{answer.casefold()}:"):
            return answer
    for answer, option in zip(answers, options, strict=False):
        if text == option.split(":", 1)[-1].strip().rstrip(".").casefold():
            return answer
    raise Malformed(f"output {output[:40]!r} is none of the answers {', '.join(answers)}")


def picture_place(image: str, folder: Path) -> str:
    """Return a web address as it is, else the path inside the dataset's folder."""
    if image.startswith(("http://", "https://")):
        return image
    try:
        path = (folder / image).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise Malformed(f"picture {image[:60]!r} is no usable path") from error
    if not path.is_relative_to(folder) or path == folder:
        raise Malformed(f"picture {image[:60]!r} leads out of the dataset's folder")
    return str(path)
