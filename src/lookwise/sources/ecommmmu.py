"""EcomMMMU's published layout, from a local file to samples.

In: EcomMMMU.json (a JSON list of rows, or one row a line; 1.6 GB as published).  One row is held at a time, and eight
bytes of every row read, to know one that comes again.  Out: `Sample`s in the order of the file, eight candidates a
slot, and a `Rejected` with its reason for every row that is none.  It fetches nothing: pictures stay web addresses, or
paths inside the dataset's own folder, until a run asks for one.

A row: task, split, instruction, input (JSON as text), output, images (one list of eight per product), is_vc.  There is
no column of options: those of a recommendation stand in its instruction or input and are found there by their letters.
Read strictly: a row without output, without pictures, with fewer or more than eight of a product (`fewest` allows
fewer), with more or fewer products pictured than its input names, or that came before, is rejected.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lookwise.benchmarks.answers import letters
from lookwise.benchmarks.ecommmmu import (
    CANDIDATES,
    ECOMMMMU,
    INPUT_KEYS,
    PURCHASES,
    VISION_SALIENT,
    canonical,
    is_vision_salient,
    our_name,
)
from lookwise.errors import DataError, nearest
from lookwise.message import Media
from lookwise.sample import FieldValue, Sample, Visual
from lookwise.sources.cells import Malformed, check_text, json_cell, picture_place, split_name, target_of, texts
from lookwise.sources.json_rows import json_rows
from lookwise.sources.rejected import Rejected

__all__ = ["BENCHMARK", "FILE", "SPLITS", "is_layout", "read"]

BENCHMARK = "ecommmmu"
FILE = "EcomMMMU.json"
SPLITS = ("train", "val", "test")
_OPTIONS = 20


_SLOTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "click_through_prediction": (),
        "sequential_recommendation": (),
        "product_relation_prediction": ("product 1", "product 2"),
        "sentiment_analysis": ("review",),
    }
)
"""Slots of a task's pictures, where not "product" alone; none: one for each purchase."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is wanted of a file."""

    folder: Path
    tasks: frozenset[str]
    splits: frozenset[str]
    limit: int | None
    fewest: int
    fresh: bool


def read(
    path: Path,
    *,
    tasks: Collection[str] = (),
    splits: Collection[str] = (),
    limit: int | None = None,
    fewest: int = CANDIDATES,
    fresh: bool = False,
) -> Iterator[Sample | Rejected]:
    """Yield the samples of these tasks and splits (none named: all), at most `limit` of each task and split.

    `fewest`: pictures that a product must have; those that it lacks are then missing from the end.  A sample's id is
    "task/split/number" with the task's usual name, numbered in the order of the file.  `fresh`: rows to be answered,
    not learned from; their output and split are not read, all are of "test", and one that comes again is kept.
    """
    wanted = _Asked(
        folder=(path if path.is_dir() else path.parent).resolve(),
        tasks=frozenset(_known(our_name(t), INPUT_KEYS, "task") for t in tasks) or frozenset(INPUT_KEYS),
        splits=frozenset(_known(s, SPLITS, "split") for s in splits) or frozenset(SPLITS),
        limit=limit,
        fewest=fewest,
        fresh=fresh,
    )
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise DataError(f"{file}: no such file; expected EcomMMMU's {FILE}")
    return _samples(file, wanted)


def is_layout(file: Path) -> bool:
    """Return whether the first row of a file, whatever it is called, looks like one of this layout."""
    if file.name == FILE:
        return True
    record = next((row for _, row in json_rows(file)), None)
    return isinstance(record, Mapping) and "is_vc" in record and "options" not in record


def _known(name: str, known: Collection[str], what: str) -> str:
    if name not in known:
        raise DataError(f"EcomMMMU has no {what} {name!r}; {nearest(name, known)}")
    return name


