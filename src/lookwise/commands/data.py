"""`lookwise data make` and `lookwise data check`: datasets made, and looked at before a run."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lookwise.commands.printing import say, say_json
from lookwise.errors import DataError
from lookwise.sample import Sample

__all__ = ["data_check", "data_make"]


def data_make(arguments: argparse.Namespace) -> int:
    """Generate the shop."""
    from lookwise.bazaar.build import build
    from lookwise.pipeline.data import WORKERS

    sizes = dict.fromkeys(("train", "val", "test", "ood"), arguments.samples)
    path = build(Path(arguments.dir), arguments.seed, sizes, workers=WORKERS)
    say(f"{path}: seed {arguments.seed}, {arguments.samples} samples per task and split")
    return 0


def data_check(arguments: argparse.Namespace) -> int:
    """Read a dataset or table, and say what is wrong with it; 1 when nothing in it can be used."""
    summary = _summary(Path(arguments.file))
    if arguments.json:
        say_json(summary)
    else:
        for line in _lines(summary):
            say(line)
    return 0 if summary["samples"] else 1


def _summary(path: Path) -> dict[str, Any]:
    from lookwise.benchmarks.own import is_own, read_own
    from lookwise.media import check_image
    from lookwise.sources.mmecinstruct import read
    from lookwise.sources.table import check_table

    if path.suffix in (".yaml", ".yml") and path.is_file() and is_own(path):
        own = read_own(path)
        return {key: _plain(value) for key, value in asdict(check_table(own.table, own)).items()}
    file = path / "dataset.json" if path.is_dir() else path
    if not file.is_file():
        raise DataError(f"no file {file}; give a dataset in MMECInstruct's layout, or a table's YAML")
    samples: Counter[str] = Counter()
    targets: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    pictures: dict[str, str | None] = {}
    for row in read(file):
        if not isinstance(row, Sample):
            rejected[row.reason] += 1
            continue
        samples[f"{row.task} {row.split}"] += 1
        targets[f"{row.task} {row.target}"] += 1
        for visual in row.visuals:
            source = visual.media.source
            if source not in pictures:
                pictures[source] = None if "://" in source else check_image(Path(source))
    return {
        "samples": dict(samples),
        "targets": dict(sorted(targets.items())),
        "rejected": dict(rejected.most_common()),
        "pictures": len(pictures),
        "remote": sum("://" in source for source in pictures),
        "broken": {source: reason for source, reason in pictures.items() if reason},
    }


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _lines(summary: dict[str, Any]) -> list[str]:
    lines = [f"{n:>8} samples   {name}" for name, n in summary["samples"].items()]
    lines += [f"{n:>8} answers   {name}" for name, n in summary["targets"].items()]
    lines += [f"{n:>8} rejected  {reason}" for reason, n in summary["rejected"].items()]
    lines.append(f"{summary['pictures']:>8} pictures  ({summary['remote']} by web address, not opened)")
    lines += [f"         broken    {source}: {reason}" for source, reason in list(summary["broken"].items())[:20]]
    if len(summary["broken"]) > 20:
        lines.append(f"         … and {len(summary['broken']) - 20} more broken pictures")
    return lines
