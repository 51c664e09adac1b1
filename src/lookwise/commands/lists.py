"""`lookwise tasks | recipes | models | prompts show`: what there is, a line each."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from lookwise import config
from lookwise.commands.printing import say, say_json
from lookwise.errors import UsageError, nearest

__all__ = ["models", "prompts_show", "recipes", "tasks"]


def tasks(arguments: argparse.Namespace) -> int:
    """List the tasks."""
    from lookwise.benchmarks.catalog import BENCHMARKS
    from lookwise.benchmarks.ecommmmu import published_name

    rows = [
        {
            "name": task.name,
            "title": task.title,
            "metric": task.metrics[0].name,
            "answers": list(task.labels),
            "splits": list(task.splits),
            "source": task.source,
            "published_as": published_name(task.short) if benchmark.name == "ecommmmu" else task.short,
        }
        for benchmark in BENCHMARKS.values()
        for task in benchmark.tasks
    ]
    return _print(rows, arguments.json, _task_line)


def _task_line(row: dict[str, Any]) -> str:
    other = "" if row["name"].endswith(f"/{row['published_as']}") else f"  (in the data: {row['published_as']})"
    return f"{row['name']:<52} {row['metric']:<12} {row['title']}{other}"


def recipes(arguments: argparse.Namespace) -> int:
    """List the shipped recipes."""
    rows = [{"name": name, "title": config.load(name).title} for name in config.shipped_names()]
    return _print(rows, arguments.json, lambda r: f"{r['name']:<14} {r['title']}")


def models(arguments: argparse.Namespace) -> int:
    """List the bundled models, and say how others are named."""
    from lookwise.models.place import bundled

    rows = [{"name": f"tiny:{name}", **_card(name)} for name in bundled()]
    _print(rows, arguments.json, lambda r: f"{r['name']:<18} {r['class']:<32} {r['parameters']:>10,} parameters")
    if not arguments.json:
        say("hf:ORG/NAME or hf:FOLDER  a transformers checkpoint; add +FOLDER for a LoRA adapter on it")
        say("http://HOST:PORT/v1#NAME   a model behind a chat server, https:// likewise (docs/http.md)")
    return 0


def _card(name: str) -> dict[str, Any]:
    """Return class and size from a bundled model's card."""
    import lookwise.models

    file = Path(lookwise.models.__file__).parent / "tiny" / name / "card.json"
    values = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {"class": values.get("class", ""), "parameters": values.get("parameters", 0)}


def prompts_show(arguments: argparse.Namespace) -> int:
    """Print one prompt and whose wording it is."""
    from lookwise.benchmarks.catalog import find_task
    from lookwise.benchmarks.wording import ALL_USES, prompts

    folder = Path(arguments.prompts) if arguments.prompts else None
    task = find_task(arguments.task)
    if arguments.use not in ALL_USES:
        raise UsageError(f"no use {arguments.use!r}; {nearest(arguments.use, ALL_USES)}")
    found = prompts(arguments.prompt_set, task.short, folder)
    if arguments.use not in found:
        raise UsageError(f"prompt set {arguments.prompt_set!r} has no {arguments.use} prompt for {task.short}")
    prompt = found[arguments.use]
    say(f"# {prompt.origin}")
    say(prompt.text.rstrip("\n"))
    return 0


def _print(rows: list[dict[str, Any]], as_json: bool, line: Any) -> int:
    if as_json:
        say_json(rows)
    else:
        for row in rows:
            say(line(row))
    return 0