def _samples(file: Path, asked: _Asked) -> Iterator[Sample | Rejected]:
    numbers: Counter[tuple[str, str]] = Counter()
    seen: set[int] = set()
    for row, record in json_rows(file):
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            task, split = _place(record, asked.fresh)
            if task not in asked.tasks or split not in asked.splits:
                continue
            number = numbers[task, split]
            numbers[task, split] += 1
            if asked.limit is None or number < asked.limit:
                sample = _sample(record, f"{task}/{split}/{number:06d}", task, split, asked)
                if not asked.fresh:  # after the row was found usable: one that is refused takes nobody's place
                    _once(record, seen)
                yield sample
            elif all(numbers[t, s] >= asked.limit for t in asked.tasks for s in asked.splits):
                return
        except Malformed as reason:
            yield Rejected(row, str(reason))


def _place(record: Mapping[str, Any], fresh: bool) -> tuple[str, str]:
    task, split = record.get("task"), "test" if fresh else record.get("split")
    name = our_name(task) if isinstance(task, str) else None
    if name is None or name not in INPUT_KEYS:
        raise Malformed(f"task {str(task)[:60]!r} is not one of EcomMMMU's")
    found = split_name(split) if isinstance(split, str) else None
    if found is None or found not in SPLITS:
        raise Malformed(f"split {str(split)[:40]!r} is none of {', '.join(SPLITS)}")
    return name, found


