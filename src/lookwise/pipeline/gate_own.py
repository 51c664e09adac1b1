"""What a gate keeps of a user's table: its columns, so that a file of new rows can be read where the run is gone.

In: the table's description.  Out: a JSON value for gate.json, and the description back, of another file and without
gold and split.  Neither the table's place nor the run's settings are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lookwise.benchmarks.own import OwnTable, Pictures

__all__ = ["columns_record", "table_of"]

_KEPT = ("name", "question", "text", "pictures", "labels", "options", "options_column", "id")


def columns_record(own: OwnTable) -> dict[str, Any]:
    """Return what gate.json says of a table's columns and answers."""
    told = asdict(own)
    return {key: told[key] for key in _KEPT}


def table_of(record: Mapping[str, Any], table: Path) -> OwnTable:
    """Return the description of a file of new rows; ValueError where the record is none that was written so."""
    try:
        return OwnTable(
            name=record["name"],
            table=table,
            question=record["question"],
            text=tuple((str(column), str(name)) for column, name in record["text"]),
            pictures=tuple(Pictures(**one) for one in record["pictures"]),
            labels=tuple(record["labels"]),
            options=tuple(record["options"]),
            options_column=record["options_column"],
            id=record["id"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"no description of a table ({error})") from error
