"""From predictions to score records: every metric of a task, for every reader under every policy, with its interval.

In: a task, its samples, prediction rows.  Out: `Score` records (scores.json), the majority-class baseline among them.
It reads no file and asks no model.

One group is one (split, subset, policy, reader, training, tuned on).  `n` counts the group's predictions whose sample
has a target, failures included; `over` says whether failures are in the denominator.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

from lookwise.benchmarks.tables import published_cells
from lookwise.errors import DataError
from lookwise.metrics.classification import accuracy
from lookwise.metrics.statistics import Difference, bootstrap_all, compare
from lookwise.rows import Prediction
from lookwise.sample import Sample
from lookwise.task import Published, Rule, Task

__all__ = [
    "MAJORITY",
    "ONE_SIDED",
    "Group",
    "Pair",
    "Score",
    "blank_score",
    "commonest_answer",
    "compare_predictions",
    "grouped",
    "read_prediction",
    "record",
    "score_predictions",
]

MAJORITY = "majority"
"""Policy and reader of the baseline that always gives the commonest answer."""
ONE_SIDED = 0.95
"""A reader that gives one answer more often than this is marked: its score says more about the labels than about it."""

_RIGHT = accuracy("all").score


@dataclass(frozen=True, slots=True)
class Score:
    """One number of scores.json.

    `model` is the reader's name, `fingerprint` that of its weights.  `commonest` is its most frequent answer and
    `commonest_share` that answer's share of the answers read; `one_sided` marks a share over 95 %.  A record with a
    `capability` is the mean over that capability's tasks, and has no task.
    """

    benchmark: str
    task: str
    split: str
    subset: str | None
    policy: str
    model: str
    training: str
    tuned_on: str
    captioner: str
    judges: tuple[str, ...]
    seed: int
    metric: str
    primary: bool
    value: float
    low: float
    high: float
    n: int
    failed: int
    over: Literal["parsed", "all"]
    data_digest: str = ""
    published: tuple[Published, ...] = ()
    rule: Rule = "robust"
    fingerprint: str = ""
    commonest: str | None = None
    commonest_share: float = math.nan
    one_sided: bool = False
    note: str = ""
    capability: str | None = None


class Group(NamedTuple):
    """Whose answers are scored together.  A baseline's `training` says of what its answer is the commonest."""

    split: str
    subset: str | None
    policy: str
    reader: str
    training: str
    tuned_on: str
    fingerprint: str


class Pair(NamedTuple):
    """A gold answer and what was answered; None is a failure."""

    gold: str
    answer: str | None


def score_predictions(
    task: Task,
    samples: Mapping[str, Sample],
    predictions: Sequence[Prediction],
    *,
    rule: Rule = "robust",
    seed: int = 0,
    resamples: int = 1000,
    captioner: str = "",
    judges: tuple[str, ...] = (),
    data_digest: str = "",
    with_published: bool = False,
) -> list[Score]:
    """Return the scores of one task's predictions, baselines first, in the order in which the groups appear.

    `with_published` puts the paper's cells beside ours: only right on the published data itself.
    """
    blank = blank_score(
        task.name.split("/")[0],
        task.name,
        captioner=captioner,
        judges=judges,
        seed=seed,
        rule=rule,
        data_digest=data_digest,
    )
    scored = grouped(task, samples, predictions, rule)
    scores = [score for group, pairs in scored.items() for score in _scores(task, group, pairs, blank, resamples)]
    return [_beside(task, score) for score in scores] if with_published else scores


def blank_score(
    benchmark: str,
    task: str = "",
    *,
    captioner: str = "",
    judges: tuple[str, ...] = (),
    seed: int = 0,
    rule: Rule = "robust",
    data_digest: str = "",
) -> Score:
    """Return a record of nothing yet: what all records of a run, or of a task, have in common."""
    return Score(
        benchmark=benchmark,
        task=task,
        split="",
        subset=None,
        policy="",
        model="",
        training="",
        tuned_on="",
        captioner=captioner,
        judges=judges,
        seed=seed,
        metric="",
        primary=False,
        value=math.nan,
        low=math.nan,
        high=math.nan,
        n=0,
        failed=0,
        over="all",
        data_digest=data_digest,
        rule=rule,
    )


def read_prediction(task: Task, sample: Sample, prediction: Prediction, rule: Rule) -> str | None:
    """Return a prediction's answer under a rule: free text is read again, a ranking and a bare answer stay.

    An answer that was not open for the sample is a failure.
    """
    answer = prediction.answer
    if prediction.reply is not None and (not prediction.option_scores or prediction.is_beside):
        answer = task.parse[rule](prediction.reply, sample)
    return answer if answer in task.answers(sample) else None


