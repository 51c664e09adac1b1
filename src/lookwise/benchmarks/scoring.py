"""`lookwise score`: predictions that another program made, scored under the published rule or ours.

In: a file of predictions (or a folder of them), a benchmark, perhaps gold.  Out: `ScoreReport`.  The published rule
gives what the benchmark's own program gives (as fractions, unrounded); the robust rule reads by reading.py and scores
by the declared labels.  It asks no model.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookwise.benchmarks import answers, ecommmmu, mmla
from lookwise.benchmarks.foreign import GoldRow, read_gold, read_records, read_replies, read_videos
from lookwise.benchmarks.mmecinstruct import ACRONYMS, MMECINSTRUCT
from lookwise.benchmarks.reading import Reading
from lookwise.errors import DataError, UsageError, nearest
from lookwise.metrics import classification as metric
from lookwise.metrics import published
from lookwise.task import Metric, Rule, Task

__all__ = ["ScoreReport", "score_file", "score_folder", "write_csv"]


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """The scores of one file.  `answers` are in the order of the gold, None where nothing was read."""

    benchmark: str
    task: str | None
    rule: Rule
    n: int
    failed: int
    answers: tuple[str | int | None, ...]
    metrics: Mapping[str, float]
    file: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints; nan is null."""
        return {
            "benchmark": self.benchmark,
            "task": self.task,
            "rule": self.rule,
            "n": self.n,
            "failed": self.failed,
            "answers": list(self.answers),
            "metrics": {name: None if math.isnan(value) else value for name, value in self.metrics.items()},
        }


@dataclass(frozen=True, slots=True)
class _Job:
    """What to score, and how."""

    file: Path
    task: str | None
    gold: Path | None
    split: str
    rule: Rule


def score_file(
    file: Path,
    benchmark: str,
    *,
    task: str | None = None,
    gold: Path | None = None,
    split: str = "test",
    rule: Rule = "robust",
) -> ScoreReport:
    """Return the scores of one file of predictions.

    Without `task` it is the one that the file is named after (mmecinstruct, ecommmmu) or holds (mmla).
    """
    if benchmark not in _SCORERS:
        raise UsageError(f"unknown benchmark {benchmark!r}; {nearest(benchmark, _SCORERS)}")
    if benchmark in ("mmecinstruct", "ecommmmu") and gold is None:
        raise UsageError(f"{benchmark} needs --gold: a JSON list of gold outputs, or the dataset file (with --split)")
    if benchmark in ("mmla", "mmie") and gold is not None:
        raise UsageError(f"--gold does not go with {benchmark}: its file holds all that is needed")
    report = _SCORERS[benchmark](_Job(file, task, gold, split, rule))
    return replace(report, file=file.name)


def score_folder(
    folder: Path,
    benchmark: str,
    *,
    task: str | None = None,
    gold: Path | None = None,
    split: str = "test",
    rule: Rule = "robust",
) -> list[ScoreReport]:
    """Return the scores of every file of a folder, by name; `gold` is a file, or a folder with files of equal name."""
    suffixes = (".csv", ".tsv") if benchmark == "mmla" else (".json",)
    files = [f for f in sorted(folder.iterdir()) if f.suffix in suffixes and f != gold]
    if not files:
        raise DataError(f"{folder}: no {' or '.join(suffixes)} files to score")
    return [score_file(f, benchmark, task=task, gold=_gold_of(f, gold), split=split, rule=rule) for f in files]


def _gold_of(file: Path, gold: Path | None) -> Path | None:
    return gold / file.name if gold is not None and gold.is_dir() else gold


def write_csv(reports: Sequence[ScoreReport], out: Path) -> None:
    """Write one row per report; a metric that a report lacks, or that is nan, is an empty cell."""
    names = list(dict.fromkeys(name for report in reports for name in report.metrics))
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "benchmark", "task", "rule", "n", "failed", *names])
        for r in reports:
            values = [r.metrics.get(name, math.nan) for name in names]
            cells = ["" if math.isnan(value) else value for value in values]
            writer.writerow([r.file, r.benchmark, r.task or "", r.rule, r.n, r.failed, *cells])


