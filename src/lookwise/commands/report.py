"""`lookwise report` and `lookwise compare`: tables of finished runs, and two runs on the samples that they share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookwise.commands.printing import say, say_json
from lookwise.errors import RunError, UsageError

__all__ = ["compare", "report"]


def report(arguments: argparse.Namespace) -> int:
    """Print the tables of runs; write one run's page where asked."""
    from lookwise.report.gather import gather
    from lookwise.report.html import write_page
    from lookwise.report.terminal import show

    folders = [Path(run) for run in arguments.runs]
    if arguments.html and len(folders) > 1:
        raise UsageError(f"--html writes the page of one run; {len(folders)} were given")
    if arguments.json:
        say_json([score for folder in folders for score in gather(folder).scores])
        return 0
    for folder in folders:
        if len(folders) > 1:
            say(f"{folder}:")
        show(folder)
    if arguments.html:
        write_page(folders[0], Path(arguments.html))
        say(f"report: {arguments.html}")
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Print the paired difference of every reader and policy that both runs have."""
    from lookwise import config
    from lookwise.pipeline.compare import compare_runs

    first = Path(arguments.run_a)
    if not (first / "recipe.yaml").is_file():
        raise RunError(f"{first}: not a run folder (it has no recipe.yaml); give one that `lookwise run` has filled")
    differences = compare_runs(first, Path(arguments.run_b), config.load(str(first / "recipe.yaml")))
    if arguments.json:
        say_json(differences)
        return 0
    say(f"a = {arguments.run_a}, b = {arguments.run_b}; a - b with its 95 % interval, paired on shared samples")
    for row in differences:
        say(
            f"{row['task']} {_part(row)} {row['metric']} [{row['reader']} | {row['policy']}] {_size(row)} "
            f"n={row['n']} only a right {row['only_a']}, only b right {row['only_b']}, {_chance(row['p_holm'])}"
        )
    say("* interval clear of zero; p is the exact McNemar test, corrected for the number of rows (Holm)")
    return 0


def _part(row: Mapping[str, Any]) -> str:
    return f"{row['split']}, {row['subset']}" if row["subset"] else str(row["split"])


def _size(row: Mapping[str, Any]) -> str:
    """Return a difference with its interval, marked where that is clear of zero."""
    value, low, high = row["value"], row["low"], row["high"]
    if value is None:
        return "none"
    if low is None or high is None:
        return f"{value:+.3f}"
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})" + ("" if low <= 0 <= high else " *")


def _chance(p: float | None) -> str:
    return "p -" if p is None else f"p {json.dumps(round(p, 4))}"
