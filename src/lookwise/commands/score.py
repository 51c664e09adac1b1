"""`lookwise score`: predictions that another program made."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from lookwise.benchmarks.scoring import LeftOut, ScoreReport, score_file, score_folder, write_csv
from lookwise.commands.printing import say, say_json
from lookwise.errors import DataError, UsageError

__all__ = ["score"]

_TOLD = 10
"""Reasons that are told one by one."""


def score(arguments: argparse.Namespace) -> int:
    """Score a file, or every file of a folder."""
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
        for line in _lines(report):
            say(line)
    return 0


def _lines(report: ScoreReport) -> Iterator[str]:
    """Yield a report as text; our rule has a column of its own beside the published one."""
    yield f"{report.file}: {report.benchmark} {report.task or ''} by the {report.rule} rule"
    beside = report.robust if isinstance(report.robust, ScoreReport) else None
    if isinstance(report.robust, str):
        yield f"  our rule could not be applied: {report.robust}"
    yield from _block(report, beside)
    for name, part in report.subsets.items():
        yield f"  {name}:"
        yield from _block(part, beside.subsets.get(name) if beside else None)
    yield from _left_out(report.left_out)
    if beside is not None and beside.left_out != report.left_out:
        yield from _left_out(beside.left_out, " by our rule")


def _block(report: ScoreReport, beside: ScoreReport | None) -> Iterator[str]:
    if beside is None:
        yield f"  n {report.n}, failed {report.failed}"
        for name, value in report.metrics.items():
            yield f"  {name:<20} {value:.4f}"
        return
    yield f"  {'':<20} {report.rule:>10} {'our rule':>10}"
    yield f"  {'n':<20} {report.n:>10} {beside.n:>10}"
    yield f"  {'failed':<20} {report.failed:>10} {beside.failed:>10}"
    for name in dict.fromkeys((*report.metrics, *beside.metrics)):
        cells = (_cell(one.metrics, name) for one in (report, beside))
        yield f"  {name:<20} {' '.join(f'{cell:>10}' for cell in cells)}"


def _cell(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:.4f}" if name in metrics else ""


def _left_out(left: LeftOut, why: str = "") -> Iterator[str]:
    """Say what of the gold was not scored, the commonest reasons first."""
    for reasons, what in ((left.reasons, f"left out{why}"), (left.unplaced, "of no known task")):
        told = sorted(reasons.items(), key=lambda item: -item[1])
        for reason, count in told[:_TOLD]:
            yield f"  {count} gold rows {what}: {reason}"
        if len(told) > _TOLD:
            yield f"  {sum(count for _, count in told[_TOLD:])} gold rows {what} for other reasons"
