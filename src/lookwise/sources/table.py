"""A user's own table, row by row, to samples.

In: `OwnTable` (what each column is, benchmarks/own.py) and the CSV, JSONL or Parquet file that it names.  Out:
`Sample`s in the order of the file, a `Rejected` with its reason for every row that is none; or a summary for `lookwise
data check`.  An unknown column is refused before any row is read.  Nothing is fetched, and no picture is opened but by
`check_table`: one that is missing or broken leaves its sample in place and gets its reason later, from the loop.

A cell with several pictures (a list, a JSON list, or paths joined by ";") fills the slots "product[0]", "product[1]"
and so on, so that each is captioned and judged on its own.  Of a column of candidates they all fill the slot "product",
numbered in their order: views of one thing, of which a policy of pictures may show any.  Without a split column rows
are dealt by a hash of their id; rows without gold go to test, where they are predicted.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookwise.benchmarks.own import OwnTable, gold_answer, row_options
from lookwise.errors import DataError, RecipeError, nearest
from lookwise.media import check_image, is_url
from lookwise.message import Media
from lookwise.sample import FieldValue, Sample, Visual
from lookwise.sources.mmecinstruct import SPLITS, split_name
from lookwise.sources.records import Record, column_names, read_records, texts_of
from lookwise.sources.rejected import Rejected

__all__ = ["BENCHMARK", "DEALT", "Checked", "check_table", "read_table"]

BENCHMARK = "own"
DEALT: Mapping[str, float] = {"train": 0.6, "val": 0.1, "test": 0.3}
"""Shares of the splits where the table has no split column."""


class _Malformed(ValueError):
    """Why one row is no sample; becomes `Rejected`."""


@dataclass(frozen=True)
class Checked:
    """What `data check` says of a table; counts by "split", by "split answer", and by reason."""

    rows: int
    samples: Mapping[str, int]
    targets: Mapping[str, int]
    rejected: Mapping[str, int]
    pictures: int
    remote: int
    broken: Mapping[str, str]


def read_table(
    path: Path,
    own: OwnTable,
    *,
    root: Path | None = None,
    splits: Collection[str] = (),
    limit: int | None = None,
) -> Iterator[Sample | Rejected]:
    """Yield the samples of these splits (none named: all), at most `limit` of each.

    Pictures' paths are relative to `root` (the table's folder unless given) and may not leave it.
    """
    unknown = [split for split in splits if split not in SPLITS]
    if unknown:
        raise DataError(f"a table has no split {unknown[0]!r}; {nearest(unknown[0], SPLITS)}")
    known = column_names(path)
    for column in own.columns:
        if column not in known:
            raise DataError(f"{path.name} has no column {column!r}; {nearest(column, known)}")
    folder = (root or path.parent).resolve()
    return _samples(path, own, folder, frozenset(splits or SPLITS), limit)


def _samples(
    path: Path, own: OwnTable, folder: Path, splits: frozenset[str], limit: int | None
) -> Iterator[Sample | Rejected]:
    rows_by_id: dict[str, int] = {}
    taken: Counter[str] = Counter()
    for row, record in read_records(path, own.columns):
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            key = _key(record, own, row, rows_by_id)
            options = _options(record, own)
            target = _target(record, own, options)
            split = _split(record, own, key, target)
            if split not in splits or (limit is not None and taken[split] >= limit):
                continue
            sample = _sample(record, own, folder, key, split, options, target)
        except _Malformed as reason:
            yield Rejected(row, str(reason))
        else:
            taken[split] += 1
            yield sample


def _sample(
    record: Record,
    own: OwnTable,
    folder: Path,
    key: str,
    split: str,
    options: tuple[str, ...],
    target: str | None,
) -> Sample:
    fields: tuple[tuple[str, FieldValue], ...] = tuple(
        (name, texts_of(record.get(column))) for column, name in own.text
    )
    texts = (text for _, value in fields for text in ([value] if isinstance(value, str) else value))
    _check_text((key, *texts, *options))
    return Sample(
        id=f"{own.name}/{key}",
        benchmark=BENCHMARK,
        task=f"{BENCHMARK}/{own.name}",
        split=split,
        fields=fields,
        visuals=_visuals(record, own, folder),
        options=options,
        target=target,
    )


def _check_text(texts: Collection[str]) -> None:
    """Refuse lone surrogates (from escapes in JSON): no file could hold them."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise _Malformed("a text is not UTF-8") from error


def _one_text(record: Record, column: str) -> str:
    """Return a cell that must hold one text."""
    value = texts_of(record.get(column))
    if not isinstance(value, str):
        raise _Malformed(f"{column} holds a list, expected one value")
    return value


def _key(record: Record, own: OwnTable, row: int, rows_by_id: dict[str, int]) -> str:
    if own.id is None:
        return str(row)
    key = _one_text(record, own.id)
    if not key:
        raise _Malformed(f"{own.id} is empty")
    first = rows_by_id.setdefault(key, row)
    if first != row:
        raise _Malformed(f"{own.id} {key[:40]!r} is that of row {first} already")
    return key


