"""Where a run's samples come from, and which tasks they belong to: the generated shop, a dataset, a user's table.

In: a recipe.  Out: `Data`: tasks in the recipe's wording, a stream of samples (and of rejected rows, with reasons), and
the truth where the data was generated with it.  Nothing downstream can tell the sources apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lookwise.benchmarks.catalog import find_benchmark, find_task
from lookwise.benchmarks.own import OwnTable, own_benchmark, read_own
from lookwise.benchmarks.wording import prompt_digest, reworded, whose
from lookwise.errors import DataError, RecipeError
from lookwise.fetching.published import PUBLISHED
from lookwise.inference import Display
from lookwise.recipe import Recipe
from lookwise.rows import Prediction, Utility
from lookwise.sample import Sample
from lookwise.sources import ecommmmu, grocery, mmecinstruct
from lookwise.sources.rejected import Rejected
from lookwise.sources.table import read_table
from lookwise.task import Task

__all__ = ["Data", "limited", "open_data"]

WORKERS = 2
"""Processes that draw the shop; its bytes do not depend on them."""


@dataclass(frozen=True)
class Data:
    """A run's data, opened but not read."""

    kind: str
    path: Path
    tasks: Mapping[str, Task]
    recipe: Recipe
    own: OwnTable | None = None

    def prepare(self, display: Display | None = None) -> None:
        """Generate the shop where it is not there yet; other data must exist."""
        if self.kind == "bazaar":
            from lookwise.bazaar.build import build

            tasks = [task.short for task in self.tasks.values()]
            layout = self.recipe.benchmark
            build(self.path, self.recipe.seed, _generated(self.recipe), 128, WORKERS, tasks, self.most, layout, display)
        elif not self.path.exists():
            raise DataError(f"no data at {self.path}; give its place with --set data=PATH{self._or_fetch()}")

    def _or_fetch(self) -> str:
        """Say where data that is not there can be had: a published set, by its own name or its name on the hub."""
        known = next((name for name, one in PUBLISHED.items() if self.kind == name or str(self.path) == one.repo), None)
        return "" if known is None else f", or fetch it first: `lookwise data fetch {known} DIR`"

    @property
    def root(self) -> Path:
        """The folder below which the pictures of the data lie."""
        if self.own is not None:
            return self.own.table.parent
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def most(self) -> dict[str, int]:
        """The recipe's caps of whole tasks, by the task's short name."""
        return {task: count for (split, task), count in self._caps.items() if not split}

    @cached_property
    def _caps(self) -> dict[tuple[str, str], int]:
        """The recipe's caps by split ("" for all of them) and the task's short name."""
        caps: dict[tuple[str, str], int] = {}
        for key, count in self.recipe.samples_most.items():
            split, _, task = key.partition("/") if key.partition("/")[0] in self.recipe.samples else ("", "", key)
            caps[split, find_task(task).short] = int(count)
        return caps

    def read(self) -> Iterator[Sample | Rejected]:
        """Yield the samples of the run's tasks, at most the recipe's number per task and split.

        Reading ends as soon as every task and split has its number: rejected rows behind that are not known.
        """
        tuning = ("train", "val") if self.recipe.readers != "zero-shot" or self.recipe.predicts else ()
        splits = (*tuning, *self.recipe.test_splits)
        return self.capped(self._rows(splits), self._places(splits))

    def capped(
        self, rows: Iterable[Sample | Rejected], places: Iterable[tuple[str, str]] = ()
    ) -> Iterator[Sample | Rejected]:
        """Yield the rows, of samples at most the recipe's number per task and split.

        `places`: every task and split that the rows may be of, where that is known; once all are full no more is read.
        """
        taken: dict[tuple[str, str], int] = {}
        awaited = set(places)
        known = bool(awaited)
        for row in rows:
            if isinstance(row, Sample):
                place = (row.task, row.split)
                taken[place] = taken.get(place, 0) + 1
                limit = self._limit(*place)
                if 0 < limit < taken[place]:
                    continue
                if limit == taken[place]:
                    awaited.discard(place)
            yield row
            if known and not awaited:
                return

    def _places(self, splits: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield the tasks and splits of which a file may hold rows."""
        kind, published = self.kind, _benchmark(self.recipe)
        for task in self.tasks.values():
            for split in splits:
                none = published == ecommmmu.BENCHMARK and split not in ecommmmu.SPLITS
                none |= kind == mmecinstruct.BENCHMARK and split == "ood" and task.short in mmecinstruct.IN_DOMAIN_ONLY
                if not none:
                    yield task.name, split

    def _limit(self, task: str, split: str) -> int:
        """Return how many samples of a task (its full name) and split are wanted; 0 means all."""
        caps = (self._caps.get((some, task.rsplit("/", 1)[-1]), 0) for some in ("", split))
        limits = [self.recipe.samples.get(split, 0), *caps]
        return min((n for n in limits if n > 0), default=0)

    def _rows(self, splits: Sequence[str]) -> Iterator[Sample | Rejected]:
        if self.own is not None:
            return read_table(self.own.table, self.own, splits=splits)
        if self.kind == "grocery":
            shorts = [t.short for t in self.tasks.values()]
            return grocery.read(self.path, tasks=shorts, splits=splits, seed=self.recipe.seed)
        if _benchmark(self.recipe) == ecommmmu.BENCHMARK:
            known = [split for split in splits if split in ecommmmu.SPLITS]
            return ecommmmu.read(self.path, tasks=[t.short for t in self.tasks.values()], splits=known)
        file = self.path / "dataset.json" if self.path.is_dir() else self.path
        return mmecinstruct.read(file, tasks=[t.short for t in self.tasks.values()], splits=splits)

    def folds(self) -> dict[str, int]:
        """Return, by sample id, the fold of a training picture: the captioner that may caption it."""
        count = self.recipe.caption_folds
        if not count:
            return {}
        folds = grocery.open_shop(self.path).folds(count)
        return {grocery.sample_id(t.short, image): fold for image, fold in folds.items() for t in self.tasks.values()}

    def utilities(self) -> list[Utility]:
        """Return the truth about every picture, where the data was generated with it."""
        from lookwise.bazaar import truth

        return truth.read_utilities(self.path) if truth.has_truth(self.path) else []

    def ceilings(self) -> list[Prediction]:
        """Return what the exact readers answer, where the data was generated with its truth."""
        from lookwise.bazaar import truth

        return truth.read_ceilings(self.path) if truth.has_truth(self.path) else []

    def record(self) -> dict[str, Any]:
        """Return what run.json says of the data."""
        return {"kind": self.kind, "source": self.recipe.data, "tasks": list(self.tasks)}

    def prompt_record(self) -> dict[str, dict[str, str]]:
        """Return, by task and use, the digest of the wording and whose it is."""
        return {
            f"{task.short}/{use}": {"sha256": prompt_digest(prompt), "wording": whose(prompt)}
            for task in self.tasks.values()
            for use, prompt in task.prompts.items()
        }


def open_data(recipe: Recipe, folder: Path, prompts: Path | None) -> Data:
    """Return a recipe's data; every unknown task, hole or file is refused here, before any model loads."""
    kind = _kind(recipe)
    if kind == "table":
        return _own_data(recipe, prompts)
    if recipe.caption_folds and kind != "grocery":
        raise RecipeError(f"caption_folds: only the grocery source says which pictures belong together, not {kind!r}")
    benchmark = reworded(find_benchmark(_benchmark(recipe)), recipe.prompts, prompts)
    wanted = {find_task(name, benchmark.name).name for name in recipe.tasks} or {t.name for t in benchmark.tasks}
    tasks = {task.name: task for task in benchmark.tasks if task.name in wanted}
    path = folder / "data" if kind == "bazaar" else Path(recipe.data)
    data = Data(kind, path, MappingProxyType(tasks), recipe)
    if kind != "bazaar":
        data.prepare()
    return data


def _own_data(recipe: Recipe, prompts: Path | None) -> Data:
    path = Path(recipe.data)
    if not path.is_file():
        raise DataError(f"no table description at {path}; give the YAML of a table")
    own = read_own(path)
    tasks = {task.name: task for task in own_benchmark(own, recipe.prompts, prompts).tasks}
    return Data("table", path, MappingProxyType(tasks), recipe, own)


def _kind(recipe: Recipe) -> str:
    if recipe.source != "auto":
        return recipe.source
    return "bazaar" if recipe.data == "bazaar" else "mmecinstruct"


def _benchmark(recipe: Recipe) -> str:
    """Return the benchmark whose tasks a run has: the source's own, or the shape that the shop takes."""
    kind = _kind(recipe)
    return kind if kind in ("grocery", "ecommmmu", "mmecinstruct") else recipe.benchmark


def _generated(recipe: Recipe) -> dict[str, int]:
    """Return how much of the shop to make: a split that is not given a number gets none."""
    wanted = {split: n for split, n in recipe.samples.items() if n > 0}
    if not wanted:
        raise DataError("recipe: the generated shop needs samples_train, samples_val, samples_test or samples_ood")
    return wanted


def limited(recipe: Recipe, limit: int) -> Recipe:
    """Return the recipe with at most `limit` samples per task and split; a split that the shop lacks stays absent."""
    every = 0 if _kind(recipe) == "bazaar" else limit
    cut = {f"samples_{split}": min(n, limit) if n else every for split, n in recipe.samples.items()}
    return replace(recipe, **cut)  # type: ignore[arg-type]
