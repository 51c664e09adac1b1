"""A run, top to bottom: the steps in order, each skipped when its rows are complete, and the run folder's state.

In: a recipe, a folder and what the command line asked for.  Out: the folder filled (INTERFACES, "A run folder").
Killed anywhere, the same call goes on where it stopped: finished steps are read back, replies come from the store, a
tuning goes on from its checkpoint.
"""

from __future__ import annotations

import importlib.metadata
import platform
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lookwise import __version__
from lookwise.errors import RunError, UsageError, nearest
from lookwise.inference import Display, Team
from lookwise.pipeline import (
    assessor_steps,
    data_steps,
    export_steps,
    fetch_steps,
    picture_steps,
    policy_steps,
    reader_steps,
    score_steps,
    scratch_steps,
    utility_steps,
)
from lookwise.pipeline.able import check_able
from lookwise.pipeline.context import Context
from lookwise.pipeline.data import Data, open_data
from lookwise.pipeline.given_lessons import check_given
from lookwise.pipeline.spending import check_remote, opened_budget
from lookwise.pipeline.wording import check_wording, folder_record
from lookwise.recipe import Recipe
from lookwise.runs.ledger import Ledger
from lookwise.runs.lock import RunLock
from lookwise.runs.replies import ReplyStore
from lookwise.runs.store import read_record, write_json_atomic
from lookwise.stages.evidence import parse_policy

__all__ = ["STEPS", "Asked", "check_names", "run"]

Step = Callable[[Context], None]

STEPS: Mapping[str, Step] = {
    "samples": data_steps.samples,
    "pictures": fetch_steps.pictures,
    "captioners": scratch_steps.captioners,
    "captions": picture_steps.captions,
    "text_models": scratch_steps.text_models,
    "ballots": picture_steps.ballots,
    "utilities": data_steps.utilities,
    "assessor": assessor_steps.assessor,
    "measured": utility_steps.measured,
    "verifier": utility_steps.verifier,
    "predicted": utility_steps.predicted,
    "evidence": picture_steps.evidence,
    "gates": utility_steps.gates,
    "adapters": reader_steps.adapters,
    "predictions": reader_steps.predictions,
    "exports": export_steps.exports,
    "policies": policy_steps.policies,
    "scores": score_steps.scores,
}
"""The steps of a run, in order.  Those that write rows are complete when their manifest is."""

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "samples": (),
    "pictures": ("samples",),
    "captioners": ("samples",),
    "captions": ("samples", "pictures", "captioners"),
    "text_models": ("samples", "captions"),
    "ballots": ("samples", "captions", "text_models"),
    "utilities": ("samples",),
    "assessor": ("samples", "pictures", "text_models"),
    "measured": ("samples", "pictures", "text_models", "assessor"),
    "verifier": ("samples", "pictures", "text_models", "measured"),
    "predicted": ("samples", "pictures", "text_models", "verifier"),
    "evidence": ("samples", "captions", "ballots", "utilities", "measured", "predicted"),
    "gates": ("samples", "utilities", "measured", "predicted", "evidence"),
    "adapters": ("samples", "pictures", "captions", "text_models", "evidence"),
    "predictions": ("samples", "pictures", "captions", "text_models", "evidence", "adapters"),
    "exports": ("samples", "pictures", "evidence", "predictions"),
    "policies": ("samples", "captions", "ballots", "utilities", "measured", "predicted", "evidence", "predictions"),
    "scores": ("samples", "predictions"),
}
"""What each step reads: a step alone (`--only`) is refused where one of these is missing."""

_VERSIONED = ("torch", "transformers", "peft", "accelerate", "tokenizers", "numpy", "pillow", "pyarrow", "scikit-learn")


@dataclass(frozen=True)
class Asked:
    """What the command line asked for besides the recipe."""

    until: str | None = None
    only: str | None = None
    prompts: Path | None = None
    display: Display | None = None
    say: Callable[[str], None] = lambda line: None


def check_names(recipe: Recipe) -> None:
    """Refuse, before anything loads, a policy that does not exist and a model that cannot be opened or asked."""
    for policy in (*recipe.policies, *recipe.tune_on):
        parse_policy(policy, recipe.judges)
    scratch_steps.check_scratch(recipe)
    check_able(recipe)
    check_remote(recipe)
    fetch_steps.check_fetching(recipe)
    check_given(recipe)


