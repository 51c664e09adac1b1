"""The words that a run was asked in, found again: whoever goes on with a run asks as it asked, or not at all.

In: a run's record (run.json), and the folder of prompt files that the user names now, if any.  Out: the run's data in
those words; a RunError, which names the prompt and the cure, where they are others.  It knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lookwise.benchmarks.wording import PROMPT_SETS
from lookwise.errors import RunError
from lookwise.pipeline.data import Data, open_data
from lookwise.recipe import Recipe
from lookwise.stages.evidence import parse_policy
from lookwise.task import PromptUse

__all__ = ["check_wording", "folder_record", "open_as_asked", "uses_of"]

_FOLDER = "prompt_folder"


def folder_record(prompts: Path | None) -> dict[str, str | None]:
    """Return what run.json says of the folder of prompt files that a run was given."""
    return {_FOLDER: None if prompts is None else str(prompts.resolve())}


def open_as_asked(run: Path, recipe: Recipe, record: Mapping[str, Any], prompts: Path | None) -> Data:
    """Return a run's data in the words of the folder named now, or else of the one that the run was given.

    That one may be gone or changed meanwhile, so `check_wording` has the last word on whatever is asked.
    """
    noted = record.get(_FOLDER)
    if prompts is None and isinstance(noted, str) and Path(noted).is_dir():
        prompts = Path(noted)
    return open_data(recipe, run, prompts)


def uses_of(recipe: Recipe, policy: str) -> tuple[PromptUse, ...]:
    """Return the uses whose prompts are asked when new rows are answered under a policy."""
    parsed = parse_policy(policy, recipe.judges)
    if parsed.form is None:
        return ("answer",)
    if parsed.form == "visuals":
        return ("answer", "utility") if parsed.selector == "predicted" else ("answer",)
    caption: PromptUse = "caption" if recipe.caption_context else "caption_plain"
    return ("answer", caption, "caption_quality") if parsed.selector in ("vote", "judge") else ("answer", caption)


def check_wording(run: Path, data: Data, record: Mapping[str, Any], uses: Iterable[PromptUse] | None = None) -> None:
    """Raise RunError where a prompt of these uses (None: any) is not worded as the run's record says."""
    told: Mapping[str, Mapping[str, str]] = record.get("prompts", {})
    ours = data.prompt_record()
    shorts = [task.short for task in data.tasks.values()]
    names = sorted(told) if uses is None else [f"{short}/{use}" for use in uses for short in shorts]
    for name in names:
        asked = told.get(name, {})
        if name not in ours or asked.get("sha256") != ours[name]["sha256"]:
            raise RunError(f"{run} was asked {name} in other words; {_cure(record, asked.get('wording'))}")


def _cure(record: Mapping[str, Any], wording: str | None) -> str:
    if wording in PROMPT_SETS.values():
        own = f"they are the own words of lookwise {record.get('lookwise')}"
        return f"{own}: leave --prompts out, install that version, or make the run anew"
    noted = record.get(_FOLDER)
    return f"give the folder that holds them, --prompts DIR{f' (it was {noted})' if noted else ''}"
