"""Prompts from files: which wording a task is asked in, whose it is, and what it hashes to.

In: the name of a prompt set (a folder under benchmarks/prompts/), a task's short name, perhaps a user's folder that
replaces single files.  Out: `Prompt` values by use.  Files are <set>/<use>/<task>.txt; a user's folder holds
<use>/<task>.txt, or <set>/<use>/<task>.txt, and may leave out any.  It knows no task's fields; `reworded` checks holes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from lookwise.benchmarks.rendering import hole_names
from lookwise.errors import RecipeError, nearest
from lookwise.prompt import Prompt
from lookwise.runs.files import read_json, write_bytes_atomic, write_json_atomic
from lookwise.task import Benchmark, PromptUse, Task

__all__ = [
    "ALL_USES",
    "ORIGIN",
    "PROMPT_SETS",
    "SETS_OF",
    "USES",
    "prompt_digest",
    "prompts",
    "reworded",
    "whose",
    "write_folder",
]

USES: tuple[PromptUse, ...] = ("caption", "caption_plain", "caption_quality", "answer")
"""The uses that every task has a prompt for."""
ALL_USES: tuple[PromptUse, ...] = (*USES, "utility")

PROMPT_SETS: Mapping[str, str] = MappingProxyType(
    {
        "mmecinstruct": "paper-shaped, our own words",
        "ecommmmu": "paper-shaped, our own words",
        "tiny": "for the bundled models, our own words",
        "grocery": "for small models, our own words",
    }
)
"""The prompt sets that ship, and whose wording each is."""

SETS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"mmecinstruct": ("mmecinstruct", "tiny"), "ecommmmu": ("ecommmmu", "tiny"), "grocery": ("grocery",)}
)
"""The prompt sets that ask each benchmark's tasks."""

_FOLDER = Path(__file__).parent / "prompts"
_YOURS = "yours"
ORIGIN = "imported.json"
"""In a user's folder: where its prompts come from, and the digest of each as it was imported."""


def prompts(prompt_set: str, task: str, folder: Path | None = None) -> Mapping[PromptUse, Prompt]:
    """Return a task's prompts of every use that it has; files in `folder` replace ours one by one.

    Raises RecipeError when there is no such set, no such task in it, or no such folder.
    """
    if prompt_set not in PROMPT_SETS:
        raise RecipeError(f"no prompt set {prompt_set!r}; {nearest(prompt_set, PROMPT_SETS)}")
    if folder is not None and not folder.is_dir():
        raise RecipeError(f"--prompts {folder}: no such folder; give one with <use>/<task>.txt files")
    short = task.rsplit("/", 1)[-1]
    extra = tuple(
        use for use in ALL_USES if use not in USES and (_FOLDER / prompt_set / use / f"{short}.txt").is_file()
    )
    return MappingProxyType({use: _prompt(prompt_set, use, short, folder) for use in (*USES, *extra)})


def _prompt(prompt_set: str, use: PromptUse, task: str, folder: Path | None) -> Prompt:
    name = f"{use}/{task}.txt"
    for place in (folder / name, folder / prompt_set / name) if folder else ():
        if place.is_file():
            text = _text(place)
            return Prompt(text, f"{name} ({_origin(folder, name, text)})")
    file = _FOLDER / prompt_set / name
    if not file.is_file():
        known = [path.stem for path in (_FOLDER / prompt_set / use).glob("*.txt")]
        raise RecipeError(f"no {use} prompt for task {task!r} in prompt set {prompt_set!r}; {nearest(task, known)}")
    return Prompt(_text(file), f"{prompt_set}/{name} ({PROMPT_SETS[prompt_set]})")


def _origin(folder: Path | None, name: str, text: str) -> str:
    """Return whose words a file of a user's folder holds: a published program's, as long as nobody changed them."""
    path = folder / ORIGIN if folder else None
    if path is None or not path.is_file():
        return _YOURS
    try:
        told = json.loads(path.read_bytes())
        sources = [one["source"] for one in told["imports"] if one["prompts"].get(name) == _digest(text)]
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise RecipeError(f"--prompts: {path} cannot be read; delete it, or import the prompts again") from error
    return f"published, imported from {' '.join(str(sources[-1]).split())}" if sources else _YOURS


def write_folder(folder: Path, source: str, found: Mapping[tuple[PromptUse, str], str]) -> None:
    """Write imported prompts as <use>/<task>.txt, and note where they come from beside those imported before."""
    path = folder / ORIGIN
    told = read_json(path) if path.is_file() else {"imports": []}
    names = {f"{use}/{task}.txt": text for (use, task), text in found.items()}
    taken = [name for name in names if (folder / name).exists() and (folder / name).read_text("utf-8") != names[name]]
    if taken:
        raise RecipeError(f"{folder / taken[0]} is there already with other words; choose another folder")
    for name, text in names.items():
        write_bytes_atomic(folder / name, text.encode("utf-8", "surrogatepass"))
    digests = {name: _digest(text) for name, text in names.items()}
    kept = [one for one in told["imports"] if one["source"] != source]
    write_json_atomic(path, {"imports": [*kept, {"source": source, "prompts": digests}]})


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error


def whose(prompt: Prompt) -> str:
    """Return whose wording a prompt is: that of a set that ships, of a published program, or "yours"."""
    return prompt.origin.partition(" (")[2].removesuffix(")") if " (" in prompt.origin else _YOURS


def prompt_digest(prompt: Prompt) -> str:
    """Return the first 16 hex digits of the sha256 of a prompt's text."""
    return _digest(prompt.text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def reworded(benchmark: Benchmark, prompt_set: str, folder: Path | None = None) -> Benchmark:
    """Return the benchmark asked in the words of a prompt set and of a user's folder.

    Every hole of every prompt is checked against what its task offers: a wrong one is told before a model loads.
    """
    if folder is not None and folder.is_dir():
        _check_names(folder, prompt_set, benchmark)
    return replace(benchmark, tasks=tuple(_reworded(task, prompt_set, folder) for task in benchmark.tasks))


def _reworded(task: Task, prompt_set: str, folder: Path | None) -> Task:
    new = replace(task, prompts=prompts(prompt_set, task.short, folder))
    for use, prompt in new.prompts.items():
        prompt.check(hole_names(new, use))
    return new


def _check_names(folder: Path, prompt_set: str, benchmark: Benchmark) -> None:
    """Refuse a file that would never be used: its folder must be a use, its name a task."""
    tasks = [task.short for task in benchmark.tasks]
    for file in sorted([*folder.glob("*/*.txt"), *folder.glob(f"{prompt_set}/*/*.txt")]):
        if file.parent.name not in ALL_USES:
            raise RecipeError(
                f"--prompts: {file.parent.name!r} is no prompt use; {nearest(file.parent.name, ALL_USES)}"
            )
        if file.stem not in tasks:
            raise RecipeError(f"--prompts: {file.parent.name}/{file.name} names no task; {nearest(file.stem, tasks)}")