def compare_predictions(
    tasks: Mapping[str, Task],
    samples: Mapping[str, Sample],
    a: Iterable[Prediction],
    b: Iterable[Prediction],
    *,
    rule: Rule = "robust",
    seed: int = 0,
    resamples: int = 1000,
) -> Difference:
    """Return how much better a is than b, paired on the samples that both answered.

    Of one task: by its primary metric.  Of several, pooled: by the share of right answers, failures wrong.
    """
    ours = {p.sample_id: p for p in a}
    pairs = [(ours[p.sample_id], p) for p in b if p.sample_id in ours and samples[p.sample_id].target is not None]
    names = {samples[p.sample_id].task for p, _ in pairs}
    columns: tuple[list[str | None], list[str | None]] = ([], [])
    for pair in pairs:
        sample = samples[pair[0].sample_id]
        for column, prediction in zip(columns, pair, strict=True):
            column.append(read_prediction(_named(tasks, sample.task), sample, prediction, rule))
    gold = [str(samples[p.sample_id].target) for p, _ in pairs]
    score = _named(tasks, names.pop()).metrics[0].score if len(names) == 1 else _RIGHT
    return compare(gold, *columns, score, seed=seed, resamples=resamples)


def commonest_answer(answers: Iterable[str | None]) -> tuple[str | None, float]:
    """Return the most frequent answer and its share of the answers read; None and nan where none was read."""
    counts = Counter(answer for answer in answers if answer is not None)
    if not counts:
        return None, math.nan
    commonest = min(counts, key=lambda answer: (-counts[answer], answer))
    return commonest, counts[commonest] / counts.total()


def record(score: Score) -> dict[str, Any]:
    """Return a score as JSON values: nan is null, published cells are {system, value, source, note}."""
    values = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(score).items()}
    values["judges"] = list(score.judges)
    values["published"] = [
        {"system": c.system, "value": c.value, "source": c.source, "note": c.note} for c in score.published
    ]
    return values


# ------------------------------------------------------------------------------------------------------------- groups


def grouped(
    task: Task, samples: Mapping[str, Sample], predictions: Sequence[Prediction], rule: Rule
) -> dict[Group, list[Pair]]:
    """Return what one task's predictions come to by group, baselines first; no group is empty."""
    groups = _answered(task, samples, predictions, rule)
    places = dict.fromkeys((group.split, group.subset) for group in groups)
    baselines = {group: pairs for place in places for group, pairs in _baseline(task, samples, *place)}
    return {group: pairs for group, pairs in (*baselines.items(), *groups.items()) if pairs}


def _answered(
    task: Task, samples: Mapping[str, Sample], predictions: Sequence[Prediction], rule: Rule
) -> dict[Group, list[Pair]]:
    groups: dict[Group, list[Pair]] = {}
    for p in predictions:
        if p.task not in (task.name, task.short):
            continue
        sample = samples.get(p.sample_id)
        if sample is None:
            raise DataError(f"a prediction names sample {p.sample_id!r}, which is not among the {len(samples)} samples")
        if sample.target is None:
            continue
        pair = Pair(sample.target, read_prediction(task, sample, p, rule))
        for subset in dict.fromkeys((None, sample.subset)):
            reader = p.reader or p.model
            group = Group(sample.split, subset, p.policy, reader, p.training, p.tuned_on, p.model)
            groups.setdefault(group, []).append(pair)
    return groups


def _baseline(
    task: Task, samples: Mapping[str, Sample], split: str, subset: str | None
) -> Iterator[tuple[Group, list[Pair]]]:
    """Yield the baseline of one split: the commonest gold answer of the training data, given to every sample."""
    mine = [s for s in samples.values() if s.task in (task.name, task.short) and s.target is not None]
    here = [s for s in mine if s.split == split and subset in (None, s.subset)]
    train = [s for s in mine if s.split == "train"]
    commonest = Counter(str(s.target) for s in train or here)
    if commonest:
        answer = min(commonest, key=lambda a: (-commonest[a], a))
        group = Group(split, subset, MAJORITY, MAJORITY, "of train" if train else f"of {split} itself", "", "")
        yield group, [Pair(str(s.target), answer) for s in here]


def _scores(task: Task, group: Group, pairs: Sequence[Pair], blank: Score, resamples: int) -> Iterator[Score]:
    gold, answers = [p.gold for p in pairs], [p.answer for p in pairs]
    commonest, share = commonest_answer(answers)
    baseline = group.policy == MAJORITY
    common = replace(
        blank,
        split=group.split,
        subset=group.subset,
        policy=group.policy,
        model=group.reader,
        training="" if baseline else group.training,
        tuned_on=group.tuned_on,
        fingerprint=group.fingerprint,
        n=len(pairs),
        failed=answers.count(None),
        commonest=commonest,
        commonest_share=share,
        one_sided=not baseline and share > ONE_SIDED,
        note=f"commonest answer {group.training}" if baseline else "",
    )
    intervals = bootstrap_all(gold, answers, [m.score for m in task.metrics], resamples=resamples, seed=blank.seed)
    for metric, interval in zip(task.metrics, intervals, strict=True):
        yield replace(
            common,
            metric=metric.name,
            primary=metric is task.metrics[0],
            value=interval.value,
            low=interval.low,
            high=interval.high,
            over=metric.over,
        )


def _beside(task: Task, score: Score) -> Score:
    return replace(score, published=published_cells(score.benchmark, task.short, score.split, score.metric))


def _named(tasks: Mapping[str, Task], name: str) -> Task:
    return next(task for task in tasks.values() if name in (task.name, task.short))
