"""Steps of a run that concern the worth of pictures (SUMEI): measure it, teach a verifier, predict it, judge the gates.

In: samples and the recipe.  Out: `measured` and `predicted` rows, the verifier's adapter, its lessons in the published
shape (sumei/data/verification), and gates.json: how good the verifier is, its cost curve and threshold, and how well
each policy of pictures chooses.  A step does no more than the recipe's policies need, and writes empty rows where they
need nothing.

Half of the training and validation samples, drawn by seed, teaches the verifier; readers are tuned on the other half
alone.  The threshold is chosen on the readers' half of the validation samples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from lookwise.bazaar.gallery import RIGHT
from lookwise.errors import DataError
from lookwise.metrics.choice import Look, by_candidate, cost_curve, threshold_at
from lookwise.metrics.gate import choice_score
from lookwise.metrics.verifier import VerifierScore, verifier_score
from lookwise.model import Generate
from lookwise.pipeline.context import TUNING_SPLITS, Context, by_sample
from lookwise.pipeline.given_lessons import given_judgements
from lookwise.pipeline.tuning import fleet, verifier_settings
from lookwise.recipe import Recipe
from lookwise.rows import Evidence, Utility
from lookwise.runs.files import write_json_atomic
from lookwise.sample import Sample
from lookwise.sources.sumei import Exchange, write_exchanges
from lookwise.stages.evidence import Policy, parse_policy
from lookwise.stages.visual_utility import UtilityPrediction, VisualUtility
from lookwise.training.examples import Example
from lookwise.training.launch import tune_in
from lookwise.training.utility import balanced, halves, verifier_examples

__all__ = [
    "SHORT",
    "curve",
    "gates",
    "looks",
    "measured",
    "predicted",
    "readers_half",
    "threshold",
    "to_measure",
    "to_predict",
    "verifier",
]

SHORT = 16
"""Tokens of a written answer or judgement, as published."""


def looks(policies: Sequence[Policy], selector: str, pick: str | None = None) -> bool:
    """Return whether a policy of pictures chooses by this selector, itself or through `random@`."""
    plain = [parse_policy(p.base) if p.base else p for p in policies if p.form == "visuals"]
    return any(p.selector == selector and pick in (None, p.pick) for p in plain)


def _both(context: Context) -> tuple[Policy, ...]:
    return (*context.policies, *context.tuning_policies)


def readers_half(context: Context, samples: Sequence[Sample]) -> list[Sample]:
    """Return the tuning samples that readers may learn from: all, unless a verifier learns from half of them."""
    return halves(samples, context.recipe.seed)[1] if context.recipe.teaches_verifier else list(samples)


def _verifiers_half(context: Context, split: str) -> list[Sample]:
    subset = context.recipe.verifier_subset
    mine = halves(context.samples([split]), context.recipe.seed)[0]
    return [sample for sample in mine if not subset or sample.subset == subset]


# ---------------------------------------------------------------------------------------------------------------- steps


def measured(context: Context) -> None:
    """Ask the assessor with and without each candidate, of the samples whose measured worth somebody needs."""
    recipe = context.recipe
    samples = [s for s in to_measure(context) if s.visuals]
    want = None if recipe.assessing == "rank" else Generate(max_new_tokens=SHORT)
    spec = recipe.assessor or recipe.reader
    if recipe.assessor_tuned:
        spec = f"{context.spec(spec)}+{context.assessor_folder}"
    stage = VisualUtility(context.tasks, "assessor", spec, want, rule=recipe.rule)
    models = {"assessor": context.source("assessor", spec)}
    rows = context.ask(stage, samples, models)
    context.write("measured", Utility, [row for s in samples for row in rows[s.id]])


def to_measure(context: Context) -> list[Sample]:
    """Return the samples whose pictures' worth is measured."""
    found: list[Sample] = []
    if context.recipe.teaches_verifier and not context.recipe.verification_files:
        found += _verifiers_half(context, "train")
    if context.recipe.teaches_verifier or looks(_both(context), "predicted", "threshold"):
        found += context.samples(["val"])
    if looks(context.tuning_policies, "oracle", "measured"):
        known = {s.id for s in found}
        found += [s for s in context.samples(TUNING_SPLITS) if s.id not in known]
    if looks(context.policies, "oracle", "measured"):
        found += context.samples(context.recipe.test_splits)
    return found


def verifier(context: Context) -> None:
    """Tune the verifier, on the files that the recipe names, or else on what was measured."""
    recipe = context.recipe
    if not recipe.teaches_verifier:
        return
    card: dict[str, Any] = {"recipe": recipe.name, "role": "verifier"}
    if recipe.verification_files:
        given = {split: given_judgements(context, split) for split in TUNING_SPLITS}
        parts = {split: list(mine.examples) for split, mine in given.items()}
        card |= {"files": recipe.verification_files, "left_out": {s: dict(mine.left_out) for s, mine in given.items()}}
    else:
        parts, card["balance"] = _measured_lessons(context)
    base, settings = context.spec(_verifier_spec(recipe)), verifier_settings(recipe)
    folder = context.verifier_folder
    tune_in(fleet(recipe), base, parts["train"], parts["val"], folder, settings, card, context.display)


