"""`lookwise score`: predictions that another program made, scored under the published rule or ours.

In: a file of predictions (or a folder of them), a benchmark, perhaps gold.  Out: `ScoreReport`.  The published rule
gives what the benchmark's own program gives (as fractions, unrounded); the robust rule reads by reading.py and scores
by the declared labels, and stands beside the published one.  Gold rows without a usable output are left out with what
was predicted for them, counted by reason.  EcomMMMU's vision-salient rows are scored apart as well, where the gold says
which they are.  It asks no model.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

__all__ = ["LeftOut", "ScoreReport", "score_file", "score_folder", "write_csv"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Gold rows that were not scored: their places (from 0) among those of the task and split, counted by reason.

    `unplaced` counts rows of the gold file of which nobody can tell whose they are.
    """

    places: tuple[int, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    unplaced: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {"places": list(self.places), "reasons": dict(self.reasons), "unplaced": dict(self.unplaced)}


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """The scores of one file.  `answers` are in the order of the gold, None where nothing was read.

    What is left out stands in neither `n` nor `answers`.  `robust` is our rule beside the published one, or why it
    could not be applied; `subsets` are the same scores of a part of the rows.
    """

    benchmark: str
    task: str | None
    rule: Rule
    n: int
    failed: int
    answers: tuple[str | int | None, ...]
    metrics: Mapping[str, float]
    file: str = ""
    left_out: LeftOut = field(default_factory=LeftOut)
    robust: ScoreReport | str | None = None
    subsets: Mapping[str, ScoreReport] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints; nan is null."""
        return {"benchmark": self.benchmark, "task": self.task, "rule": self.rule, **self._figures()}

    def _figures(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "n": self.n,
            "failed": self.failed,
            "answers": list(self.answers),
            "metrics": {name: None if math.isnan(value) else value for name, value in self.metrics.items()},
        }
        if self.left_out != LeftOut():
            value["left_out"] = self.left_out.as_json()
        if self.subsets:
            value["subsets"] = {name: report._figures() for name, report in self.subsets.items()}
        if self.robust is not None:
            value["robust"] = {"reason": self.robust} if isinstance(self.robust, str) else self.robust._figures()
        return value


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
    job = _Job(file, task, gold, split, rule)
    report = _SCORERS[benchmark](job)
    return replace(report, file=file.name, robust=_beside(benchmark, job) if rule == "published" else None)


def _beside(benchmark: str, job: _Job) -> ScoreReport | str:
    """Return the scores by our rule, or why there are none: it wants gold that is one of the task's answers."""
    try:
        return _SCORERS[benchmark](replace(job, rule="robust"))
    except DataError as error:
        return str(error)


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
    pairs, left = _paired(job, lambda name: name.replace("-", "_") == short)
    rows = [pair.row for pair in pairs]
    if job.rule == "published":
        gold = [row.output for row in rows]
        read = [answers.published_caslie(pair.reply, set(gold)) for pair in pairs]
        values, failed = published.caslie(gold, read, _kind(task))
        return ScoreReport("mmecinstruct", short, job.rule, len(gold), failed, tuple(read), values, left_out=left)
    return _checked(job, _robust("mmecinstruct", short, pairs, _readings(task, rows), task.metrics, left), left)


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
    pairs, left = _paired(job, lambda other: ecommmmu.canonical(other) == name)
    whole = _ecom_report(job.rule, name, task, pairs, left)
    whole = whole if job.rule == "published" else _checked(job, whole, left)
    marked = [pair for pair in pairs if ecommmmu.is_vision_salient(pair.row.mark)]
    if not marked:
        return whole
    return replace(whole, subsets={ecommmmu.VISION_SALIENT: _ecom_report(job.rule, name, task, marked, LeftOut())})


def _ecom_report(rule: Rule, name: str, task: ecommmmu.EcomTask, pairs: Sequence[_Pair], left: LeftOut) -> ScoreReport:
    if rule == "published":
        gold = [pair.row.output for pair in pairs]
        read = [answers.published_ecommmmu(pair.reply, task.answers) for pair in pairs]
        values, failed = published.ecommmmu(gold, read, task.kind)
        return ScoreReport("ecommmmu", name, rule, len(gold), failed, tuple(read), values, left_out=left)
    said = [replace(pair, reply=_TURN.split(pair.reply)[-1]) for pair in pairs]
    return _robust("ecommmmu", name, said, [Reading(task.answers)] * len(said), _ecom_metrics(task), left)


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
    pairs = [_Pair(i, GoldRow(label), row.reply) for i, (label, row) in enumerate(zip(gold, mine, strict=True))]
    left = LeftOut()
    return _checked(job, _robust("mmla", name, pairs, [Reading(labels)] * len(mine), metrics, left), left)


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


@dataclass(frozen=True, slots=True)
class _Pair:
    """A gold row, its place among those of its task and split, and what was predicted for it."""

    place: int
    row: GoldRow
    reply: str


def _paired(job: _Job, is_task: Callable[[str], bool]) -> tuple[list[_Pair], LeftOut]:
    """Return gold and replies place by place, without the rows at fault; there is a reply for those too."""
    assert job.gold is not None
    gold, replies = read_gold(job.gold, is_task, job.split), read_replies(job.file)
    rows = gold.rows
    faults = {place: row.fault for place, row in enumerate(rows) if row.fault is not None}
    if len(rows) != len(replies):
        bad = len(faults) + sum(gold.unplaced.values())
        raise DataError(
            f"{job.file} has {len(replies)} replies, but {job.gold} has {len(rows)} gold rows; give one reply per gold "
            f"row, in its order{f' ({bad} rows of the file have no usable gold; those of the task count)' * (bad > 0)}"
        )
    pairs = [_Pair(i, row, reply) for i, (row, reply) in enumerate(zip(rows, replies, strict=True)) if i not in faults]
    return pairs, LeftOut(tuple(faults), Counter(faults.values()), gold.unplaced)


def _robust(
    benchmark: str,
    task: str,
    pairs: Sequence[_Pair],
    readings: Sequence[Reading],
    metrics: Sequence[Metric],
    left: LeftOut,
) -> ScoreReport:
    """Read gold and replies by our rule, and score; gold that is no answer of the task is left out too."""
    gold, read, strange = [], [], {}
    for pair, reading in zip(pairs, readings, strict=True):
        target = answers.robust(pair.row.output, reading)
        if target is None:
            more = ", ..." if len(reading.answers) > 6 else ""
            known = f"{', '.join(reading.answers[:6])}{more}"
            strange[pair.place] = f"{pair.row.output[:40]!r} is none of {task}'s answers ({known})"
        else:
            gold.append(target)
            read.append(answers.robust(pair.reply, reading))
    if strange:
        reasons = Counter(left.reasons) + Counter(strange.values())
        left = LeftOut(tuple(sorted((*left.places, *strange))), reasons, left.unplaced)
    values = {m.name: m.score(gold, read) for m in metrics}
    return ScoreReport(benchmark, task, "robust", len(gold), read.count(None), tuple(read), values, left_out=left)


def _checked(job: _Job, report: ScoreReport, left: LeftOut) -> ScoreReport:
    """Return the report; where most of the gold is none of the task's answers, the task or the file is another one.

    `left` is what was left out before our rule read the gold.
    """
    count = len(report.left_out.places) - len(left.places)
    if count > report.n:
        place = next(i for i in report.left_out.places if i not in left.places)
        reason = next(reason for reason in report.left_out.reasons if reason not in left.reasons)
        raise DataError(
            f"{job.gold or job.file}: {count} of {count + report.n} gold rows are no answers of the task, first gold "
            f"row {place}: {reason}; is this the right --task, and its gold?"
        )
    return report


_SCORERS: Mapping[str, Callable[[_Job], ScoreReport]] = {
    "mmecinstruct": _mmecinstruct,
    "ecommmmu": _ecommmmu,
    "mmla": _mmla,
    "mmie": _mmie,
}
