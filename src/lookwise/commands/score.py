"""`lookwise score`: predictions that another program made."""

from __future__ import annotations

import argparse
from pathlib import Path

from lookwise.commands.printing import say, say_json
from lookwise.errors import DataError, UsageError

__all__ = ["score"]


def score(arguments: argparse.Namespace) -> int:
    """Score a file, or every file of a folder."""
    from lookwise.benchmarks.scoring import score_file, score_folder, write_csv

    path = Path(arguments.file)
    if not path.exists():
        raise DataError(
            f"no file or folder {path}; give predictions: JSON for mmecinstruct, ecommmmu and mmie, CSV for mmla"
        )
    if arguments.csv and not path.is_dir():
        raise UsageError("--csv goes with a folder of predictions")
    one = score_folder if path.is_dir() else score_file
    found = one(
        path,
        arguments.benchmark,
        task=arguments.task,
        gold=Path(arguments.gold) if arguments.gold else None,
        split=arguments.split,
        rule=arguments.rule,
    )
    reports = found if isinstance(found, list) else [found]
    if arguments.csv:
        write_csv(reports, Path(arguments.csv))
    if arguments.json:
        values = [{"file": r.file, **r.as_json()} for r in reports] if path.is_dir() else reports[0].as_json()
        say_json(values)
        return 0
    for report in reports:
        say(f"{report.file}: {report.benchmark} {report.task or ''} by the {report.rule} rule")
        say(f"  n {report.n}, failed {report.failed}")
        for name, value in report.metrics.items():
            say(f"  {name:<20} {value:.4f}")
    return 0