def _measured_lessons(context: Context) -> tuple[dict[str, list[Example]], dict[str, Any]]:
    """Return an even share of each judgement by split, kept in the published shape too, and what was left out."""
    rows = context.read("measured", Utility)
    parts: dict[str, list[Example]] = {}
    report: dict[str, Any] = {}
    for split in TUNING_SPLITS:
        samples = _verifiers_half(context, split)
        mine = {s.id for s in samples}
        even = context.recipe.verifier_balance == "even"
        kept, balance = balanced([row for row in rows if row.sample_id in mine], context.recipe.seed, even=even)
        parts[split] = verifier_examples(context.tasks, samples, kept)
        report[split] = balance.record()
        told = (Exchange(example.conversation, example.answer) for example in parts[split])
        file = context.folder / "sumei" / "data" / "verification" / f"{split}.json"
        write_exchanges(file, told, context.data.root, context.published_places())
    if not parts["train"]:
        raise DataError(_untaught(rows, _verifiers_half(context, "train")))
    return parts, report


def _untaught(rows: Sequence[Utility], samples: Sequence[Sample]) -> str:
    """Say why the verifier has nothing to learn from, and what to do."""
    mine = {s.id for s in samples}
    reasons = Counter(row.reason or "no gold answer" for row in rows if row.sample_id in mine)
    why = "no picture of its half of the training samples was measured"
    if reasons:
        why = f"none of {reasons.total()} pictures of its half has a judgement (mostly: {reasons.most_common(1)[0][0]})"
    return (
        f"the verifier has nothing to learn from: {why}; give training rows with pictures and gold answers (of "
        "verifier_subset, if the recipe names one), or set verifying: zero-shot"
    )


def _verifier_spec(recipe: Recipe) -> str:
    return recipe.verifier or recipe.reader


def predicted(context: Context) -> None:
    """Have the verifier judge every candidate of the samples for which a policy goes by its word."""
    recipe = context.recipe
    samples = [s for s in to_predict(context) if s.visuals]
    want = None if recipe.assessing == "rank" else Generate(max_new_tokens=SHORT)
    spec = _verifier_spec(recipe)
    stage = UtilityPrediction(context.tasks, "verifier", spec, want)
    if recipe.teaches_verifier:
        spec = f"{context.spec(spec)}+{context.verifier_folder}"
    models = {"verifier": context.source("verifier", spec)}
    rows = context.ask(stage, samples, models)
    context.write("predicted", Utility, [row for s in samples for row in rows[s.id]])


def to_predict(context: Context) -> list[Sample]:
    """Return the samples whose pictures the verifier judges."""
    tuning, testing = (looks(policies, "predicted") for policies in (context.tuning_policies, context.policies))
    found = readers_half(context, context.samples(TUNING_SPLITS)) if tuning else []
    if not tuning and looks(_both(context), "predicted", "threshold"):
        found += readers_half(context, context.samples(["val"]))
    return [*found, *(context.samples(context.recipe.test_splits) if testing else ())]


# ---------------------------------------------------------------------------------------------------------------- gates


def threshold(context: Context) -> float:
    """Return the probability from which looking pays, at the recipe's price of a look."""
    return threshold_at(curve(context), context.recipe.look_price)


def curve(context: Context, *, in_answers: bool = False) -> list[Look]:
    """Return the gate at every threshold on the readers' half of the validation samples, its worth in nats.

    `in_answers`: its worth in right answers instead, by the labels alone: helpful is one more, misleading one fewer.
    """
    mine = {s.id for s in readers_half(context, context.samples(["val"]))}
    known, said = (
        {name: rows for name, rows in by_sample(context.read(stage, Utility)).items() if name in mine}
        for stage in ("measured", "predicted")
    )
    if in_answers:
        known = {name: [replace(row, gain=None) for row in rows if row.label] for name, rows in known.items()}
    return cost_curve(said, known)


