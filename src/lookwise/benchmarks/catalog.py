"""Every benchmark and task that ships, by name: one literal table.

In: a name, full ("mmecinstruct/sentiment_analysis"), short, the paper's acronym, or EcomMMMU's own spelling of it.
Out: the declaration, or an error that names the nearest one; a short name that several benchmarks have is the first
one's.  It knows nothing about data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from lookwise.benchmarks.ecommmmu import ECOMMMMU, our_name
from lookwise.benchmarks.grocery import GROCERY
from lookwise.benchmarks.mmecinstruct import ACRONYMS, MMECINSTRUCT
from lookwise.benchmarks.tables import published
from lookwise.errors import UsageError, nearest
from lookwise.task import Benchmark, Task

__all__ = ["BENCHMARKS", "find_benchmark", "find_task"]

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {benchmark.name: benchmark for benchmark in (MMECINSTRUCT, ECOMMMMU, GROCERY)}
)


def find_benchmark(name: str) -> Benchmark:
    """Return a benchmark with its published results; UsageError names the nearest one."""
    if name not in BENCHMARKS:
        raise UsageError(f"unknown benchmark {name!r}; {nearest(name, BENCHMARKS)}")
    return replace(BENCHMARKS[name], published=published(name))


def find_task(name: str, within: str = "") -> Task:
    """Return a task by its full name, short name, acronym or published id; UsageError names the nearest one.

    `within`: look among the tasks of this benchmark only.
    """
    known_as = ACRONYMS.get(name.lower(), name)
    tasks = [t for benchmark in BENCHMARKS.values() if within in ("", benchmark.name) for t in benchmark.tasks]
    for wanted in (known_as, *_respelt(known_as)):
        for task in tasks:
            if wanted in (task.name, task.short):
                return task
    known = [task.name for task in tasks] if "/" in name else [task.short for task in tasks]
    raise UsageError(f"unknown task {name!r}; {nearest(name, known)}")


def _respelt(name: str) -> tuple[str, ...]:
    """Return what a published id of EcomMMMU is called here; a full name stays a full name."""
    benchmark, slash, short = name.rpartition("/")
    return (f"{benchmark}{slash}{our_name(short)}",) if benchmark in ("", ECOMMMMU.name) else ()
