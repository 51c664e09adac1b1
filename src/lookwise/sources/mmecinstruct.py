"""MMECInstruct's published layout, from a local file to samples.

In: dataset.json (a JSON list of rows, or one row a line), however long: only one row is held at a time.  Out:
`Sample`s in the order of the file, and a `Rejected` with its reason for every row that is none.  A file that is no such
dataset at all is a `DataError`.  It fetches nothing; a picture is a web address as published, or a path inside the
dataset's own folder.  It knows no task declaration: it only knows which fields and slots the published rows have.

Read tolerantly: the out-of-domain split under several names; no options as [], "", null or an absent column; columns
that hold JSON as text or as the value itself; a gold answer as a letter or as the full text of the option (it becomes
the letter).  Read strictly: a missing field, an unknown task, split or answer, or a wrong number of pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lookwise.errors import DataError, nearest
from lookwise.message import Media
from lookwise.sample import FieldValue, Sample, Visual
from lookwise.sources.cells import Malformed, check_text, json_cell, picture_place, split_name, target_of, texts
from lookwise.sources.json_rows import json_rows
from lookwise.sources.rejected import Rejected

__all__ = ["BENCHMARK", "IN_DOMAIN_ONLY", "SPLITS", "TASKS", "read", "split_name"]

BENCHMARK = "mmecinstruct"
SPLITS = ("train", "val", "test", "ood")


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a task's rows have: input fields, slots of their pictures, labels where there are no options."""

    fields: tuple[str, ...]
    slots: tuple[str, ...]
    labels: tuple[str, ...] = ()


_YES_NO = ("yes", "no")
TASKS: Mapping[str, _Shape] = MappingProxyType(
    {
        "answerability_prediction": _Shape(("question", "document"), ("product",), _YES_NO),
        "category_classification": _Shape(("title",), ("product",)),
        "product_relation_prediction": _Shape(("product 1", "product 2"), ("product 1", "product 2")),
        "product_substitute_identification": _Shape(("query", "product title"), ("product",), _YES_NO),
        "multiclass_product_classification": _Shape(("query", "product title"), ("product",)),
        "sentiment_analysis": _Shape(("review",), ("review",)),
        "sequential_recommendation": _Shape(("history",), ()),
    }
)
IN_DOMAIN_ONLY = ("product_substitute_identification", "multiclass_product_classification")
"""Tasks without an out-of-domain test."""


def read(
    path: Path, *, tasks: Collection[str] = (), splits: Collection[str] = (), limit: int | None = None
) -> Iterator[Sample | Rejected]:
    """Yield the samples of these tasks and splits (none named: all), at most `limit` of each task and split.

    A sample's id is "task/split/number", numbered in the order of the file.  Rows of other tasks and splits are skipped
    without a look; rows of which neither can be told are rejected.
    """
    wanted_tasks = {_known(task.rsplit("/", 1)[-1], TASKS, "task") for task in tasks} or set(TASKS)
    wanted_splits = {_known(split, SPLITS, "split") for split in splits} or set(SPLITS)
    folder = (path if path.is_dir() else path.parent).resolve()
    file = path / "dataset.json" if path.is_dir() else path
    if not file.is_file():
        raise DataError(f"{file}: no such file; expected MMECInstruct's dataset.json")
    return _samples(file, folder, wanted_tasks, wanted_splits, limit)


def _known(name: str, known: Collection[str], what: str) -> str:
    if name not in known:
        raise DataError(f"MMECInstruct has no {what} {name!r}; {nearest(name, known)}")
    return name


def _samples(
    file: Path, folder: Path, tasks: set[str], splits: set[str], limit: int | None
) -> Iterator[Sample | Rejected]:
    numbers: Counter[tuple[str, str]] = Counter()
    for row, record in json_rows(file):
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            task, split = _place(record)
            if task not in tasks or split not in splits:
                continue
            number = numbers[task, split]
            numbers[task, split] += 1
            if limit is None or number < limit:
                yield _sample(record, f"{task}/{split}/{number:05d}", task, split, folder)
            elif _all_full(numbers, tasks, splits, limit):
                return
        except Malformed as reason:
            yield Rejected(row, str(reason))