def run(recipe: Recipe, folder: Path, recipe_text: str, asked: Asked) -> bool:
    """Carry a recipe out in a folder; return False when the run was already finished and nothing was done."""
    steps = _wanted(asked)
    check_names(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    with RunLock(folder):
        _same_recipe(folder, recipe_text)
        data = open_data(recipe, folder, asked.prompts)
        state = read_record(folder)
        finished = state.get("state") == "done" and (folder / "scores.json").exists()  # who deletes it scores anew
        if finished and not asked.only and not asked.until:
            return False
        check_wording(folder, data, state)
        if asked.only:
            _check_ready(recipe, folder, data, asked.only)
        record = _begin(folder, recipe, data, state, asked.prompts)
        try:
            with ReplyStore(folder / "replies.sqlite") as replies, Team() as team:
                ledger = Ledger(folder / "calls.json", record["id"])
                budget = opened_budget(recipe, replies, record["id"])
                context = Context(recipe, folder, data, replies, ledger, asked.display, budget, team)
                _carry_out(context, steps, asked)
        except BaseException as error:
            why = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            write_json_atomic(folder / "run.json", {**record, "state": f"failed: {why}"})
            raise
        whole = finished or all(_finished(context, name) for name in STEPS)
        record |= fetch_steps.summary(folder)
        write_json_atomic(folder / "run.json", {**record, "state": "done" if whole else "running", "end": _now()})
    return True


def _carry_out(context: Context, steps: Sequence[str], asked: Asked) -> None:
    for name in steps:
        if name == "pictures":
            fetch_steps.try_anew(context, tuple(STEPS)[tuple(STEPS).index(name) + 1 :])
        # What answered is not looked at again: its adapters are those that predictions were made with.
        if context.done(name) or (name == "adapters" and context.done("predictions") and _finished(context, name)):
            continue
        asked.say(name)
        STEPS[name](context)


def _finished(context: Context, step: str) -> bool:
    """Return whether a step has nothing left to do; adapters are looked at one by one, since they leave no rows."""
    if step == "adapters":
        return all((folder / "card.json").is_file() for folder in reader_steps.adapter_folders(context))
    return context.done(step)


def _missing(context: Context, step: str) -> set[str]:
    """Return the unfinished steps that a step needs, and those that these need in turn."""
    found: set[str] = set()
    for name in _NEEDS[step]:
        if not _finished(context, name):
            found |= {name} | _missing(context, name)
    return found


def _check_ready(recipe: Recipe, folder: Path, data: Data, only: str) -> None:
    """Refuse a step alone whose earlier steps are not finished, before run.json says anything of it."""
    with ReplyStore(None) as replies:
        context = Context(recipe, folder, data, replies, Ledger(), None)
        missing = set() if _finished(context, only) else _missing(context, only)
    if missing:
        ordered = [name for name in STEPS if name in missing]
        raise RunError(
            f"{folder}: step {only!r} needs step {ordered[0]!r}, which is not finished; first give the same command "
            f"with `--until {ordered[-1]}` in place of `--only {only}`"
        )


def _wanted(asked: Asked) -> tuple[str, ...]:
    names = tuple(STEPS)
    for name in (asked.until, asked.only):
        if name is not None and name not in names:
            raise UsageError(f"no stage {name!r}; {nearest(name, names)}")
    if asked.only:
        return (asked.only,)
    return names[: names.index(asked.until) + 1] if asked.until else names


def _same_recipe(folder: Path, text: str) -> None:
    path = folder / "recipe.yaml"
    if not path.exists():
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    elif path.read_text(encoding="utf-8") != text:
        raise RunError(f"{folder} was made by another recipe (see its recipe.yaml); choose another --out, or delete it")


def _begin(folder: Path, recipe: Recipe, data: Data, state: Mapping[str, Any], prompts: Path | None) -> dict[str, Any]:
    record = {
        "id": state.get("id", f"{folder.name}-{secrets.token_hex(4)}"),
        "lookwise": __version__,
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONED},
        "seed": recipe.seed,
        "remote_code": list(recipe.remote_code),
        "data": data.record(),
        "prompts": data.prompt_record(),
        **folder_record(prompts),
        "start": state.get("start", _now()),
        "state": "running",
    }
    write_json_atomic(folder / "run.json", record)
    return record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
