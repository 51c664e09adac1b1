"""The step of a run that brings its pictures: web addresses become files, once, before any model looks.

In: the samples, and what the recipe's policies look at.  Out: `pictures` rows (what became of each address) and
`absences` rows (which sample misses which picture, and why); pictures.json, their sum.  The samples' rows stay as they
are; Context.samples puts the files in.  Killed anywhere, the same command goes on: what is on the shelf is not asked
for again.  What is missing for a passing reason is asked for again as long as no later step has begun.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lookwise.errors import DataError
from lookwise.fetching import Fetched, Limits, Shelf, fetch, read_pack, subset_of, write_pack
from lookwise.fetching.pack import frozen_subset
from lookwise.models.open import is_remote
from lookwise.pipeline.assessor_steps import taught
from lookwise.pipeline.context import TUNING_SPLITS, Context
from lookwise.pipeline.utility_steps import readers_half, to_measure, to_predict
from lookwise.pipeline.wanted import captions, models_that_look, wanted
from lookwise.recipe import Recipe
from lookwise.runs.store import read_json, write_json_atomic
from lookwise.sample import Sample
from lookwise.stages.fetch import Absent, absences, addresses

__all__ = ["check_fetching", "pictures", "summary", "try_anew", "way"]

_SUMMARY = "pictures.json"
_NEVER = "a web address; the recipe fetches none (fetching: never)"
_UNPACKED = "not in the frozen pack"


def way(recipe: Recipe) -> Literal["fetch", "pass", "never", "pack"]:
    """Return what a run does with web addresses."""
    if recipe.pack:
        return "pack"
    if recipe.fetching == "never":
        return "never"
    remote = all(is_remote(spec) for spec in models_that_look(recipe))
    return "pass" if recipe.fetching == "pass" and remote else "fetch"


def check_fetching(recipe: Recipe) -> None:
    """Refuse, before anything loads, a pack that is none."""
    if recipe.pack and not (Path(recipe.pack) / "manifest.json").is_file():
        raise DataError(f"pack: {recipe.pack!r} holds no manifest.json; give the folder of a frozen pack")


def pictures(context: Context) -> None:
    """Bring the pictures that a step looks at, or settle why they are not there."""
    samples, how = _looked_at(context), way(context.recipe)
    urls = addresses(samples)
    found = {} if how == "pass" else _brought(context, urls, how)
    if context.recipe.freeze and how == "fetch":
        _freeze(context, urls)
    absent = absences(samples, found)
    if how == "pass":  # their addresses are handed on; a clip's is not
        absent = [row for row in absent if row.url not in set(urls)]
    _sum_up(context, len(urls), found, how)
    context.write("absences", Absent, absent)
    context.write("pictures", Fetched, list(found.values()))


def try_anew(context: Context, later: Sequence[str]) -> None:
    """Open the step again where a picture is missing for a passing reason and none of the `later` steps has begun.

    After that it stays closed.  Which pictures are missing decides which requests there are, and so which of them are
    answered together: a run that looked once more in the middle might not end as one that had every picture at once.
    A pack that was frozen stays as it is, too: others score it.
    """
    if not context.done("pictures") or way(context.recipe) != "fetch" or context.recipe.freeze:
        return
    passing = any(row.digest is None and not row.final for row in context.fetched().values())
    begun = [*map(context.rows_folder, later), context.folder / "models", context.folder / "adapters"]
    if passing and not any(place.exists() for place in begun) and not context.replies.spent(context.ledger.run):
        for stage in ("pictures", "absences"):
            shutil.rmtree(context.rows_folder(stage))


def summary(folder: Path) -> dict[str, Any]:
    """Return what run.json says of pictures by web address: nothing where no step looked at one."""
    path = folder / _SUMMARY
    found = read_json(path) if path.is_file() else {}
    return {"pictures": found} if found.get("addresses") else {}


def _looked_at(context: Context) -> list[Sample]:
    """Return the samples with nothing but the pictures that a step looks at."""
    whole = {s.id for s in (*taught(context), *to_measure(context), *to_predict(context))}
    learning = {s.id for s in readers_half(context, context.samples(TUNING_SPLITS))}
    return [_cut(context, sample, sample.id in whole, sample.id in learning) for sample in context.samples()]


def _cut(context: Context, sample: Sample, whole: bool, learning: bool) -> Sample:
    tuning, testing = context.tuning_policies, context.policies
    tuned, tested = sample.split in TUNING_SPLITS, sample.split in context.recipe.test_splits
    captioned = (tuned and captions(context.recipe, tuning)) or (tested and captions(context.recipe, testing))
    shown = (*(tuning if learning else ()), *(testing if tested else ()))
    return replace(sample, visuals=wanted(sample, captioned=captioned, whole=whole, policies=shown))


def _brought(context: Context, urls: Sequence[str], how: str) -> dict[str, Fetched]:
    """Return what became of every address."""
    recipe, shelf = context.recipe, Shelf(context.shelf_folder)
    if how == "never":
        return {url: Fetched(url, None, 0, _NEVER, False) for url in urls}
    if how == "pack":
        read_pack(Path(recipe.pack), shelf)
        return {url: shelf.known.get(url) or Fetched(url, None, 0, _UNPACKED, True) for url in urls}
    limits = Limits(recipe.fetch_at_once, recipe.fetch_per_host, private=recipe.fetch_private)
    return fetch(urls, shelf, limits, context.display)


def _freeze(context: Context, urls: Sequence[str]) -> None:
    """Freeze what was fetched; a pack that this very run left before it was killed is left alone."""
    folder, shelf = Path(context.recipe.freeze), Shelf(context.shelf_folder)
    if not (folder / "manifest.json").exists():
        write_pack(shelf, urls, folder)
    elif frozen_subset(folder) != subset_of(shelf.known[url] for url in set(urls)):
        raise DataError(f"freeze: {folder} holds a pack of other pictures; choose another folder, or delete it")


def _sum_up(context: Context, asked: int, found: Mapping[str, Fetched], how: str) -> None:
    reasons = Counter(str(row.reason) for row in found.values() if row.digest is None)
    summary = {
        "way": how,
        "addresses": asked,
        "fetched": len(found) - reasons.total(),
        "missing": reasons.total(),
        "reasons": dict(reasons.most_common()),
        "subset": subset_of(found.values()) if found else None,
        "shelf": str(context.shelf_folder) if context.recipe.shelf else "fetched",
    }
    write_json_atomic(context.folder / _SUMMARY, summary)