# -------------------------------------------------------------------------------------------------------- mmecinstruct


def _mmecinstruct(job: _Job) -> ScoreReport:
    known = {t.short: t for t in MMECINSTRUCT.tasks}
    short = _task_name(job, lambda name: ACRONYMS.get(name, name).rsplit("/", 1)[-1], known)
    task = known[short]
    rows, replies = _paired(job, lambda name: name.replace("-", "_") == short)
    if job.rule == "published":
        gold = [row.output for row in rows]
        read = [answers.published_caslie(reply, set(gold)) for reply in replies]
        values, failed = published.caslie(gold, read, _kind(task))
        return ScoreReport("mmecinstruct", short, job.rule, len(gold), failed, tuple(read), values)
    readings = _readings(task, rows)
    return _robust(job, "mmecinstruct", short, rows, replies, readings, task.metrics)


def _kind(task: Task) -> published.Kind:
    if task.labels == ("yes", "no"):
        return "binary"
    return "multiclass" if task.labels else "recall"


def _readings(task: Task, rows: Sequence[GoldRow]) -> list[Reading]:
    """Return what is open for each row: the task's answers, the row's options, or (unknown) any letter or gold word."""
    if task.option_texts:
        return [answers.option_readings(task.option_texts)] * len(rows)
    if task.labels:
        return [Reading(task.labels)] * len(rows)
    lettered = all(re.fullmatch(r"[A-Z](\s*[:.)].*)?", row.output.strip(), re.DOTALL) for row in rows)
    words = tuple(dict.fromkeys(row.output.strip() for row in rows))
    unknown = Reading(answers.letters(26)) if lettered else Reading(words)
    return [answers.option_readings(row.options) if row.options else unknown for row in rows]


# ------------------------------------------------------------------------------------------------------------ ecommmmu


_TURN = re.compile(r"(?:^|[\n>])\s*assistant[\s:]+|\bassistant\s*\n")
"""Where the assistant's turn begins in a decoded chat; the word in the middle of an answer is no such place."""


def _ecommmmu(job: _Job) -> ScoreReport:
    name = _task_name(job, ecommmmu.canonical, ecommmmu.TASKS)
    task = ecommmmu.TASKS[name]
    rows, replies = _paired(job, lambda other: ecommmmu.canonical(other) == name)
    if job.rule == "published":
        gold = [row.output for row in rows]
        read = [answers.published_ecommmmu(reply, task.answers) for reply in replies]
        values, failed = published.ecommmmu(gold, read, task.kind)
        return ScoreReport("ecommmmu", name, job.rule, len(gold), failed, tuple(read), values)
    said = [_TURN.split(reply)[-1] for reply in replies]
    return _robust(job, "ecommmmu", name, rows, said, [Reading(task.answers)] * len(rows), _ecom_metrics(task))


def _ecom_metrics(task: ecommmmu.EcomTask) -> tuple[Metric, ...]:
    """The published names, all over one denominator: a failure is wrong everywhere."""
    if task.kind == "recall":
        return (metric.recall_at_1("all", task.answers),)
    if task.kind == "binary":
        each = (metric.precision, metric.recall, metric.f1)
        return (metric.accuracy("all", task.answers), *(make("all", task.answers, "yes") for make in each))
    return (metric.accuracy("all", task.answers), *_macros(task.answers))


def _macros(labels: tuple[str, ...]) -> tuple[Metric, ...]:
    return tuple(make("all", labels) for make in (metric.macro_precision, metric.macro_recall, metric.macro_f1))


# ---------------------------------------------------------------------------------------------------------------- mmla


