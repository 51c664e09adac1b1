"""Writes a generated dataset in MMECInstruct's or EcomMMMU's published layout, pictures and truth included.

In: a folder that does not exist yet, a seed, how many samples of each task every split gets.  Out: the folder:

dataset.json    a JSON list, one row a line, with the published columns (MMECInstruct: input, options and images are
                JSON strings, and there is one more, `subset`); images are paths relative to the folder.  EcomMMMU's is
                EcomMMMU.json
images/         one PNG per listing that a sample uses, or eight
truth/          truth.py says what
card.json       seed, sizes, versions, counts, declared shares
manifest.json   digests of all files, written last

The same arguments and versions give the same bytes.  The folder appears by a rename once it is complete; a complete one
is kept if its arguments agree.  It knows no recipe and no model.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy
import PIL
import pyarrow

from lookwise import __version__
from lookwise.bazaar import cases
from lookwise.bazaar.cases import Split, world_of
from lookwise.bazaar.layouts import LAYOUTS, Layout, Picture, paint
from lookwise.bazaar.samples import Made, split_world
from lookwise.bazaar.truth import write_truth
from lookwise.bazaar.world import World
from lookwise.errors import DataError, nearest
from lookwise.inference.display import Display
from lookwise.rows import Prediction, Utility
from lookwise.runs.company import end_with_parent
from lookwise.runs.files import write_json_atomic

__all__ = ["build"]

_LAYOUT = 1
_CHUNK = 64
"""Pictures that a worker is given at a time, at most: progress is seen after each."""
T = TypeVar("T")
_MANIFEST = "manifest.json"
_PNG_EFFORT = 1
"""Photos carry noise: more effort saves no space."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Some tasks of one split, with their rows of truth."""

    made: tuple[Made, ...]
    utilities: tuple[Utility, ...]
    ceilings: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """Every `of`-th sample of a split, from the `part`-th."""

    seed: int
    split: Split
    count: int
    part: int
    of: int
    tasks: tuple[str, ...]
    most: dict[str, int]
    layout: str


