"""Does looking pay?  The readers of one run against each other, paired on the samples that both answered.

In: tasks, samples, prediction rows.  Out: `Gain` records (gains.json), of one task or of all of them pooled.  Four
questions are asked of every split, and of the subsets that its benchmark declares:

    text     a policy against text alone, each answered by the reader tuned on it (an untuned reader: by itself)
    all      a gate against showing everything (of several pictures of a product: always the first), likewise
    random   a gate against as many drawn blindly, both answered by the gate's own reader
    ceiling  the best possible reader with pictures against the best possible one without: what there is to gain

Two readers that were tuned apart also differ by chance of the tuning; the interval is over samples only.  It reads no
file and asks no model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

from lookwise.benchmarks.capability import ALL_TASKS
from lookwise.benchmarks.scores import ONE_SIDED, commonest_answer, compare_predictions, read_prediction
from lookwise.rows import Prediction
from lookwise.sample import Sample
from lookwise.task import Rule, Task

__all__ = ["SHARE_RIGHT", "Gain", "Question", "gain_record", "gains", "pooled_gains"]

Question = Literal["text", "all", "random", "ceiling"]
SHARE_RIGHT = "share_right"
"""What pooled gains are in."""
_TEXT = "none"
_CEILINGS = ("ceiling/pictures", "ceiling/text")
_NO_GATES = ("always", "all", "oracle/truth", "oracle/measured")
"""Selectors that do not decide by themselves, or by what nobody has at hand."""


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better `policy` scores than `against`, by the task's primary metric, with its 95 % interval.

    `tuned_on` and `against_tuned_on` say which readers answered; `wins` and `losses` count samples that only the first
    or only the second got right.  nan where nothing could be scored.  `one_sided`: one of the two gave one answer in
    over 95 % of the samples, so that the difference may tell of its tuning rather than of pictures.  `subset`: the part
    of the split that it is of, None for all.
    """

    benchmark: str
    task: str
    split: str
    question: Question
    model: str
    policy: str
    tuned_on: str
    against: str
    against_tuned_on: str
    metric: str
    value: float
    low: float
    high: float
    wins: int
    losses: int
    n: int
    one_sided: bool
    subset: str | None = None


class _Side(NamedTuple):
    """One reader under one policy."""

    split: str
    model: str
    tuned_on: str
    policy: str


def gains(
    task: Task,
    samples: Mapping[str, Sample],
    predictions: Sequence[Prediction],
    *,
    rule: Rule = "robust",
    seed: int = 0,
    resamples: int = 1000,
    subsets: Sequence[str] = (),
) -> list[Gain]:
    """Return the gains of one task's predictions, question by question: of all samples, then of each subset."""
    mine = [p for p in predictions if p.task in (task.name, task.short)]
    known = _Known({task.name: task}, samples, rule, seed, resamples)
    return _by_subset(known, mine, subsets)


def pooled_gains(
    tasks: Sequence[Task],
    samples: Mapping[str, Sample],
    predictions: Sequence[Prediction],
    *,
    rule: Rule = "robust",
    seed: int = 0,
    resamples: int = 1000,
    subsets: Sequence[str] = (),
) -> list[Gain]:
    """Return the gains of several tasks of a benchmark pooled: in the share of right answers, failures wrong.

    A task weighs as many samples as it has.  None where there is one task only.
    """
    if len(tasks) < 2:
        return []
    known = _Known({task.name: task for task in tasks}, samples, rule, seed, resamples)
    return _by_subset(known, predictions, subsets)


class _Known(NamedTuple):
    """What a comparison needs besides the two sides."""

    tasks: Mapping[str, Task]
    samples: Mapping[str, Sample]
    rule: Rule
    seed: int
    resamples: int

    @property
    def only(self) -> Task | None:
        """The task, where there is one."""
        return next(iter(self.tasks.values())) if len(self.tasks) == 1 else None


