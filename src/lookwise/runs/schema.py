"""Row classes as Parquet columns: the schema is read off a frozen dataclass, and values pass both ways.

In: a dataclass of strings, numbers, truth values, tuples of them and further such dataclasses.  Out: an Arrow schema,
records for it, and the same values back.  A field that a file does not have yet takes the class's default, so that rows
written before a field was added can still be read.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, partial
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

__all__ = ["column_of", "from_record", "from_table", "schema_of", "to_record", "to_table"]

_Read = Callable[[Any], Any]
_PLAIN = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


def schema_of(row_type: type) -> pa.Schema:
    """Return the Arrow schema of a row class: its fields in order; those that may be None are nullable."""
    return pa.schema(_columns(row_type))


def to_record(row: Any) -> dict[str, Any]:
    """Return a row as plain values: dicts for dataclasses, lists for tuples."""
    kind: Any = type(row)
    return {name: _plain(getattr(row, name)) for name in _hints(kind)}


def to_table(schema: pa.Schema, rows: Sequence[Any]) -> pa.Table:
    """Return rows of one class as a table, column by column."""
    columns = []
    for field in schema:
        values = [getattr(row, field.name) for row in rows]
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        is_ready = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        columns.append(pa.array(values if is_ready else [_plain(value) for value in values], field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def from_table(row_type: type, table: pa.Table) -> list[Any]:
    """Return a table's rows, read column by column; TypeError when a field without a default has no column."""
    return [
        row_type(*values) for values in zip(*(column_of(row_type, table, n) for n in _hints(row_type)), strict=True)
    ]


def column_of(row_type: type, table: pa.Table, name: str) -> list[Any]:
    """Return one field of a table's rows; TypeError when it has neither a column nor a default."""
    if name not in table.column_names:
        return [_default(row_type, name)] * table.num_rows
    values: list[Any] = table.column(name).to_pylist()
    read = _readers(row_type)[name]
    return values if read is None else [None if v is None else read(v) for v in values]


def from_record(row_type: type, record: Mapping[str, Any]) -> Any:
    """Return a row from plain values; TypeError when a field without a default is missing."""
    values = {}
    for name, read in _readers(row_type).items():
        if name in record:
            value = record[name]
            values[name] = value if read is None or value is None else read(value)
    return row_type(**values)


@cache
def _readers(row_type: type) -> Mapping[str, _Read | None]:
    """Return each field and how its plain value is read; None: it is already what the field holds."""
    return {name: _reader(hint) for name, hint in _hints(row_type).items()}


def _reader(hint: Any) -> _Read | None:
    kind, _ = _optional(hint)
    if get_origin(kind) is tuple:
        item = _reader(get_args(kind)[0])
        return tuple if item is None else lambda values: tuple(None if v is None else item(v) for v in values)
    return partial(from_record, kind) if isinstance(kind, type) and is_dataclass(kind) else None


def _default(row_type: type, name: str) -> Any:
    field = next(f for f in fields(row_type) if f.name == name)
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    raise TypeError(f"no column {name!r}")


@cache
def _hints(row_type: Any) -> dict[str, Any]:
    return get_type_hints(row_type)


def _columns(row_type: type) -> list[pa.Field]:
    columns = []
    for name, hint in _hints(row_type).items():
        kind, nullable = _optional(hint)
        columns.append(pa.field(name, _arrow(kind), nullable=nullable))
    return columns


def _arrow(kind: Any) -> pa.DataType:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if get_origin(kind) is Literal:
        return pa.string()
    if get_origin(kind) is tuple:
        item, nullable = _optional(get_args(kind)[0])
        return pa.list_(pa.field("item", _arrow(item), nullable=nullable))
    if is_dataclass(kind):
        return pa.struct(_columns(kind))  # type: ignore[arg-type]
    raise TypeError(f"no column type for {kind!r}; rows hold str, int, float, bool, Literal, tuples and dataclasses")


def _optional(hint: Any) -> tuple[Any, bool]:
    """Return the type without None, and whether None was allowed."""
    if get_origin(hint) in (types.UnionType, Union):
        kinds = [a for a in get_args(hint) if a is not type(None)]
        if len(kinds) == 1:
            return kinds[0], True
    return hint, False


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        # Half a surrogate pair, as broken JSON may hold, has no UTF-8 form; it becomes the replacement character.
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return to_record(value) if is_dataclass(value) else value
