"""CASLIE's caption files, captions/{task}_{split}.json: read into samples, and written from caption rows.

In: a folder, samples of MMECInstruct's layout, caption rows.  Out: samples whose pictures bear the captions of the
files; files of the published shape: a list with one entry per row of that task and split, in the order of the data;
each entry a list with one caption per picture, "NA" where there is none, empty for a row that was not captioned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lookwise.errors import DataError
from lookwise.rows import Caption
from lookwise.runs.files import read_json, write_json_atomic
from lookwise.sample import Sample

__all__ = ["NO_CAPTION", "read_caption_files", "write_caption_files"]

NO_CAPTION = "NA"


def read_caption_files(folder: Path, samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples with the captions of the files; a row that its file leaves out bears none."""
    places = dict.fromkeys((sample.task.rsplit("/", 1)[-1], sample.split) for sample in samples)
    files = {place: _file(folder, *place) for place in places}
    return [_told(sample, files[sample.task.rsplit("/", 1)[-1], sample.split]) for sample in samples]


def write_caption_files(folder: Path, samples: Iterable[Sample], captions: Mapping[str, Sequence[Caption]]) -> None:
    """Write the captions of samples, by sample id, one file for each task and split."""
    rows: dict[tuple[str, str], dict[int, list[str]]] = {}
    for sample in samples:
        texts = {(c.slot, c.candidate): c.text or NO_CAPTION for c in captions.get(sample.id, ())}
        told = [texts.get((v.slot, v.candidate), NO_CAPTION) for v in sample.visuals]
        rows.setdefault((sample.task.rsplit("/", 1)[-1], sample.split), {})[_number(sample)] = told
    for (task, split), found in rows.items():
        listed = [found.get(i, []) for i in range(max(found) + 1)]
        write_json_atomic(folder / f"{task}_{split}.json", listed)


def _number(sample: Sample) -> int:
    """Return the place of a sample among the rows of its task and split, which its id ends with."""
    return int(sample.id.rsplit("/", 1)[-1])


def _file(folder: Path, task: str, split: str) -> list[Any]:
    path = folder / f"{task}_{split}.json"
    if not path.is_file():
        raise DataError(f"caption_files: no {path}; expected one file for each task and split, {{task}}_{{split}}.json")
    found = read_json(path)
    if not isinstance(found, list):
        raise DataError(
            f"{path} holds a JSON {type(found).__name__}; expected a list with one list of captions per row"
        )
    return found


def _told(sample: Sample, rows: Sequence[Any]) -> Sample:
    number = _number(sample)
    told = rows[number] if number < len(rows) else None
    if not isinstance(told, list) or len(told) != len(sample.visuals):
        told = [""] * len(sample.visuals)
    return replace(
        sample,
        visuals=tuple(
            replace(visual, caption=text if isinstance(text, str) else "")
            for visual, text in zip(sample.visuals, told, strict=True)
        ),
    )