def _options(record: Record, own: OwnTable) -> tuple[str, ...]:
    if own.options_column is None:
        return own.options
    try:
        options = row_options(texts_of(record.get(own.options_column)))
    except RecipeError as error:
        raise _Malformed(str(error)) from error
    if len(options) < 2:
        raise _Malformed(f"{own.options_column} holds {len(options)} options, expected at least two")
    return options


def _target(record: Record, own: OwnTable, options: tuple[str, ...]) -> str | None:
    if own.gold is None:
        return None
    cell = _one_text(record, own.gold)
    if not cell:
        return None
    answer = gold_answer(own, cell, options)
    if answer is None:
        raise _Malformed(f"{own.gold} {cell[:40]!r} is none of the answers {', '.join(own.labels or options)}"[:200])
    return answer


def _split(record: Record, own: OwnTable, key: str, target: str | None) -> str:
    if own.split is None:
        return _dealt(own.name, key) if target is not None else "test"
    cell = _one_text(record, own.split)
    split = split_name(cell)
    if split is None:
        raise _Malformed(f"{own.split} {cell[:40]!r} is none of {', '.join(SPLITS)}")
    return split


def _dealt(name: str, key: str) -> str:
    """Return the split that a row falls to: always the same for the same table's name and id."""
    place = int.from_bytes(hashlib.sha256(f"{name}\x1f{key}".encode("utf-8", "replace")).digest()[:8], "big") / 2**64
    for split, share in DEALT.items():
        place -= share
        if place < 0:
            return split
    return "test"


def _visuals(record: Record, own: OwnTable, folder: Path) -> tuple[Visual, ...]:
    """Return the pictures and clips of a row; of a slot with several, each gets its own number.

    Candidates are numbered without gaps, whatever places of a cell are empty: the first is the main picture.
    """
    found: dict[str, list[Media]] = {}
    for column in own.pictures:
        for source in _sources(record.get(column.column), column.column):
            found.setdefault(column.slot, []).append(Media(_inside(source, column.column, folder), column.kind))
    views = {column.slot for column in own.pictures if column.candidates}
    visuals: list[Visual] = []
    for slot, media in found.items():
        if slot in views or len(media) == 1:
            visuals += [Visual(slot, one, number) for number, one in enumerate(media)]
        else:
            visuals += [Visual(f"{slot}[{i}]", one) for i, one in enumerate(media)]
    return tuple(visuals)


def _sources(cell: Any, column: str) -> list[str]:
    """Return a cell's paths and addresses: one, a list, a JSON list as text, or several joined by ";"."""
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):  # a path may begin with a bracket
            cell = [cell]
    elif isinstance(cell, str):
        cell = [cell] if is_url(cell.strip()) else cell.split(";")
    items = cell if isinstance(cell, list) else [cell]
    texts = (_source(item, column) for item in items)
    return [text for text in texts if text]


def _source(item: Any, column: str) -> str:
    if isinstance(item, dict):  # as `datasets` writes images: bytes, or a path, or both
        item = item.get("path") if item.get("bytes") is None else item
    if item is None or isinstance(item, str | float):
        text = texts_of(item)
        return text if isinstance(text, str) else ""
    raise _Malformed(f"{column} holds {type(item).__name__}, expected a path or a web address")


def _inside(source: str, column: str, folder: Path) -> str:
    """Return a picture's address as it is, or its path, which has to lie in the folder."""
    if is_url(source):
        return source
    try:
        path = (folder / source).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise _Malformed(f"{column} {source[:60]!r} is no usable path") from error
    if not path.is_relative_to(folder) or path == folder:
        raise _Malformed(f"{column} {source[:60]!r} leads out of the table's folder")
    return str(path)


def check_table(path: Path, own: OwnTable, *, root: Path | None = None) -> Checked:
    """Read a table whole and open every picture: what is there, what is rejected, what is broken."""
    samples: Counter[str] = Counter()
    targets: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    pictures: dict[str, str | None] = {}
    folder = (root or path.parent).resolve()
    for row in read_table(path, own, root=root):
        if isinstance(row, Rejected):
            rejected[row.reason] += 1
            continue
        samples[row.split] += 1
        targets[f"{row.split} {row.target if row.target is not None else '(no gold)'}"] += 1
        for media in (visual.media for visual in row.visuals if visual.media.kind == "image"):
            if media.source not in pictures:
                pictures[media.source] = None if is_url(media.source) else check_image(media.source)
    return Checked(
        rows=samples.total() + rejected.total(),
        samples=dict(samples),
        targets=dict(sorted(targets.items())),
        rejected=dict(rejected.most_common()),
        pictures=len(pictures),
        remote=sum(map(is_url, pictures)),
        broken={Path(s).relative_to(folder).as_posix(): reason for s, reason in pictures.items() if reason},
    )
