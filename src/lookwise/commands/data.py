"""`lookwise data make` and `lookwise data check`: datasets made, and looked at before a run."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lookwise.commands.printing import say, say_json
from lookwise.errors import DataError
from lookwise.sample import Sample
from lookwise.sources.rejected import Rejected

__all__ = ["data_check", "data_make"]


def data_make(arguments: argparse.Namespace) -> int:
    """Generate the shop."""
    from lookwise.bazaar.build import build
    from lookwise.bazaar.layouts import LAYOUTS
    from lookwise.inference.display import terminal_display
    from lookwise.pipeline.data import WORKERS

    sizes = dict.fromkeys(LAYOUTS[arguments.layout].splits, arguments.samples)
    folder, display = Path(arguments.dir), terminal_display()
    path = build(folder, arguments.seed, sizes, workers=WORKERS, layout=arguments.layout, display=display)
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
    from lookwise.sources.table import check_table

    if path.suffix in (".yaml", ".yml") and path.is_file() and is_own(path):
        own = read_own(path)
        return {key: _plain(value) for key, value in asdict(check_table(own.table, own)).items()}
    return _counted(_rows(path))


def _rows(path: Path) -> Iterator[Sample | Rejected]:
    """Yield a dataset's rows, by the published layout that its first row has."""
    from lookwise.sources import ecommmmu, mmecinstruct

    if path.is_dir():
        path = path / (ecommmmu.FILE if (path / ecommmmu.FILE).is_file() else "dataset.json")
    if not path.is_file():
        raise DataError(
            f"no file {path}; give a dataset in MMECInstruct's or EcomMMMU's layout, a folder that holds one, or a "
            "table's YAML"
        )
    return ecommmmu.read(path) if ecommmmu.is_layout(path) else mmecinstruct.read(path)


def _counted(rows: Iterable[Sample | Rejected]) -> dict[str, Any]:
    """Return what a dataset holds.  Pictures by web address are counted without keeping them: there may be millions."""
    from lookwise.media import check_image
    from lookwise.pipeline.distinct import Distinct, key_of

    samples: Counter[str] = Counter()
    targets: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    subsets: Counter[str] = Counter()
    local: dict[str, str | None] = {}
    remote = Distinct()
    for row in rows:
        if not isinstance(row, Sample):
            rejected[row.reason] += 1
            continue
        samples[f"{row.task} {row.split}"] += 1
        targets[f"{row.task} {row.target}"] += 1
        subsets.update([f"{row.task} {row.split}: {row.subset}"] if row.subset else [])
        for visual in row.visuals:
            source = visual.media.source
            if "://" in source:
                remote.add(key_of(source))
            elif source not in local:
                local[source] = check_image(Path(source))
    return {
        "samples": dict(samples),
        "targets": dict(sorted(targets.items())),
        "subsets": dict(subsets),
        "rejected": dict(rejected.most_common()),
        "pictures": len(local) + remote.count,
        "remote": remote.count,
        "remote_exact": remote.exact,
        "broken": {source: reason for source, reason in local.items() if reason},
    }


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _lines(summary: dict[str, Any]) -> list[str]:
    lines = [f"{n:>8} samples   {name}" for name, n in summary["samples"].items()]
    lines += [f"{n:>8} answers   {name}" for name, n in summary["targets"].items()]
    lines += [f"{n:>8} marked    {name}" for name, n in summary.get("subsets", {}).items()]
    lines += [f"{n:>8} rejected  {reason}" for reason, n in summary["rejected"].items()]
    about = "" if summary.get("remote_exact", True) else "about "
    lines.append(f"{summary['pictures']:>8} pictures  ({about}{summary['remote']} by web address, not opened)")
    lines += [f"         broken    {source}: {reason}" for source, reason in list(summary["broken"].items())[:20]]
    if len(summary["broken"]) > 20:
        lines.append(f"         … and {len(summary['broken']) - 20} more broken pictures")
    return lines