def _all_full(numbers: Counter[tuple[str, str]], tasks: set[str], splits: set[str], limit: int) -> bool:
    """Return whether nothing more can be wanted."""
    places = ((t, s) for t in tasks for s in splits if s != "ood" or t not in IN_DOMAIN_ONLY)
    return all(numbers[place] >= limit for place in places)


def _place(record: Mapping[str, Any]) -> tuple[str, str]:
    task, split = record.get("task"), record.get("split")
    if task not in TASKS:
        raise Malformed(f"task {task!r} is not one of MMECInstruct's")
    name = split_name(split) if isinstance(split, str) else None
    if name is None:
        raise Malformed(f"split {split!r} is none of {', '.join(SPLITS)}")
    return str(task), name


def _sample(record: Mapping[str, Any], sample_id: str, task: str, split: str, folder: Path) -> Sample:
    shape = TASKS[task]
    fields = _fields(shape, task, json_cell(record, "input"))
    options = texts(json_cell(record, "options") or [], "options")
    if not shape.labels and not options:
        raise Malformed("no options")
    letters = shape.labels or _letters(options)
    history = next((len(v) for n, v in fields if n == "history"), 0)
    slots = shape.slots or (
        *(f"history[{i}]" for i in range(history)),
        *(f"options[{i}]" for i in range(len(options))),
    )
    subset, instruction = record.get("subset"), record.get("instruction")
    instruction = instruction if isinstance(instruction, str) else ""
    check_text(
        (
            instruction,
            *(text for _, value in fields for text in ([value] if isinstance(value, str) else value)),
            *options,
        )
    )
    return Sample(
        id=sample_id,
        benchmark=BENCHMARK,
        task=f"{BENCHMARK}/{task}",
        split=split,
        fields=fields,
        visuals=_visuals(texts(json_cell(record, "images") or [], "images"), slots, folder, _captions(record)),
        options=() if shape.labels else options,
        target=target_of(record.get("output"), letters, options),
        subset=subset if isinstance(subset, str) and subset else None,
        instruction=instruction,
    )


def _fields(shape: _Shape, task: str, given: Any) -> tuple[tuple[str, FieldValue], ...]:
    if shape.fields == ("history",) and isinstance(given, list):
        given = {"history": given}
    if not isinstance(given, dict):
        raise Malformed(f"input is {type(given).__name__}, expected {'a list' if shape.slots == () else 'an object'}")
    missing = [name for name in shape.fields if name not in given]
    if missing:
        raise Malformed(f"input of {task} has no {missing[0]!r}; it has {', '.join(map(repr, given)) or 'nothing'}")
    return tuple((name, _field(given[name], name)) for name in shape.fields)


def _field(value: Any, name: str) -> FieldValue:
    if name in ("document", "history"):
        return texts([value] if isinstance(value, str) else value, name)
    if not isinstance(value, str):
        raise Malformed(f"{name} is {type(value).__name__}, expected a text")
    return value


def _letters(options: Sequence[str]) -> tuple[str, ...]:
    """Return what stands before the colon of every option (the whole option where there is none)."""
    letters = tuple(option.split(":", 1)[0].strip() for option in options)
    if len(set(letters)) < len(letters) or "" in letters:
        raise Malformed("options do not each have a letter of their own ('A: text')")
    return letters


def _captions(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the captions that come with a row, in the order of its pictures; none where the file has none."""
    found = json_cell(record, "caption_info")
    if found is None:
        return ()
    captions = texts([text or "" for text in found] if isinstance(found, list) else found, "caption_info")
    check_text(captions)
    return captions


def _visuals(images: Sequence[str], slots: Sequence[str], folder: Path, captions: Sequence[str]) -> tuple[Visual, ...]:
    if len(images) != len(slots):
        raise Malformed(
            f"{len(images)} pictures, expected {len(slots)} ({', '.join(slots[:3])}{' …' * (len(slots) > 3)})"
        )
    if captions and len(captions) != len(images):
        raise Malformed(f"{len(captions)} captions in caption_info, expected one for each of {len(images)} pictures")
    told = captions or [""] * len(images)
    return tuple(
        Visual(slot, Media(picture_place(image, folder)), caption=caption)
        for slot, image, caption in zip(slots, images, told, strict=True)
    )