def build(
    out: Path,
    seed: int,
    samples: Mapping[str, int],
    size: int = 128,
    workers: int = 1,
    tasks: Sequence[str] = (),
    most: Mapping[str, int] = MappingProxyType({}),
    layout: str = "mmecinstruct",
    display: Display | None = None,
) -> Path:
    """Make the dataset in `out` unless it is there already; return the path of its file of rows.

    `samples`: how many of each task a split gets ("train", "val", "test", "ood"; a split left out gets none).
    `tasks`: those to make (none named: all of the layout's); `most`: caps per task and split.  `workers`: processes
    that share the work; the bytes do not depend on them.  `display` is told how far it has got.
    """
    shape = _shape(layout)
    wanted = _checked(samples, shape)
    tasks = tasks or shape.tasks
    unknown = [name for name in (*tasks, *most) if name not in shape.tasks]
    if unknown:
        raise DataError(f"unknown task {unknown[0]!r}; {nearest(unknown[0], shape.tasks)}")
    lessons = {"benchmark": layout, "tasks": sorted(tasks), "most": dict(sorted(most.items()))}
    asked = {"layout": _LAYOUT, "seed": seed, "size": size, "samples": wanted, **lessons, "versions": _versions()}
    if out.exists() and any(out.iterdir()):
        _check_same(out, asked)
        return out / shape.file
    draft = out.with_name(f".{out.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "images").mkdir(parents=True)
    jobs = [
        _Job(seed, split, count, part, workers, tuple(tasks), dict(most), layout)
        for split, count in wanted.items()
        for part in range(workers)
    ]
    _fill(draft, shape, jobs, size, workers, display)
    _write_manifest(draft, asked)
    if out.exists():
        out.rmdir()
    os.replace(draft, out)
    return out / shape.file


def _shape(name: str) -> Layout:
    if name not in LAYOUTS:
        raise DataError(f"the shop has no layout {name!r}; {nearest(name, LAYOUTS)}")
    return LAYOUTS[name]


def _checked(samples: Mapping[str, int], shape: Layout) -> dict[Split, int]:
    for name, count in samples.items():
        if name not in shape.splits:
            raise DataError(f"unknown split {name!r}; {nearest(name, shape.splits)}")
        if count < 0:
            raise DataError(f"{count} samples for split {name!r}; expected 0 or more")
    wanted = {split: samples[split] for split in shape.splits if samples.get(split, 0) > 0}
    if not wanted:
        raise DataError("no split has any samples; expected for example test=1000")
    return wanted


def _versions() -> dict[str, str]:
    return {
        "lookwise": __version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "pyarrow": pyarrow.__version__,
    }


def _check_same(out: Path, asked: Mapping[str, Any]) -> None:
    """Refuse a folder that holds something else; versions may differ, since the files are what they are."""
    path = out / _MANIFEST
    if not path.is_file():
        raise DataError(f"{out} is not empty and holds no finished dataset; choose another folder or empty it")
    held = json.loads(path.read_text(encoding="utf-8"))["asked"]
    held.setdefault("benchmark", "mmecinstruct")  # folders made before there was a second one
    for key in ("layout", "benchmark", "seed", "size", "samples", "tasks", "most"):
        if held.get(key) != asked[key]:
            raise DataError(
                f"{out} holds a dataset with {key} {held.get(key)}, not {asked[key]}; choose another folder"
            )


def _fill(draft: Path, shape: Layout, jobs: Sequence[_Job], size: int, workers: int, display: Display | None) -> None:
    with _crew(workers) as share:
        by_split: dict[Split, list[_Part]] = {}
        parts_done = _shown(share(_make_part, jobs), "the shop, its samples and their truth", len(jobs), display)
        for job, part in zip(jobs, parts_done, strict=True):
            by_split.setdefault(job.split, []).append(part)
        made = [m for parts in by_split.values() for m in _interleave([p.made for p in parts])]
        photos = {picture.path: picture for m in made for picture in shape.pictures(m)}
        drawn = share(_draw_one, [(draft, photos[path], size) for path in sorted(photos)])  # begins at once
        _write_samples(draft, shape, made, [p for parts in by_split.values() for p in parts])
        for _ in _shown(drawn, "the shop, its pictures", len(photos), display):
            pass
    write_json_atomic(draft / "card.json", _card(shape, jobs[0].seed, size, made, list(photos.values())))


def _write_samples(draft: Path, shape: Layout, made: Sequence[Made], parts: Sequence[_Part]) -> None:
    listings = {x.listing_id: x for m in made for x in m.drawn.listings}
    with (draft / shape.file).open("w", encoding="utf-8", newline="\n") as file:
        file.write("[\n")
        file.write(",\n".join(json.dumps(shape.row(m.sample), ensure_ascii=False) for m in made))
        file.write("\n]\n")
    place = {m.sample.id: i for i, m in enumerate(made)}
    write_truth(
        draft,
        ((m.sample.id, m.drawn) for m in made),
        (listings[name] for name in sorted(listings)),
        sorted((u for p in parts for u in p.utilities), key=lambda u: place[u.sample_id]),
        sorted((c for p in parts for c in p.ceilings), key=lambda c: place[c.sample_id]),
    )


def _interleave(parts: Sequence[Sequence[Made]]) -> Iterator[Made]:
    """Put a split's samples back into their order: part k of n holds every n-th one, from the k-th."""
    for i in range(sum(len(part) for part in parts)):
        yield parts[i % len(parts)][i // len(parts)]


@contextmanager
def _crew(workers: int) -> Iterator[Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]]:
    """Give a `map` over as many processes as were asked for, the same ones for every call: each loads libraries once.

    Processes begin as soon as `map` is called; without any, work is done as its results are asked for.
    """
    if workers < 2:
        yield map
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), end_with_parent) as pool:
        yield lambda function, jobs: pool.map(function, jobs, chunksize=min(_CHUNK, max(1, len(jobs) // (8 * workers))))


def _shown(done: Iterator[T], title: str, total: int, display: Display | None) -> Iterator[T]:
    """Yield what is done, and count it on the display."""
    if display is None:
        yield from done
        return
    display.begin(title, total)
    try:
        for one in done:
            display.advance(sent=1)
            yield one
    finally:
        display.end()


def _make_part(job: _Job) -> _Part:
    """Draw a whole split (quick), and reckon the truth of every n-th sample of it (slow)."""
    shape = LAYOUTS[job.layout]
    ceiling = shape.ceiling(split_world(job.split))
    drawn = shape.make(job.seed, job.split, job.count, job.tasks, job.most)
    made = tuple(m for i, m in enumerate(drawn) if i % job.of == job.part)
    worth = tuple(u for m in made for u in shape.utilities(ceiling, m.sample.id, m.drawn))
    return _Part(made, worth, tuple(p for m in made for p in shape.predictions(ceiling, m.sample, m.drawn)))


def _draw_one(job: tuple[Path, Picture, int]) -> None:
    folder, picture, size = job
    paint(picture, size).save(folder / picture.path, "PNG", compress_level=_PNG_EFFORT)


def _card(shape: Layout, seed: int, size: int, made: Sequence[Made], photos: Sequence[Picture]) -> dict[str, Any]:
    splits = [split for split in shape.splits if any(m.sample.split == split for m in made)]
    worlds: dict[str, World] = {split: world_of("", split_world(split)) for split in splits}
    answers: dict[str, Counter[str]] = {}
    for m in made:
        answers.setdefault(f"{m.drawn.case.task}/{m.sample.split}", Counter())[m.drawn.target] += 1
    return {
        "title": shape.title,
        "seed": seed,
        "picture_size": size,
        "versions": _versions(),
        "samples": {name: sum(count.values()) for name, count in answers.items()},
        "answers": {name: dict(sorted(count.items())) for name, count in answers.items()},
        "pictures": {"all": len(photos), **dict(sorted(Counter(photo.kind for photo in photos).items()))},
        "categories": {split: list(world.categories) for split, world in worlds.items()},
        "shares": _shares(shape),
    }


def _shares(shape: Layout) -> dict[str, Any]:
    return {
        "photo_kinds": dict(shape.shares),
        "answerability_yes": cases.YES_SHARE,
        "relations": dict(cases.PRP_SHARES),
        "relevance": dict(cases.MPC_SHARES),
        "substitute_relations": dict(cases.PSI_SHARES),
        "opinions": dict(cases.OPINIONS),
        "opinion_stated": cases.OPINION_MENTION,
        "taste_in_history": cases.TASTE_IN_HISTORY,
        "taste_in_target": cases.TASTE_IN_TARGET,
        "held_out_wording_in_test": cases.HELD_OUT_SHARE,
        "attribute_stated": {task: dict(cases.MENTION[task]) for task in shape.tasks},
        "category_department_neither_stated": {task: list(cases.CATEGORY_MENTION[task]) for task in shape.tasks},
    }


def _write_manifest(draft: Path, asked: Mapping[str, Any]) -> None:
    files = {path.relative_to(draft).as_posix(): _sha256(path) for path in _files(draft)}
    write_json_atomic(draft / _MANIFEST, {"asked": asked, "files": files})


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
