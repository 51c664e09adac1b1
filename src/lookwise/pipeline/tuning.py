"""A recipe's settings as the tuner takes them: the readers', the assessor's and the verifier's.

In: a recipe.  Out: `TuneSettings`, and the `Fleet` of processes.  A setting of the others that the recipe leaves open
is the readers'.
"""

from __future__ import annotations

from dataclasses import replace

from lookwise.recipe import Recipe
from lookwise.training.launch import Fleet
from lookwise.training.settings import TuneSettings

__all__ = ["assessor_settings", "fleet", "reader_settings", "verifier_settings"]


def fleet(recipe: Recipe) -> Fleet:
    """Return in how many processes an adapter is tuned."""
    return Fleet(recipe.processes, recipe.accelerate)


def reader_settings(recipe: Recipe) -> TuneSettings:
    """Return how readers are tuned."""
    return TuneSettings(
        rank=recipe.rank,
        alpha=recipe.alpha,
        dropout=recipe.dropout,
        learning_rate=recipe.learning_rate,
        batch=recipe.batch,
        epochs=recipe.epochs,
        warmup=recipe.warmup,
        seed=recipe.seed,
        head=recipe.head,
        max_tokens=recipe.max_tokens,
        gradient_checkpointing=recipe.gradient_checkpointing,
        micro_tokens=recipe.micro_tokens,
        quantized=recipe.quantized,
        shard=recipe.shard,
        remote_code=recipe.may_run_code(recipe.reader),
    )


def assessor_settings(recipe: Recipe) -> TuneSettings:
    """Return how the assessor is tuned, where it is."""
    settings = replace(reader_settings(recipe), remote_code=recipe.may_run_code(recipe.assessor or recipe.reader))
    return settings if recipe.assessor_epochs is None else replace(settings, epochs=recipe.assessor_epochs)


_OWN = ("rank", "alpha", "dropout", "learning_rate", "batch", "epochs", "warmup", "head", "max_tokens")
"""Settings that a verifier may have of its own, in the recipe with `verifier_` before them."""


def verifier_settings(recipe: Recipe) -> TuneSettings:
    """Return how the verifier is tuned."""
    own = {name: getattr(recipe, f"verifier_{name}") for name in _OWN}
    own |= {"remote_code": recipe.may_run_code(recipe.verifier or recipe.reader)}
    return replace(reader_settings(recipe), **{name: value for name, value in own.items() if value is not None})
