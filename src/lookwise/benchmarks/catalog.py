"""Every benchmark and task that ships, by name: one literal table.

In: a name, full ("mmecinstruct/sentiment_analysis"), short, or the paper's acronym.  Out: the declaration, or an error
that names the nearest one.  It knows nothing about data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from lookwise.benchmarks.grocery import GROCERY
from lookwise.benchmarks.mmecinstruct import ACRONYMS, MMECINSTRUCT
from lookwise.benchmarks.tables import published
from lookwise.errors import UsageError, nearest
from lookwise.task import Benchmark, Task

__all__ = ["BENCHMARKS", "find_benchmark", "find_task"]

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {benchmark.name: benchmark for benchmark in (MMECINSTRUCT, GROCERY)}
)


def find_benchmark(name: str) -> Benchmark:
    """Return a benchmark with its published results; UsageError names the nearest one."""
    if name not in BENCHMARKS:
        raise UsageError(f"unknown benchmark {name!r}; {nearest(name, BENCHMARKS)}")
    return replace(BENCHMARKS[name], published=published(name))


def find_task(name: str) -> Task:
    """Return a task by its full name, short name or acronym; UsageError names the nearest one."""
    wanted = ACRONYMS.get(name.lower(), name)
    tasks = [task for benchmark in BENCHMARKS.values() for task in benchmark.tasks]
    for task in tasks:
        if wanted in (task.name, task.short):
            return task
    known = [task.name for task in tasks] if "/" in name else [task.short for task in tasks]
    raise UsageError(f"unknown task {name!r}; {nearest(name, known)}")