def _mmla(job: _Job) -> ScoreReport:
    rows = read_videos(job.file)
    name = _dataset_name(job, [row.dataset for row in rows])
    mine = [row for row in rows if mmla.canonical(row.dataset) == name]
    if not mine:
        raise DataError(f"{job.file}: no rows of {name!r}")
    labels = mmla.DATASETS[name].labels
    gold = [row.label.rsplit(":", 1)[-1].strip().lower() for row in mine]
    if job.rule == "published":
        said = [answers.published_mmla(row.reply, labels) for row in mine]
        failed = sum(answer in (answers.UNKNOWN, answers.MULTI) for answer in said)
        return ScoreReport("mmla", name, job.rule, len(mine), failed, tuple(said), published.mmla(gold, said))
    weighted = (metric.weighted_f1("all", labels), metric.weighted_precision("all", labels))
    metrics = (metric.accuracy("all", labels), *_macros(labels), *weighted)
    rows_of_gold = [GoldRow(label) for label in gold]
    replies = [row.reply for row in mine]
    return _robust(job, "mmla", name, rows_of_gold, replies, [Reading(labels)] * len(mine), metrics)


def _dataset_name(job: _Job, found: Sequence[str]) -> str:
    names = sorted({mmla.canonical(name) for name in found})
    if job.task is None and len(names) > 1:
        raise DataError(f"{job.file} holds several data sets ({', '.join(names)}); name one with --task")
    name = mmla.canonical(job.task) if job.task is not None else names[0]
    if name not in mmla.DATASETS:
        raise UsageError(f"unknown MMLA data set {name!r}; {nearest(name, mmla.DATASETS)}")
    return name


# ---------------------------------------------------------------------------------------------------------------- mmie


def _mmie(job: _Job) -> ScoreReport:
    records = read_records(job.file)
    read = answers.published_mmie if job.rule == "published" else answers.robust_score
    scores = [read(str(record.get("gpt_feedback") or "")) for record in records]
    values = published.mmie([str(record["id"]) for record in records], scores)
    return ScoreReport("mmie", None, job.rule, len(scores), scores.count(None), tuple(scores), values)


# -------------------------------------------------------------------------------------------------------------- common


def _task_name(job: _Job, canonical: Callable[[str], str], known: Mapping[str, object]) -> str:
    name = canonical(job.task if job.task is not None else job.file.stem)
    if name in known:
        return name
    if job.task is None:
        raise UsageError(f"{job.file.name} is not named after a task; name it with --task: {', '.join(known)}")
    raise UsageError(f"unknown task {job.task!r}; {nearest(name, known)}")


def _paired(job: _Job, is_task: Callable[[str], bool]) -> tuple[list[GoldRow], list[str]]:
    assert job.gold is not None
    rows, replies = read_gold(job.gold, is_task, job.split), read_replies(job.file)
    if len(rows) != len(replies):
        raise DataError(
            f"{job.file} has {len(replies)} replies, but {job.gold} has {len(rows)} gold rows; "
            "give one reply per gold row, in its order"
        )
    return rows, replies


def _robust(
    job: _Job,
    benchmark: str,
    task: str,
    rows: Sequence[GoldRow],
    replies: Sequence[str],
    readings: Sequence[Reading],
    metrics: Sequence[Metric],
) -> ScoreReport:
    """Read gold and replies by our rule, and score."""
    gold = []
    for place, (row, reading) in enumerate(zip(rows, readings, strict=True)):
        target = answers.robust(row.output, reading)
        if target is None:
            raise DataError(
                f"{job.gold or job.file}: gold row {place}, {row.output[:40]!r}, is none of {task}'s answers "
                f"({', '.join(reading.answers[:6])}{', ...' if len(reading.answers) > 6 else ''})"
            )
        gold.append(target)
    read = [answers.robust(reply, reading) for reply, reading in zip(replies, readings, strict=True)]
    values = {m.name: m.score(gold, read) for m in metrics}
    return ScoreReport(benchmark, task, job.rule, len(gold), read.count(None), tuple(read), values)


_SCORERS: Mapping[str, Callable[[_Job], ScoreReport]] = {
    "mmecinstruct": _mmecinstruct,
    "ecommmmu": _ecommmmu,
    "mmla": _mmla,
    "mmie": _mmie,
}