def _once(record: Mapping[str, Any], seen: set[int]) -> None:
    """Refuse a row whose task, input and pictures came before, in whatever split, or with another output."""
    what = json.dumps([canonical(str(record["task"])), record.get("input"), record.get("images")], sort_keys=True)
    key = int.from_bytes(hashlib.blake2b(what.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    if key in seen:
        raise Malformed("the same task, input and pictures came before")
    seen.add(key)


def _sample(record: Mapping[str, Any], sample_id: str, task: str, split: str, asked: _Asked) -> Sample:
    declared = ECOMMMMU.task(task)
    given = json_cell(record, "input")
    fields = _fields(INPUT_KEYS[task], given)
    options = declared.option_texts or (_options(record, given) if not declared.labels else ())
    instruction = record.get("instruction")
    instruction = instruction if isinstance(instruction, str) else ""
    given_texts = (part for _, value in fields for part in ((value,) if isinstance(value, str) else value))
    check_text((instruction, *given_texts, *options))
    answers = declared.labels or letters(len(options))
    target = None if asked.fresh else target_of(record.get("output"), answers, options)
    if target is None and not asked.fresh:
        raise Malformed("no output")
    pictures = _pictures(json_cell(record, "images"), asked)
    return Sample(
        id=sample_id,
        benchmark=BENCHMARK,
        task=declared.name,
        split=split,
        fields=fields,
        visuals=_visuals(pictures, _slots(task, fields, len(pictures))),
        options=options,
        target=target,
        subset=VISION_SALIENT if _marked(record.get("is_vc")) else None,
        instruction=instruction,
    )


# ---------------------------------------------------------------------------------------------------- input and options


def _fields(keys: Mapping[str, str], given: Any) -> tuple[tuple[str, FieldValue], ...]:
    if not isinstance(given, dict):
        raise Malformed(f"input is {type(given).__name__}, expected an object")
    missing = [key for key in keys if key not in given]
    if missing:
        raise Malformed(f"input has no {missing[0]!r}")
    return tuple((name, _field(key, given[key])) for key, name in keys.items())


def _field(key: str, value: Any) -> FieldValue:
    """Return a text, or the texts of a history or document; {"text": ...} stands for its text."""
    if key in (PURCHASES, "document"):
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise Malformed(f"{key} is {type(value).__name__}, expected a list")
        return texts([_text(item) for item in items], key)
    text = _text(value)
    if not isinstance(text, str):
        raise Malformed(f"{key} is {type(value).__name__}, expected a text")
    return text


def _text(value: Any) -> Any:
    return value.get("text") if isinstance(value, dict) else value


def _options(record: Mapping[str, Any], given: Any) -> tuple[str, ...]:
    """Return a recommendation's options: a list in the input, else what follows the letters in the row's texts."""
    listed = given.get("options") if isinstance(given, dict) else None
    if isinstance(listed, list):
        return tuple(_lettered(n, text) for n, text in enumerate(texts(listed, "options")))
    for text in (record.get("instruction"), record.get("input")):
        found = _found_options(text) if isinstance(text, str) else ()
        if found:
            return found
    raise Malformed("no options: none in the input, and no lettered ones in the instruction")


def _lettered(number: int, option: str) -> str:
    letter = letters(number + 1)[number]
    return option if re.match(rf"{letter}\s*[:.)]", option) else f"{letter}: {option}"


def _found_options(text: str) -> tuple[str, ...]:
    """Return the options that stand behind A, B, C … in a text, at least two, at most twenty.

    All bear the same mark ("A:", "A." or "A)"); of several marks, the one that leads furthest.
    """
    starts = max((_starts(text, mark) for mark in ":.)"), key=len)
    if len(starts) < 2:
        return ()
    ends = [*(start for start, _ in starts[1:]), len(text)]
    bodies = [text[begin:end].strip(" \t\r\n'\",;[]{}") for (_, begin), end in zip(starts, ends, strict=True)]
    options = tuple(f"{letter}: {body}" for letter, body in zip(letters(_OPTIONS), bodies, strict=False))
    return options if all(bodies) else ()


def _starts(text: str, mark: str) -> list[tuple[int, int]]:
    """Return where A, B, C … stand with a mark behind, one after the other; a letter of "U.S.A." is none."""
    starts: list[tuple[int, int]] = []
    for letter in letters(_OPTIONS):
        lettered = re.compile(rf"(?<!\w)(?<!\b[^\W\d_]\.)\(?{letter}\s*{re.escape(mark)}\s+")
        match = lettered.search(text, starts[-1][1] if starts else 0)
        if match is None:
            break
        starts.append(match.span())
    return starts


# ------------------------------------------------------------------------------------------------------------- pictures


def _pictures(images: Any, asked: _Asked) -> tuple[dict[int, str], ...]:
    """Return each product's pictures by candidate number; a place that is empty is no picture."""
    if images is None or images == []:
        raise Malformed("no pictures")
    if not isinstance(images, list) or not all(isinstance(product, list) for product in images):
        raise Malformed("images is not a list of lists")
    products = []
    for product in images:
        held = {i: image for i, image in enumerate(product) if image not in (None, "")}
        if not all(isinstance(image, str) for image in held.values()):
            raise Malformed("images holds something other than texts")
        if not held:
            raise Malformed("a product without pictures")
        if len(product) > CANDIDATES:
            raise Malformed(f"more than {CANDIDATES} pictures of a product")
        if len(held) < asked.fewest:
            raise Malformed(f"fewer than {asked.fewest} pictures of a product")
        products.append({i: picture_place(image, asked.folder) for i, image in held.items()})
    return tuple(products)


def _slots(task: str, fields: Sequence[tuple[str, FieldValue]], pictured: int) -> tuple[str, ...]:
    """Return the slots that the input names; the candidate of a click has one only where it is pictured."""
    slots = _SLOTS.get(task, ("product",))
    if not slots:
        slots = tuple(f"history[{i}]" for i in range(len(dict(fields)["history"])))
        if task == "click_through_prediction" and pictured == len(slots) + 1:
            slots = (*slots, "candidate")
    if pictured != len(slots):
        raise Malformed(f"{'more' if pictured > len(slots) else 'fewer'} products pictured than the input names")
    return slots


def _visuals(pictures: Sequence[Mapping[int, str]], slots: Sequence[str]) -> tuple[Visual, ...]:
    return tuple(
        Visual(slot, Media(place), candidate)
        for slot, product in zip(slots, pictures, strict=True)
        for candidate, place in product.items()
    )


def _marked(value: Any) -> bool:
    """Return whether is_vc says yes."""
    known = is_vision_salient(value)
    if known is None:
        raise Malformed("is_vc is neither true nor false")
    return known
