"""`lookwise gate`: a run's verifier and threshold, in a folder of their own."""

from __future__ import annotations

import argparse
from pathlib import Path

from lookwise import config
from lookwise.commands.printing import say, say_json
from lookwise.errors import RunError, UsageError

__all__ = ["gate"]


def gate(arguments: argparse.Namespace) -> int:
    """Write the gate of a finished run, at the user's price of a picture."""
    from lookwise.pipeline.gate import export_gate

    run, folder = Path(arguments.run), Path(arguments.dir)
    if arguments.price is not None and not 0 <= arguments.price < float("inf"):
        raise UsageError(f"--price {arguments.price}: expected right answers a picture, nought or more")
    if not (run / "recipe.yaml").is_file():
        raise RunError(f"{run}: not a run folder (it has no recipe.yaml); give one that `lookwise run` has filled")
    recipe = config.load(str(run / "recipe.yaml"))
    prompts = Path(arguments.prompts) if arguments.prompts else None
    value = export_gate(run, recipe, folder, price=arguments.price, merged=not arguments.adapter, prompts=prompts)
    if arguments.json:
        say_json(value)
        return 0
    threshold = value["threshold"]
    say(f"{folder}: " + ("looking never pays at this price" if threshold is None else f"look from {threshold:.6g} on"))
    say(f"calibration, and what looking gains at other prices: {folder / 'card.md'}")
    return 0
