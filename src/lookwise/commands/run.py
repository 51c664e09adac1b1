"""`lookwise run` and `lookwise demo`: a recipe carried out, then its tables."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

from lookwise import config
from lookwise.commands.printing import say
from lookwise.errors import RecipeError
from lookwise.recipe import Recipe

__all__ = ["demo", "run"]


def demo(arguments: argparse.Namespace) -> int:
    """Run the demo recipe, or its quick form."""
    name = "demo-quick" if arguments.quick else "demo"
    return _carry_out(config.load(name), Path(arguments.out or f"runs/{name}"), None, None, None)


def run(arguments: argparse.Namespace) -> int:
    """Run a recipe, whole or by stage, or say what it would do."""
    from lookwise.pipeline.data import limited

    recipe = config.load(arguments.recipe, _with_flags(arguments))
    if arguments.limit is not None:
        recipe = limited(recipe, arguments.limit)
    prompts = Path(arguments.prompts) if arguments.prompts else None
    folder = Path(arguments.out or f"runs/{recipe.name}")
    if arguments.dry_run:
        from lookwise.pipeline.plan import plan

        for line in plan(recipe, folder, prompts):
            say(line)
        return 0
    return _carry_out(recipe, folder, prompts, arguments.until, arguments.only)


def _with_flags(arguments: argparse.Namespace) -> Sequence[str]:
    return [*arguments.set, "audit=1.0"] if arguments.all_judges else arguments.set


def _text(recipe: Recipe, folder: Path) -> str:
    """Return the recipe in full, or as an earlier version left it in the folder where that means the same."""
    kept = folder / "recipe.yaml"
    if kept.is_file():
        with contextlib.suppress(RecipeError, ValueError):
            if config.load(str(kept)).unlimited == recipe.unlimited:
                return kept.read_text(encoding="utf-8")
    return config.dump(recipe)


def _carry_out(recipe: Recipe, folder: Path, prompts: Path | None, until: str | None, only: str | None) -> int:
    from lookwise.inference import terminal_display
    from lookwise.pipeline import flow
    from lookwise.report.html import write_page
    from lookwise.report.terminal import show

    asked = flow.Asked(until, only, prompts, terminal_display(), say=lambda name: say(f"* {name}"))
    worked = flow.run(recipe, folder, _text(recipe, folder), asked)
    if not worked:
        say(f"{folder}: this run is finished, nothing to do; delete the folder to start anew")
    if until or only:
        return 0
    page = folder / "report.html"
    if worked or not page.exists():
        say("* report")
        write_page(folder, page)
    show(folder)
    say(f"report: {page}")
    return 0
