"""What several tasks come to: the mean of their primary metrics, for every reader under every policy.

In: tasks, their samples, prediction rows, and which tasks belong to which capability.  Out: `Score` records that name a
capability instead of a task.  A capability is scored where every one of its tasks has answers: a mean over some of them
would be another number under the same name.  The interval is over samples; tasks count alike, however many samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from lookwise.benchmarks.scores import MAJORITY, Group, Pair, Score, grouped
from lookwise.metrics.statistics import bootstrap_mean
from lookwise.rows import Prediction
from lookwise.sample import Sample
from lookwise.task import Task

__all__ = ["ALL_TASKS", "MEAN", "capability_scores"]

ALL_TASKS = "all tasks"
"""The capability's name under which all tasks of a run may be given."""
MEAN = "mean"
"""The metric: the mean of the tasks' primary metrics."""

_Groups = Mapping[str, Mapping[Group, Sequence[Pair]]]


def capability_scores(
    tasks: Iterable[Task],
    samples: Mapping[str, Sample],
    predictions: Sequence[Prediction],
    capabilities: Mapping[str, Sequence[str]],
    blank: Score,
    *,
    resamples: int = 1000,
) -> list[Score]:
    """Return a record per capability (its tasks' short names) and group; `blank` says what all records share."""
    known = {task.short: task for task in tasks}
    by_task = {name: [p for p in predictions if p.task in (name, task.name)] for name, task in known.items()}
    groups = {name: grouped(task, samples, by_task[name], blank.rule) for name, task in known.items()}
    return [
        _score(name, [known[short] for short in shorts], group, parts, blank, resamples)
        for name, shorts in capabilities.items()
        if shorts and known.keys() >= set(shorts)
        for group, parts in _shared(groups, shorts)
    ]


def _shared(groups: _Groups, shorts: Sequence[str]) -> Iterator[tuple[Group, list[Sequence[Pair]]]]:
    """Yield the groups that every task has, with each task's pairs; readers of single tasks make one group."""
    merged = [{_anyone(group): pairs for group, pairs in groups[short].items()} for short in shorts]
    for group in merged[0]:
        if all(group in mine for mine in merged):
            yield group, [mine[group] for mine in merged]


def _anyone(group: Group) -> Group:
    """Return the group without its weights: a reader tuned for each task apart has as many as there are tasks."""
    return group._replace(fingerprint="")


def _score(
    name: str, tasks: Sequence[Task], group: Group, parts: Sequence[Sequence[Pair]], blank: Score, resamples: int
) -> Score:
    interval = bootstrap_mean(
        [
            ([p.gold for p in pairs], [p.answer for p in pairs], task.metrics[0].score)
            for task, pairs in zip(tasks, parts, strict=True)
        ],
        resamples=resamples,
        seed=blank.seed,
    )
    said = [f"{task.metrics[0].name} of {task.short}" for task in tasks]
    return replace(
        blank,
        split=group.split,
        subset=group.subset,
        policy=group.policy,
        model=group.reader,
        training="" if group.policy == MAJORITY else group.training,
        tuned_on=group.tuned_on,
        capability=name,
        metric=MEAN,
        primary=True,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=sum(map(len, parts)),
        failed=sum(pair.answer is None for pairs in parts for pair in pairs),
        over="all" if all(task.metrics[0].over == "all" for task in tasks) else "parsed",
        note="mean of " + ", ".join(said),
    )
