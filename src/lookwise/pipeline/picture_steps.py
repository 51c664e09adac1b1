"""Steps of a run that concern pictures: captions, ballots, evidence.

Each step reads finished rows, runs one stage through the loop, and writes its rows.  A step asks for no more than the
recipe's policies need: training pictures are captioned only when a reader is tuned on captions, and judged only when a
policy there looks at ballots.  Of a product with several pictures the first, its main one, is captioned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lookwise.model import Generate, Rank
from lookwise.pipeline.context import TUNING_SPLITS, Context, by_sample
from lookwise.pipeline.utility_steps import readers_half, threshold
from lookwise.pipeline.wanted import main_pictures
from lookwise.recipe import GIVEN
from lookwise.rows import Ballot, Caption, Evidence, Utility
from lookwise.sample import Sample
from lookwise.sources.caption_files import read_caption_files, write_caption_files
from lookwise.stages.caption import CaptionStage, given_captions
from lookwise.stages.caption_quality import CaptionQuality
from lookwise.stages.evidence import Known, Policy, select

__all__ = ["ballots", "captions", "evidence", "splits_for"]


def _captioned(policies: Sequence[Policy]) -> bool:
    return any(p.form == "captions" for p in policies)


def _voted(policies: Sequence[Policy]) -> bool:
    return any({p.selector, (p.base or "").rpartition(":")[2]} & {"vote", "judge"} for p in policies) or any(
        "judge/" in (p.base or "") for p in policies
    )


def splits_for(context: Context, need: object) -> tuple[str, ...]:
    """Return the splits whose pictures a step must look at, by what its policies need (`_captioned` or `_voted`)."""
    assert callable(need)
    tuning = TUNING_SPLITS if need(context.tuning_policies) else ()
    testing = context.recipe.test_splits if need(context.policies) else ()
    return (*tuning, *testing)


def captions(context: Context) -> None:
    """Caption every picture that a policy may show."""
    recipe = context.recipe
    samples = [
        replace(s, visuals=tuple(main_pictures(s)))
        for s in context.samples(splits_for(context, _captioned))
        if s.visuals
    ]
    if recipe.captioner == GIVEN:
        if recipe.caption_files:
            samples = read_caption_files(Path(recipe.caption_files), samples)
        context.write("captions", Caption, given_captions(samples))
        return
    folds = context.data.folds()
    stage = CaptionStage(
        tasks=context.tasks,
        want=Generate(max_new_tokens=recipe.caption_tokens),
        contextual=recipe.caption_context,
        others={s.id: f"captioner-fold-{folds[s.id]}" for s in samples if s.id in folds},
    )
    models = {"captioner": context.source("captioner", recipe.captioner)}
    for i in sorted(set(folds.values())):
        models[f"captioner-fold-{i}"] = context.source(f"captioner-fold-{i}", f"{recipe.captioner}-fold-{i}")
    rows = context.ask(stage, samples, models)
    if context.data.kind == "mmecinstruct" and context.home is None:
        write_caption_files(context.folder / "captions", samples, rows)
    context.write("captions", Caption, [row for s in samples for row in rows[s.id]])


def ballots(context: Context) -> None:
    """Have the judges vote on the captions whose verdict a policy asks for."""
    recipe = context.recipe
    wanted = splits_for(context, _voted)
    samples = [s for s in context.samples(wanted) if s.visuals]
    stage = CaptionQuality(
        tasks=context.tasks,
        captions=by_sample(context.read("captions", Caption)),
        judges=tuple(recipe.judges),
        want=Rank(("yes", "no")) if recipe.judging == "rank" else Generate(max_new_tokens=recipe.ballot_tokens),
        always=frozenset(p.judge for p in context.policies + context.tuning_policies if p.judge),
        audit=1.0 if recipe.tie == "published" else recipe.audit,  # junk votes too: only the last ballot settles it
        seed=recipe.seed,
    )
    models = {name: context.source(name, spec) for name, spec in recipe.judges.items()}
    rows = context.ask(stage, samples, models)
    context.write("ballots", Ballot, [row for s in samples for row in rows[s.id]])


def evidence(context: Context, look_from: float | None = None) -> None:
    """Turn rows into what each policy shows: of test samples under all policies, of tuning samples under tune_on.

    What teaches the verifier is not shown to readers: pictures drawn blindly would be lost there.
    `look_from` is the verifier's threshold, where it was found elsewhere than on this run's validation samples.
    """
    recipe = context.recipe
    known = Known(
        captions=by_sample(context.read("captions", Caption)),
        ballots=by_sample(context.read("ballots", Ballot)),
        truth=by_sample(context.read("utilities", Utility)),
        tie=recipe.tie,
        seed=recipe.seed,
        measured=by_sample(context.read("measured", Utility)),
        predicted=by_sample(context.read("predicted", Utility)),
        threshold=threshold(context) if look_from is None else look_from,
    )
    parts: list[tuple[Sequence[Policy], list[Sample]]] = [
        (context.tuning_policies, readers_half(context, context.samples(TUNING_SPLITS))),
        (context.policies, context.samples(recipe.test_splits)),
    ]
    rows = [row for policies, samples in parts for policy in policies for row in select(policy, samples, known)]
    context.write("evidence", Evidence, rows)
