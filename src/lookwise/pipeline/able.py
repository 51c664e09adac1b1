"""Whether every model of a recipe can do what the recipe asks of it: said before anything loads.

In: a recipe.  Out: nothing, or an error that names the role, the model and the cure.  What only the samples tell (how
many pictures a question shows, whether one is a clip) is said with the first request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lookwise.errors import ModelError
from lookwise.models.hf.families import Abilities, lacks
from lookwise.models.open import Needs, check_spec, is_remote
from lookwise.pipeline.context import SCRATCH
from lookwise.pipeline.tuning import fleet
from lookwise.pipeline.utility_steps import looks
from lookwise.recipe import Recipe
from lookwise.stages.evidence import Policy, parse_policy
from lookwise.training.bases import check_base

__all__ = ["check_able", "needs_of_model"]


def check_able(recipe: Recipe) -> None:
    """Raise ModelError for a model that cannot be opened, asked or tuned as the recipe wants it."""
    fleet(recipe).check()
    for role, spec, needs in _asked(recipe):
        try:
            if spec.startswith(f"{SCRATCH}:"):
                _check_scratch(spec, None if role == "captioner" else needs)
            else:
                check_spec(spec, needs=needs, remote_code=recipe.may_run_code(spec))
        except ModelError as error:
            raise ModelError(f"{role}: {error}") from None
    for role, spec, pictures in _tuned(recipe):
        if not spec.startswith(f"{SCRATCH}:") and not is_remote(spec):
            try:
                check_base(spec, pictures=pictures, remote_code=recipe.may_run_code(spec))
            except ModelError as error:
                raise ModelError(f"{role}: {error}") from None


def needs_of_model(recipe: Recipe, spec: str) -> tuple[Needs, ...]:
    """Return what requests of a model will hold, one for each role that it has, with or without an adapter of ours."""
    roles = ((asked, needs) for _, asked, needs in _asked(recipe) if needs is not None)
    return tuple(needs for asked, needs in roles if spec == asked or spec.startswith(f"{asked}+"))


def _asked(recipe: Recipe) -> Iterator[tuple[str, str, Needs | None]]:
    """Yield each role with its model and what its requests will hold, None for a model that is never asked."""
    policies = _policies(recipe)
    if recipe.captioner in recipe.models:
        yield "captioner", recipe.captioner, Needs(1, 1, writes=True)
    for name, judge in recipe.judges.items():
        yield f"judge {name}", judge, Needs(writes=recipe.judging == "generate")
    yield "reader", recipe.reader, replace(_shown(policies), writes=recipe.answering == "generate")
    free, measures = recipe.assessing == "generate", _measures(recipe, policies)
    yield "assessor", recipe.assessor or recipe.reader, Needs(0, 1, writes=free) if measures else None
    yield "verifier", recipe.verifier or recipe.reader, Needs(1, 1, writes=free) if recipe.predicts else None


def _policies(recipe: Recipe) -> tuple[Policy, ...]:
    names = (*recipe.policies, *(recipe.tune_on if recipe.readers != "zero-shot" else ()))
    return tuple(parse_policy(name, recipe.judges) for name in dict.fromkeys(names))


def _shown(policies: tuple[Policy, ...]) -> Needs:
    """Return what a reader is shown under these policies: text alone wherever a policy may choose no picture."""
    looking = [policy for policy in policies if policy.form == "visuals"]
    blind = len(looking) < len(policies) or any(policy.selector not in ("always", "all") for policy in looking)
    return Needs(0 if blind else 1, 1 if looking else 0)


def _measures(recipe: Recipe, policies: tuple[Policy, ...]) -> bool:
    chosen = looks(policies, "predicted", "threshold") or looks(policies, "oracle", "measured")
    return recipe.teaches_verifier or chosen


def _tuned(recipe: Recipe) -> Iterator[tuple[str, str, bool]]:
    """Yield each role that is tuned with its base and whether its examples show pictures."""
    if recipe.readers != "zero-shot" and recipe.tune_on:
        yield "reader", recipe.reader, any(name.startswith("visuals:") for name in recipe.tune_on)
    if recipe.assessor_tuned:
        yield "assessor", recipe.assessor or recipe.reader, True
    if recipe.teaches_verifier:
        yield "verifier", recipe.verifier or recipe.reader, True


def _check_scratch(spec: str, needs: Needs | None) -> None:
    """All models from scratch but the captioner read text; scratch_steps.py knows which of them there are."""
    reason = None if needs is None else lacks(Abilities(), needs)
    if reason is not None:
        raise ModelError(f"model {spec!r} {reason}")
