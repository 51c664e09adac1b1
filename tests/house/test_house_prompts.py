"""Every task that ships has a prompt for every use in every set, and no prompt names a hole that nobody fills."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookwise.benchmarks.catalog import BENCHMARKS
from lookwise.benchmarks.own import TEMPLATES
from lookwise.benchmarks.rendering import hole_names
from lookwise.benchmarks.wording import ALL_USES, PROMPT_SETS, SETS_OF, USES, prompts
from lookwise.task import Task

FOLDER = Path(__file__).parents[2] / "src" / "lookwise" / "benchmarks" / "prompts"
TASKS = [task for benchmark in BENCHMARKS.values() for task in benchmark.tasks]


WORDED = [(task, name) for task in TASKS for name in SETS_OF[task.name.split("/")[0]]]


@pytest.mark.parametrize(("task", "prompt_set"), WORDED, ids=[f"{name}-{task.name}" for task, name in WORDED])
def test_task_has_its_prompts(task: Task, prompt_set: str) -> None:
    found = prompts(prompt_set, task.name)
    for use in USES:
        assert found[use].text.strip(), f"{prompt_set}/{use}/{task.short} is empty"
        unknown = set(found[use].holes) - hole_names(task, use)
        assert not unknown, f"{prompt_set}/{use}/{task.short}.txt has holes {sorted(unknown)} that nobody fills"


def test_no_prompt_is_left_over() -> None:
    known = {task.short for task in TASKS}
    templates = {FOLDER / folder / f"{use}.txt" for folder in TEMPLATES.values() for use in ALL_USES}
    files = set(FOLDER.rglob("*.txt")) - templates
    left = [p for p in sorted(files) if p.stem not in known or p.parts[-3] not in PROMPT_SETS]
    assert not left, f"no task uses {[p.relative_to(FOLDER).as_posix() for p in left]}"
