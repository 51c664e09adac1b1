"""Steps of a run that concern the reader: tuning it on the evidence that was kept, and asking it.

In: samples, captions and evidence rows.  Out: adapters (one per tune_on policy, or one per policy and task), prediction
rows of every reader under every policy, and the ceilings where the truth is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lookwise.inference import ModelSource
from lookwise.message import Media
from lookwise.model import Generate
from lookwise.models.open import ModelOptions
from lookwise.pipeline.context import TUNING_SPLITS, Context, by_sample, slug
from lookwise.pipeline.given_lessons import given_answers
from lookwise.pipeline.lessons import check_lessons, faults, lessons
from lookwise.pipeline.tuning import fleet, reader_settings
from lookwise.pipeline.utility_steps import readers_half
from lookwise.rows import Caption, Evidence, Prediction
from lookwise.sample import Sample
from lookwise.stages.answer import AnswerStage, Reader, bearers_of, shared_by_task
from lookwise.stages.evidence import shown_captions, shown_visuals
from lookwise.training.examples import Example
from lookwise.training.launch import tune_in
from lookwise.training.utility import reader_examples

if TYPE_CHECKING:
    from lookwise.training.together import Job

__all__ = [
    "adapter_folder",
    "adapter_folders",
    "adapters",
    "ask_readers",
    "evidence_by_policy",
    "predictions",
    "readers",
]

Shown = Mapping[str, Mapping[str, Mapping[str, str]]]
"""policy -> sample id -> slot -> caption."""
Pictures = Mapping[str, Mapping[str, tuple[Media, ...]]]
"""policy -> sample id -> pictures in the order in which they are shown."""


def shown_by_policy(context: Context, evidence: Mapping[str, Sequence[Evidence]]) -> Shown:
    """Return the captions that each policy shows."""
    captions = by_sample(context.read("captions", Caption))
    return {policy: shown_captions(rows, captions) for policy, rows in evidence.items()}


def pictures_by_policy(evidence: Mapping[str, Sequence[Evidence]], samples: Sequence[Sample]) -> Pictures:
    """Return the pictures that each policy shows of these samples."""
    return {policy: shown_visuals(rows, samples) for policy, rows in evidence.items()}


def evidence_by_policy(context: Context) -> dict[str, list[Evidence]]:
    """Return the run's evidence rows by policy."""
    groups: dict[str, list[Evidence]] = {}
    for row in context.read("evidence", Evidence):
        groups.setdefault(row.policy, []).append(row)
    return groups


def adapter_folder(context: Context, policy: str, task: str | None) -> Path:
    """Return the folder of an adapter."""
    parts = [slug(policy)] if task is None else [slug(policy), slug(task.rsplit("/", 1)[-1])]
    return context.folder.joinpath("adapters", *parts)


def _groups(context: Context) -> list[str | None]:
    """Return the tasks that get a reader of their own, or [None] for one generalist."""
    return [None] if context.recipe.training == "generalist" else list(context.tasks)


def adapter_folders(context: Context) -> list[Path]:
    """Return the folders of all adapters that the run tunes its readers into."""
    return [adapter_folder(context, p.name, task) for p in context.tuning_policies for task in _groups(context)]


def adapters(context: Context) -> None:
    """Tune a reader on every tune_on policy's evidence: a finished adapter is left alone, a cut-off one goes on.

    Small readers are tuned several at a time where there are cores and no accelerator (training/together.py).
    """
    from lookwise.training.together import train_together

    evidence = evidence_by_policy(context)
    shown = shown_by_policy(context, evidence)
    train, val = (readers_half(context, context.samples([split])) for split in ("train", "val"))
    pictures = pictures_by_policy({p.name: evidence.get(p.name, ()) for p in context.tuning_policies}, [*train, *val])
    broken = faults(medium for mine in pictures.values() for media in mine.values() for medium in media)
    jobs = []
    for policy in context.tuning_policies:
        seen = pictures[policy.name]
        for task in _groups(context):
            mine, others = ([s for s in part if task in (None, s.task)] for part in (train, val))
            if context.recipe.downstream_files and policy.form == "visuals" and policy.selector == "predicted":
                told, checks, missing = _given(context)
            else:
                captions = shown.get(policy.name, {})
                (told, missing), (checks, _) = (_told(context, p, captions, seen, broken) for p in (mine, others))
            who = f"the reader tuned on {policy.name}" + (f" for {task}" if task else "")
            check_lessons(who, told, mine, missing, "set readers: zero-shot")
            jobs.append((_job(context, policy.name, task, told, checks, missing), _letters(told)))
    if jobs and fleet(context.recipe).alone and _small(context):
        train_together([job for job, _ in sorted(jobs, key=lambda pair: -pair[1])], "tuning", context.display)
    else:
        for job, _ in jobs:
            job.train(display=context.display)