def gates(context: Context) -> None:
    """Write gates.json: the verifier's scores, its cost curve and threshold, every policy's choices; by subset too.

    Where no test sample was measured, the verifier is held to the measured worth of the readers' half of the validation
    samples, which did not teach it either; `verifier_samples` says which samples they are.
    """
    tested = context.samples(context.recipe.test_splits)
    everywhere = context.read("measured", Utility)
    held = _held(context, tested, everywhere)
    truth = _of_samples(_of(context.read("utilities", Utility), {s.id for s in (*tested, *held)}))
    ours = _of_kinds(_of(everywhere, {s.id for s in held or tested}), truth)
    ids = {s.id for s in tested}
    known = {"truth": _of(truth, ids), "measured": ours}
    on_test = _part(known, ids)
    said = context.read("predicted", Utility)
    shown: dict[str, list[Evidence]] = {p.name: [] for p in context.policies if p.form == "visuals"}
    for row in context.read("evidence", Evidence):
        if row.policy in shown and row.sample_id in ids:
            shown[row.policy].append(row)
    found, subsets = curve(context), _subsets([*tested, *held])
    verifier = _verifier_records(said, known)
    record = {
        "threshold": threshold_at(found, context.recipe.look_price),
        "look_price": context.recipe.look_price,
        "cost_curve": [asdict(look) for look in found],
        "verifier": verifier,
        "verifier_samples": {
            source: _whose(context, known[source], held if source == "measured" else ()) for source in verifier
        },
        "verifier_subsets": {name: _verifier_records(said, _part(known, mine)) for name, mine in subsets.items()},
        "measured_against_truth": _agreement(ours, truth),
        "measured_against_truth_subsets": {
            name: _agreement(_of(ours, mine), _of(truth, mine)) for name, mine in subsets.items()
        },
        "policies": _choices(shown, on_test),
        "policies_subsets": {name: _choices(shown, _part(on_test, mine)) for name, mine in subsets.items()},
    }
    write_json_atomic(context.folder / "gates.json", _finite(record))


def _held(context: Context, tested: Sequence[Sample], measured: Sequence[Utility]) -> list[Sample]:
    """Return the validation samples that the verifier is held to, none where a test sample was measured."""
    if _of(measured, {s.id for s in tested}):
        return []
    return readers_half(context, context.samples(["val"]))


def _whose(context: Context, rows: Sequence[Utility], held: Sequence[Sample]) -> dict[str, Any]:
    """Return which samples the verifier is held to, and how many."""
    half = "readers" if held and context.recipe.teaches_verifier else None
    splits = ["val"] if held else list(context.recipe.test_splits)
    return {"splits": splits, "half": half, "samples": len({row.sample_id for row in rows})}


def _of(rows: Sequence[Utility], samples: set[str]) -> list[Utility]:
    return [row for row in rows if row.sample_id in samples]


def _part(known: Mapping[str, Sequence[Utility]], samples: set[str]) -> dict[str, list[Utility]]:
    return {source: _of(rows, samples) for source, rows in known.items()}


def _choices(
    shown: Mapping[str, Sequence[Evidence]], known: Mapping[str, Sequence[Utility]]
) -> dict[str, dict[str, Any]]:
    """Return how well each policy picks, by everything that is known of its samples."""
    return {
        name: {source: asdict(choice_score(mine, rows)) for source, rows in known.items() if rows}
        for name, mine in shown.items()
    }


def _of_samples(truth: Sequence[Utility]) -> list[Utility]:
    """Return the truth of each candidate of all slots at once, or of the only slot: as it is measured and predicted."""
    found = []
    for mine in by_sample(truth).values():
        for candidate, row in by_candidate(mine).items():
            kinds = ",".join(r.kind for r in mine if r.candidate == candidate and r.slot is not None and r.kind)
            found.append(replace(row, slot=None, kind=row.kind or kinds or None))
    return found


def _of_kinds(rows: Sequence[Utility], truth: Sequence[Utility]) -> list[Utility]:
    """Return the rows with the kinds that their pictures truly are of, where that is known."""
    kinds = {(row.sample_id, row.candidate): row.kind for row in truth}
    return [replace(row, kind=kinds.get((row.sample_id, row.candidate))) for row in rows]


def _subsets(samples: Sequence[Sample]) -> dict[str, set[str]]:
    """Return the ids of the samples of each subset, in the order in which the subsets appear."""
    found: dict[str, set[str]] = {}
    for sample in samples:
        if sample.subset is not None:
            found.setdefault(sample.subset, set()).add(sample.id)
    return found


def _verifier_records(said: Sequence[Utility], known: Mapping[str, Sequence[Utility]]) -> dict[str, Any]:
    """Return how good the predictions of these candidates are by everything that is known of them."""
    mine = {source: _of(said, {row.sample_id for row in rows}) for source, rows in known.items()}
    return {
        source: {
            "all": _verifier_record(verifier_score(mine[source], rows)),
            "right product": _verifier_record(verifier_score(mine[source], rows, RIGHT)),
        }
        for source, rows in known.items()
        if mine[source]
    }


def _verifier_record(score: VerifierScore) -> dict[str, Any]:
    pairs = [{"known": k, "said": p, "n": n} for (k, p), n in score.confusion.items()]
    return {**asdict(score), "confusion": pairs}


def _agreement(ours: Sequence[Utility], truth: Sequence[Utility]) -> dict[str, Any] | None:
    """Return how often the measured label is the true one, over candidates that have both."""
    labels = {(row.sample_id, row.candidate): row.label for row in truth}
    pairs = [(row.label, labels.get((row.sample_id, row.candidate))) for row in ours]
    both = [(one, other) for one, other in pairs if one and other]
    return {"n": len(both), "equal": sum(a == b for a, b in both) / len(both)} if both else None


def _finite(value: Any) -> Any:
    """Return JSON values: nan and infinity become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
