"""A task is a declaration: what it is given, what it asks, how a reply is read and scored, and where it comes from.

Values and protocols only.  Declarations live in benchmarks/; adding a task is one `Task(...)` and its prompt files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from lookwise.prompt import Prompt
from lookwise.sample import Sample

__all__ = ["Benchmark", "Fusion", "Metric", "Parse", "PromptUse", "Published", "Rule", "Task"]

PromptUse = Literal["caption", "caption_plain", "caption_quality", "answer", "utility"]
"""`utility` (SUMEI's question to its verifier) is there only for tasks whose pictures have a measured utility."""
Rule = Literal["robust", "published"]
Parse = Callable[[str, Sample], str | None]
"""(reply, sample) -> canonical answer, or None when the reply states none or more than one."""
Fusion = Literal["field", "per-product", "inline"]
"""Where captions go: one extra field; one extra field per product; appended to each history item and option."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A named score over (gold, answer) pairs; `answer` None is a failure.

    `over` names the denominator: "parsed" leaves failures out (MMECInstruct), "all" counts them as wrong.
    """

    name: str
    score: Callable[[Sequence[str], Sequence[str | None]], float]
    over: Literal["parsed", "all"]


@dataclass(frozen=True, slots=True)
class Task:
    """One task.

    `fields` are the sample fields in the order in which a prompt shows them.  `labels` are the canonical answers where
    they are the same for every sample; a task whose options differ by sample leaves it empty and reads
    `sample.options`. `metrics[0]` is the primary one.  `parse` maps each reading rule to its parser.
    """

    name: str
    title: str
    source: str
    fields: tuple[str, ...]
    labels: tuple[str, ...]
    option_texts: tuple[str, ...]
    prompts: Mapping[PromptUse, Prompt]
    parse: Mapping[Rule, Parse]
    metrics: tuple[Metric, ...]
    fusion: Fusion = "field"
    splits: tuple[str, ...] = ("train", "val", "test")

    @property
    def short(self) -> str:
        """The name without its benchmark."""
        return self.name.rsplit("/", 1)[-1]

    def answers(self, sample: Sample) -> tuple[str, ...]:
        """Return the canonical answers open for a sample: its labels, or the letters of its options."""
        return self.labels or tuple(option.split(":", 1)[0].strip() for option in sample.options)


@dataclass(frozen=True, slots=True)
class Published:
    """One cell of a paper's table: value as printed, where it stands, and what is known to be wrong with it."""

    system: str
    task: str
    split: str
    metric: str
    value: float
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Tasks, splits and published results that belong together.

    `capabilities` names groups of tasks (short names) that are scored together as well, and `subsets` the parts of a
    split that get a table of their own.
    """

    name: str
    title: str
    source: str
    tasks: tuple[Task, ...]
    published: tuple[Published, ...] = ()
    capabilities: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    subsets: tuple[str, ...] = ()

    def task(self, name: str) -> Task:
        """Return a task by its full or short name."""
        for task in self.tasks:
            if name in (task.name, task.short):
                return task
        raise KeyError(name)
