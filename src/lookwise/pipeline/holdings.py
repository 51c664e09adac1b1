"""What a run's models take, told before any is opened or fetched: memory at a time, and disk.

In: what a dry run counted.  Out: lines.  Weights that are here are measured from their files; of those that are not,
the size is the one that their name tells (8B), and the line says so; where neither is to be had, that is said, too.
One model is open at a time, so memory is that of the largest; a tuning holds its base, and activations besides.
Caches of a batch are not counted (`lookwise doctor MODEL` tells them).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lookwise.models.need import MATRIX_BYTES, need_of
from lookwise.models.place import locate, weight_files
from lookwise.pipeline.demand import Demand
from lookwise.recipe import GIVEN, Recipe

__all__ = ["holdings"]

_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*[bB](?![a-zA-Z])")
_STORED = 2
"""Bytes of a number as checkpoints are published."""


@dataclass(frozen=True, slots=True)
class _Holding:
    """A model's bytes in memory and on disk; `how` they are known: from its files, by its name, or not at all."""

    spec: str
    memory: float
    disk: float
    how: str


def holdings(demand: Demand) -> list[str]:
    """Return what the models of a run take; nothing is said of servers and scripted models, which take nothing here."""
    found = [one for spec in _specs(demand) if (one := _holding(spec, demand.recipe)) is not None]
    known = [one for one in found if one.how]
    if not found:
        return []
    away = [one for one in found if one.how != "here"]
    least = "at least " if len(known) < len(found) else "about " if away else ""
    lines = []
    if known:
        largest = max(known, key=lambda one: one.memory)
        held = f"{least}{_size(largest.memory)} of weights at a time"
        lines.append(f"memory       {held}: {largest.spec} ({largest.how})")
    line = f"disk         {least}{_size(sum(one.disk for one in known))} of models"
    if away:
        line += f", {_size(sum(one.disk for one in away))} of it to fetch"
    unknown = ", ".join(one.spec for one in found if not one.how)
    return [*lines, line + (f"; not here, and of unknown size: {unknown}" if unknown else "")]


def _specs(demand: Demand) -> list[str]:
    """Return every model that is opened here, once each."""
    recipe = demand.recipe
    asked: list[str] = []
    if demand.captions.asked and recipe.captioner != GIVEN:
        asked.append(recipe.captioner)
    if demand.captions.asked or recipe.captioner == GIVEN:
        asked += recipe.judges.values()
    if demand.measured.asked or demand.assessing:
        asked.append(recipe.assessor or recipe.reader)
    if demand.predicted.asked or recipe.teaches_verifier:
        asked.append(recipe.verifier or recipe.reader)
    asked.append(recipe.reader)
    return [spec for spec in dict.fromkeys(asked) if spec.partition(":")[0] in ("hf", "tiny")]


def _holding(spec: str, recipe: Recipe) -> _Holding | None:
    number, matrix = _bytes(recipe.dtype)
    place = locate(spec, fetch=False)
    if place is not None:
        need = need_of(place, number, matrix)
        files = sum(path.stat().st_size for path in weight_files(place))
        return _Holding(spec, need.weight_bytes, files, "here")
    told = _SIZE.search(spec.rpartition("/")[2])
    if told is None:
        return _Holding(spec, 0.0, 0.0, "")
    size = float(told.group(1)) * 1e9
    return _Holding(spec, size * (matrix or number), size * _STORED, "by its name; not here yet")


def _bytes(dtype: str) -> tuple[int, float | None]:
    """Return what a number takes in memory, and a number of a matrix where that is less."""
    from lookwise.models.hf.device import cuda_name

    automatic = 4 if cuda_name() is None else 2
    return {"float32": 4, "bfloat16": 2, "float16": 2}.get(dtype, automatic), MATRIX_BYTES.get(dtype)


def _size(count: float) -> str:
    if count < 1e8:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e9:.1f} GB" if count < 1e10 else f"{count / 1e9:,.0f} GB"
