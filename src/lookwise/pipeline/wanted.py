"""Which pictures of a sample a run looks at, and which models do.

In: a recipe's policies and a sample.  Out: the visuals that a step captions, measures, judges or shows, and the specs
of the models that see them.  Pictures by web address that nobody looks at are not fetched.  What a policy picks by
replies is not known beforehand: there every candidate counts.  It opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lookwise.pipeline.utility_steps import looks
from lookwise.recipe import GIVEN, Recipe
from lookwise.sample import Sample, Visual
from lookwise.stages.evidence import Policy, parse_policy

__all__ = ["captions", "certain", "main_pictures", "models_that_look", "wanted"]


def main_pictures(sample: Sample) -> Iterator[Visual]:
    """Yield the first picture of each slot: the one that is captioned."""
    first: dict[str, Visual] = {}
    for visual in sample.visuals:
        if visual.slot not in first or visual.candidate < first[visual.slot].candidate:
            first[visual.slot] = visual
    yield from first.values()


def certain(policy: Policy, sample: Sample) -> tuple[int, ...] | None:
    """Return the candidates that a policy shows whatever anybody replies; None where that is open."""
    if policy.form is None or not sample.visuals:
        return ()
    if policy.form == "captions":
        return None
    candidates = sample.candidates  # once: a dry run asks for every policy of every sample
    return {"always": candidates[:1], "all": candidates}.get(policy.selector) if candidates else ()


def wanted(sample: Sample, *, captioned: bool, whole: bool, policies: Sequence[Policy]) -> tuple[Visual, ...]:
    """Return the pictures of a sample that are looked at, in their order.

    `captioned`: its main pictures are; `whole`: every candidate is measured or judged; `policies` may show some.
    """
    numbers: set[int] = set(sample.candidates) if whole else set()
    for policy in policies:
        if policy.form == "visuals":
            shown = certain(policy, sample)
            numbers.update(sample.candidates if shown is None else shown)
    main = set(main_pictures(sample)) if captioned else set()
    return tuple(v for v in sample.visuals if v in main or v.candidate in numbers)


def models_that_look(recipe: Recipe) -> tuple[str, ...]:
    """Return the specs of the models that are given pictures."""
    tuned = recipe.tune_on if recipe.readers != "zero-shot" else ()
    both = [parse_policy(name, recipe.judges) for name in (*recipe.policies, *tuned)]
    measured = recipe.teaches_verifier or looks(both, "oracle", "measured") or looks(both, "predicted", "threshold")
    asked = (
        (recipe.captioner, captions(recipe, both)),
        (recipe.assessor or recipe.reader, measured or recipe.assessor_tuned),
        (recipe.verifier or recipe.reader, looks(both, "predicted")),
        (recipe.reader, any(policy.form == "visuals" for policy in both)),
    )
    return tuple(dict.fromkeys(spec for spec, sees in asked if sees))


def captions(recipe: Recipe, policies: Sequence[Policy]) -> bool:
    """Return whether pictures are captioned for these policies; those whose captions came with the data are not."""
    return recipe.captioner != GIVEN and any(policy.form == "captions" for policy in policies)