def _by_subset(known: _Known, predictions: Sequence[Prediction], subsets: Sequence[str]) -> list[Gain]:
    found = _gains(known, predictions)
    for subset in subsets:
        part = [p for p in predictions if known.samples[p.sample_id].subset == subset]
        found += [replace(gain, subset=subset) for gain in _gains(known, part)]
    return found


def _gains(known: _Known, predictions: Sequence[Prediction]) -> list[Gain]:
    task, benchmark = known.only, next(iter(known.tasks)).split("/")[0]
    sides: dict[_Side, list[Prediction]] = {}
    for p in predictions:
        sides.setdefault(_Side(p.split, p.reader or p.model, p.tuned_on, p.policy), []).append(p)
    # of several tasks one answer says nothing
    lopsided = {side: task is not None and _one_sided(task, known, mine) for side, mine in sides.items()}
    found = []
    for question, a, b in _questions(list(sides)):
        difference = compare_predictions(
            known.tasks, known.samples, sides[a], sides[b], rule=known.rule, seed=known.seed, resamples=known.resamples
        )
        found.append(
            Gain(
                benchmark=benchmark,
                task=ALL_TASKS if task is None else task.name,
                split=a.split,
                question=question,
                model=a.model,
                policy=a.policy,
                tuned_on=a.tuned_on,
                against=b.policy,
                against_tuned_on=b.tuned_on,
                metric=SHARE_RIGHT if task is None else task.metrics[0].name,
                value=difference.value,
                low=difference.low,
                high=difference.high,
                wins=difference.only_a,
                losses=difference.only_b,
                n=difference.n,
                one_sided=lopsided[a] or lopsided[b],
            )
        )
    return found


def _one_sided(task: Task, known: _Known, predictions: Sequence[Prediction]) -> bool:
    samples = known.samples
    asked = [p for p in predictions if samples[p.sample_id].target is not None]
    return commonest_answer(read_prediction(task, samples[p.sample_id], p, known.rule) for p in asked)[1] > ONE_SIDED


def gain_record(gain: Gain) -> dict[str, Any]:
    """Return a gain as JSON values: nan is null."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(gain).items()}


def _questions(sides: Sequence[_Side]) -> Iterator[tuple[Question, _Side, _Side]]:
    """Yield what is compared with what, of every split and model."""
    for split, model in dict.fromkeys((side.split, side.model) for side in sides):
        mine = [side for side in sides if (side.split, side.model) == (split, model)]
        tuned = {side.policy: side for side in mine if side.tuned_on and side.tuned_on == side.policy}
        as_it_is = {side.policy: side for side in mine if not side.tuned_on}
        for own in (tuned, as_it_is):
            yield from _against_text(own)
            yield from _against_all(own)
            yield from _against_random(own, mine)
    for split in dict.fromkeys(side.split for side in sides):
        best = {side.policy: side for side in sides if side.split == split and side.policy in _CEILINGS}
        if len(best) == len(_CEILINGS):
            yield "ceiling", best[_CEILINGS[0]], best[_CEILINGS[1]]


def _against_text(own: Mapping[str, _Side]) -> Iterator[tuple[Question, _Side, _Side]]:
    if _TEXT in own:
        for policy, side in own.items():
            if policy != _TEXT:
                yield "text", side, own[_TEXT]


def _against_all(own: Mapping[str, _Side]) -> Iterator[tuple[Question, _Side, _Side]]:
    for policy, side in own.items():
        everything = own.get(f"{policy.partition(':')[0]}:always")
        if _is_gate(policy) and everything is not None:
            yield "all", side, everything


def _against_random(own: Mapping[str, _Side], mine: Sequence[_Side]) -> Iterator[tuple[Question, _Side, _Side]]:
    for policy, side in own.items():
        form, _, selector = policy.partition(":")
        blind = side._replace(policy=f"{form}:random@{selector}")
        if _is_gate(policy) and blind in mine:
            yield "random", side, blind


def _is_gate(policy: str) -> bool:
    """Return whether a policy chooses by something that is at hand when a new sample comes."""
    selector = policy.partition(":")[2]
    return bool(selector) and selector not in _NO_GATES and not selector.startswith("random@")