def _told(
    context: Context,
    samples: Sequence[Sample],
    captions: Mapping[str, Mapping[str, str]],
    seen: Mapping[str, Sequence[Media]],
    broken: Mapping[str, str],
) -> tuple[list[Example], dict[str, int]]:
    """Return the samples with what a policy shows of them, and how many lack a picture of it, by reason."""
    kept, missing = lessons(samples, seen, broken)
    return reader_examples(context.tasks, kept, captions, seen), missing


def _given(context: Context) -> tuple[list[Example], list[Example], dict[str, int]]:
    """Return the lessons that the user gives, for tuning and for validation, and what of the first is left out."""
    train, val = (given_answers(context, split) for split in TUNING_SPLITS)
    return list(train.examples), list(val.examples), dict(train.left_out)


def _job(
    context: Context,
    policy: str,
    task: str | None,
    train: list[Example],
    val: list[Example],
    missing: Mapping[str, int],
) -> Job:
    from lookwise.training.together import Job

    recipe, settings = context.recipe, reader_settings(context.recipe)
    card = {"recipe": recipe.name, "tuned_on": policy, "task": task or "all", "missing_pictures": missing}
    if recipe.published_tuning:
        card["published_tuning"] = recipe.published_tuning
    folder = adapter_folder(context, policy, task)
    call = partial(
        tune_in,
        fleet(context.recipe),
        context.spec(context.recipe.reader),
        train,
        val,
        folder,
        settings,
        card=card,
    )
    steps = math.ceil(math.ceil(len(train) / settings.batch) * settings.epochs)
    return Job("/".join(folder.parts[len(context.folder.parts) + 1 :]), call, steps)


def _letters(examples: Sequence[Example]) -> int:
    """Return about how long a tuning takes, to begin with the longest."""
    return sum(len(turn.text) for example in examples for turn in example.conversation)


def _small(context: Context) -> bool:
    """Return whether the reader leaves most of a core's neighbours idle: a small one, and no accelerator."""
    from lookwise.models.hf.copies import is_small

    spec = context.recipe.reader
    return is_small(context.spec(spec), ModelOptions(remote_code=context.recipe.may_run_code(spec)))


def readers(context: Context) -> list[tuple[Reader, str]]:
    """Return every reader of the run with the spec that opens it."""
    recipe = context.recipe
    found: list[tuple[Reader, str]] = []
    if recipe.readers in ("zero-shot", "both"):
        found.append((Reader("reader", recipe.reader, "zero-shot", ""), recipe.reader))
    for policy in context.tuning_policies:
        for task in _groups(context):
            folder = adapter_folder(context, policy.name, task)
            key = f"reader[{policy.name}]" if task is None else f"reader[{policy.name}, {task}]"
            found.append(
                (
                    Reader(key, recipe.reader, recipe.training, policy.name, task),
                    f"{context.spec(recipe.reader)}+{folder}",
                )
            )
    return found


def predictions(context: Context) -> None:
    """Ask every reader under every policy; add the exact ceilings where the shop's truth is known."""
    samples = context.samples(context.recipe.test_splits)
    known = {s.id for s in samples}
    rows = ask_readers(context, samples, readers(context))
    context.write("ceilings", Prediction, [row for row in context.data.ceilings() if row.sample_id in known])
    context.write("predictions", Prediction, rows)


def ask_readers(context: Context, samples: Sequence[Sample], found: Sequence[tuple[Reader, str]]) -> list[Prediction]:
    """Return what the readers answer under the recipe's policies, sample by sample."""
    recipe = context.recipe
    evidence = evidence_by_policy(context)
    shown = shown_by_policy(context, evidence)
    stage = AnswerStage(
        tasks=context.tasks,
        readers=[reader for reader, _ in found],
        shown={p.name: shown.get(p.name, {}) for p in context.policies},
        want=None if recipe.answering == "rank" else Generate(max_new_tokens=recipe.answer_tokens),
        rule=recipe.rule,
        pictures=pictures_by_policy(evidence, samples),
        ranking=recipe.ranking,
        also_rank=recipe.also_rank,
        bearers=bearers_of(context.tasks, samples),
    )
    models: dict[str, ModelSource] = {r.model: context.source(r.model, spec) for r, spec in found}
    rows = context.ask(stage, samples, models)
    return shared_by_task([row for s in samples for row in rows[s.id]])
