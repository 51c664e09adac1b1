"""The step that sets policies side by side: what each scored, what it cost, what its choice lost (policies.json).

In: samples, evidence, predictions, and the rows that choosing was paid with.  Out: one record for every split, declared
subset, reader and policy: the mean of the tasks' primary metrics with its interval, calls and tokens a sample, what was
shown, and the regret of the choice by the truth and by what was measured.  Only for runs that show pictures.

A policy pays for what it takes to carry it out alone: captions and votes where it looks at them, the verifier's word on
every candidate where it goes by that.  Blind policies and oracles pay for what they show: nobody is asked what to
choose, and what an oracle knows has no price.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from lookwise.benchmarks.capability import ALL_TASKS, capability_scores
from lookwise.benchmarks.scores import MAJORITY, Score, blank_score
from lookwise.metrics.cost import cost
from lookwise.metrics.gate import choice_score
from lookwise.pipeline.context import Context
from lookwise.recipe import GIVEN, Recipe
from lookwise.rows import Ballot, Caption, Evidence, Prediction, Row, Utility
from lookwise.runs.files import write_json_atomic
from lookwise.sample import Sample
from lookwise.stages.evidence import Policy

__all__ = ["calls_a_row", "policies"]

R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class _Rows:
    """A run's rows; `worth` holds utilities by where they come from, `calls` what a judgement and an answer took."""

    captions: Sequence[Caption]
    ballots: Sequence[Ballot]
    judgements: Sequence[Utility]
    evidence: Mapping[str, Sequence[Evidence]]
    predictions: Sequence[Prediction]
    worth: Mapping[str, Sequence[Utility]]
    calls: tuple[int, int]


def policies(context: Context) -> None:
    """Write policies.json."""
    known = {policy.name: policy for policy in context.policies}
    samples = {s.id: s for s in context.samples(("train", *context.recipe.test_splits))}
    rows = _read(context, {name for name, s in samples.items() if s.split != "train"})
    records = [
        _record(known[score.policy], score, samples, rows)
        for score in _scores(context, samples, rows.predictions)
        if score.policy in known and score.policy != MAJORITY
    ]
    write_json_atomic(context.folder / "policies.json", records)


def _read(context: Context, tested: set[str]) -> _Rows:
    evidence: dict[str, list[Evidence]] = {}
    for row in _of(context.read("evidence", Evidence), tested):
        evidence.setdefault(row.policy, []).append(row)
    worth = {"truth": context.read("utilities", Utility), "measured": context.read("measured", Utility)}
    made = [] if context.recipe.captioner == GIVEN else context.read("captions", Caption)  # given ones cost nothing
    return _Rows(
        captions=_of(made, tested),
        ballots=_of(context.read("ballots", Ballot), tested),
        judgements=_of(context.read("predicted", Utility), tested),
        evidence=evidence,
        predictions=context.read("predictions", Prediction),
        worth={source: mine for source, found in worth.items() if (mine := _of(found, tested))},
        calls=calls_a_row(context.recipe),
    )


def calls_a_row(recipe: Recipe) -> tuple[int, int]:
    """Return how many calls the verifier's judgement takes, and a reader's answer, each as if asked alone.

    What is written may be ranked as well, and a calibrated ranking asks about an empty context besides.
    """
    ranks = recipe.answering == "rank" or recipe.also_rank
    ranking = ranks + (ranks and recipe.ranking == "calibrated")
    return 1 + (recipe.assessing == "generate"), (recipe.answering == "generate") + ranking


def _of(rows: Sequence[R], samples: set[str]) -> list[R]:
    return [row for row in rows if row.sample_id in samples]


def _scores(context: Context, samples: Mapping[str, Sample], predictions: Sequence[Prediction]) -> list[Score]:
    """Return the mean over all tasks for every reader under every policy."""
    recipe = context.recipe
    tasks = tuple(context.tasks.values())
    blank = blank_score(tasks[0].name.split("/")[0], seed=recipe.seed, rule=recipe.rule)
    wanted = {ALL_TASKS: tuple(task.short for task in tasks)}
    return capability_scores(tasks, samples, predictions, wanted, blank, resamples=recipe.resamples)


def _record(policy: Policy, score: Score, samples: Mapping[str, Sample], rows: _Rows) -> dict[str, Any]:
    mine = {s.id for s in samples.values() if s.split == score.split and score.subset in (None, s.subset)}
    who = (score.model, score.training, score.tuned_on, score.policy)
    answers = [p for p in _of(rows.predictions, mine) if (p.reader or p.model, p.training, p.tuned_on, p.policy) == who]
    shown = _of(rows.evidence.get(policy.name, ()), mine)
    judgement, answer = rows.calls
    asked = {p.sample_id for p in answers}
    paid = _paid(policy, shown, rows)
    spent = cost(asked, answers, shown, *paid, per_judgement=judgement, per_answer=answer)
    regret = {source: choice_score(shown, _of(found, mine)).regret for source, found in rows.worth.items()}
    said = ("benchmark", "split", "subset", "policy", "model", "training", "tuned_on", "value", "low", "high", "failed")
    values = {name: getattr(score, name) for name in said}
    return _finite({**values, **asdict(spent), "calls": spent.calls, "regret": _finite(regret), "note": score.note})


def _paid(
    policy: Policy, shown: Sequence[Evidence], rows: _Rows
) -> tuple[Sequence[Caption], Sequence[Ballot], Sequence[Utility]]:
    """Return the captions, ballots and judgements that a policy needs."""
    if policy.form == "visuals":
        return (), (), rows.judgements if policy.selector == "predicted" else ()
    if policy.form is None:
        return (), (), ()
    if policy.selector in ("random", "oracle"):
        kept = {row.caption_id for row in shown if row.caption_id}
        return [c for c in rows.captions if c.caption_id in kept], (), ()
    voted = policy.selector in ("vote", "judge")
    ballots = [b for b in rows.ballots if voted and policy.judge in (None, b.judge)]
    return rows.captions, ballots, ()


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values, what is no number as null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
