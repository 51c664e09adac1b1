"""A recipe, read strictly: one flat YAML file that is one experiment.

In: a path or the name of a shipped recipe, and `--set key=value` overrides.  Out: a frozen `Recipe` with every default
filled in, or a `RecipeError` that names the key and the nearest known one.  No inheritance, no interpolation.  It opens
no model and no data; the pipeline checks their names against what exists before anything loads.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lookwise.errors import RecipeError, nearest
from lookwise.recipe import GIVEN, Recipe
from lookwise.stages.evidence import parse_policy

__all__ = ["dump", "load", "parse", "shipped", "shipped_names"]

_RECIPES = Path(__file__).parent / "recipes"


def shipped_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(p.stem for p in _RECIPES.glob("*.yaml"))


def shipped(name: str) -> Path:
    """Return the path of a shipped recipe."""
    return _RECIPES / f"{name}.yaml"


def load(recipe: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return a recipe by path or shipped name (its file's name will do), with `key=value` overrides applied."""
    path = Path(recipe)
    if not path.is_file():
        name = recipe.removesuffix(".yaml")
        if name not in shipped_names():
            raise RecipeError(
                f"no recipe {recipe!r}: neither a file nor a shipped one; {nearest(name, shipped_names())}"
            )
        path = shipped(name)
    values = _values(path)
    for item in overrides:
        key, found, text = item.partition("=")
        if not found:
            raise RecipeError(f"--set {item!r}: expected key=value")
        values[key.strip()] = _yaml_value(text, f"--set {key}")
    values.setdefault("name", path.stem)
    return parse(values, str(path))


def _values(path: Path) -> dict[str, Any]:
    """Return a recipe's values; those of a table's YAML are its `recipe` section and the table itself as the data."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        found = f"{error.reason} at byte {error.start}"
        raise RecipeError(f"{path}: not UTF-8 text ({found}); expected a YAML file") from None
    values = _yaml(text, str(path))
    if "table" not in values or "data" in values:
        return values
    settings = values.get("recipe", {})
    if not isinstance(settings, dict):
        raise RecipeError(f"{path}: recipe: expected keys and values of a recipe, found {settings!r}")
    return {"name": path.stem, "source": "table", "test_splits": ["test"], **settings, "data": str(path)}


def parse(values: Mapping[str, Any], origin: str) -> Recipe:
    """Return a recipe from plain values; RecipeError names an unknown key or a value of the wrong type."""
    hints = get_type_hints(Recipe)
    known = {f.name for f in fields(Recipe)}
    for key in values:
        if key not in known:
            raise RecipeError(f"{origin}: unknown key {key!r}; {nearest(str(key), known)}")
    recipe = Recipe(**{k: _convert(v, hints[k], f"{origin}: {k}") for k, v in values.items()})
    for task, most in recipe.samples_most.items():
        if not most.isdecimal() or int(most) == 0:
            raise RecipeError(f"{origin}: samples_most: {task}: expected a positive number, found {most!r}")
    if "tune_on" not in values:
        recipe = replace(recipe, tune_on=tuple(p for p in recipe.tune_on if p in recipe.policies))
    return _check(recipe, origin)


def dump(recipe: Recipe) -> str:
    """Return a recipe as YAML with every default written out."""
    import yaml

    plain = {k: _plain(v) for k, v in _as_dict(recipe).items()}
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100))


def _as_dict(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's fields as they are (dataclasses.asdict cannot copy a mapping proxy)."""
    return {f.name: getattr(recipe, f.name) for f in fields(recipe)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _yaml(text: str, origin: str) -> dict[str, Any]:
    value = _yaml_value(text, origin)
    if not isinstance(value, dict):
        raise RecipeError(f"{origin}: expected keys and values, found {type(value).__name__}")
    return value


def _yaml_value(text: str, origin: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{origin}: not valid YAML: {' '.join(str(error).split())}") from None


def _convert(value: Any, kind: Any, origin: str) -> Any:
    """Return a YAML value as the annotated type, or say what was expected."""
    if get_origin(kind) is types.UnionType:  # `X | None`
        return None if value is None else _convert(value, get_args(kind)[0], origin)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise RecipeError(f"{origin}: {value!r} is not possible; {nearest(str(value), map(str, get_args(kind)))}")
        return value
    if get_origin(kind) is tuple:
        items = value if isinstance(value, list) else [value]
        return tuple(_convert(item, str, origin) for item in items)
    if get_origin(kind) is typing.get_origin(Mapping[str, str]):
        return _named(value, origin)
    if kind is float and isinstance(value, str):
        value = _number(value, origin)  # YAML 1.1 reads 1e-4 as text
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RecipeError(f"{origin}: expected {kind.__name__}, found {value!r}")
    return value


def _number(text: str, origin: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RecipeError(f"{origin}: expected a number, found {text!r}") from None


def _named(value: Any, origin: str) -> Mapping[str, str]:
    """Return names and values as text: a mapping as it is, a list of models named by their last words."""
    if isinstance(value, list):
        value = {str(spec).split(":", 1)[-1].rsplit("/", 1)[-1]: spec for spec in value}
    if not isinstance(value, dict):
        raise RecipeError(f"{origin}: expected a list of models, or names and models, found {value!r}")
    return types.MappingProxyType({str(k): str(v) for k, v in value.items()})


_POSITIVE = (
    *("batch", "rank", "alpha", "caption_tokens", "answer_tokens", "ballot_tokens", "max_tokens", "resamples"),
    "micro_tokens",
    *("verifier_rank", "verifier_alpha", "verifier_learning_rate", "verifier_batch", "verifier_epochs"),
    *("verifier_max_tokens", "assessor_epochs", "processes", "http_concurrency", "fetch_at_once", "fetch_per_host"),
)
_NOT_NEGATIVE = {
    **dict.fromkeys(("samples_train", "samples_val", "samples_test", "samples_ood"), "all; of a generated shop none"),
    **dict.fromkeys(("budget_requests", "budget_tokens", "budget_money"), "no limit"),
    "copies": "as many as fit the machine",
}
_SHARES = ("audit", "warmup", "dropout", "verifier_warmup", "verifier_dropout")


def _check(recipe: Recipe, origin: str) -> Recipe:
    for key in _POSITIVE:
        value = getattr(recipe, key)
        if value is not None and value <= 0:
            raise RecipeError(f"{origin}: {key} must be positive, found {value}")
    for key in _SHARES:
        value = getattr(recipe, key)
        if value is not None and not 0 <= value <= 1:
            raise RecipeError(f"{origin}: {key} is a share between 0 and 1, found {value}")
    for key, zero in _NOT_NEGATIVE.items():
        if not 0 <= getattr(recipe, key) < float("inf"):
            raise RecipeError(f"{origin}: {key} must be 0 ({zero}) or positive, found {getattr(recipe, key)}")
    if recipe.effort <= 0 or recipe.caption_folds < 0 or recipe.caption_folds == 1:
        raise RecipeError(f"{origin}: effort must be positive, caption_folds 0 or at least 2")
    _check_permitted(recipe, origin)
    if recipe.caption_files and recipe.captioner != GIVEN:
        raise RecipeError(f"{origin}: caption_files are read by captioner: {GIVEN}; set it, or leave caption_files out")
    if recipe.also_rank and recipe.answering == "rank":
        raise RecipeError(f"{origin}: also_rank ranks beside written answers; set answering: generate, or leave it out")
    if recipe.pack and (recipe.freeze or recipe.fetching != "auto"):
        raise RecipeError(f"{origin}: pack takes all pictures from {recipe.pack!r}; leave freeze and fetching out")
    _check_shards(recipe, origin)
    _check_policies(recipe, origin)
    return recipe


def _check_shards(recipe: Recipe, origin: str) -> None:
    if recipe.shard and recipe.processes == 1 and not recipe.accelerate:
        raise RecipeError(f"{origin}: shard needs several processes to cut a base over; set processes, or accelerate")
    if recipe.shard and recipe.quantized:
        raise RecipeError(f"{origin}: shard cuts a base in full precision; leave quantized or shard out")


def _check_policies(recipe: Recipe, origin: str) -> None:
    """Refuse a policy that does not exist, by its own name; then one that is tuned on and never asked."""
    for key, names in (("policies", recipe.policies), ("tune_on", recipe.tune_on)):
        for name in names:
            try:
                parse_policy(name, recipe.judges)
            except RecipeError as error:
                raise RecipeError(f"{origin}: {key}: {error}") from None
    unasked = [p for p in recipe.tune_on if p not in recipe.policies]
    if unasked:
        raise RecipeError(
            f"{origin}: tune_on names {unasked[0]!r}, which is not among policies; add it there, or drop it"
        )
    _check_assessor(recipe, origin)


def _check_assessor(recipe: Recipe, origin: str) -> None:
    """Refuse readers tuned on what a tuned assessor measured: of samples that taught it, as they teach the readers."""
    taught = [name for name in recipe.tune_on if name.endswith("oracle/measured")]
    if taught and recipe.assessor_tuned and recipe.readers != "zero-shot":
        raise RecipeError(
            f"{origin}: tune_on names {taught[0]!r}, but the assessor is tuned on the samples that readers learn from "
            "(assessor_tuned) and would measure what it was taught; drop it from tune_on, or set assessor_tuned: false"
        )


def _check_permitted(recipe: Recipe, origin: str) -> None:
    """Refuse a permission for a model that the recipe does not name, lest a slip permits what nobody meant."""
    for spec in recipe.remote_code:
        if spec not in recipe.models or not spec.startswith("hf:"):
            near = nearest(spec, [model for model in recipe.models if model.startswith("hf:")] or ["none"])
            raise RecipeError(f"{origin}: remote_code: {spec!r} is no hf: model of this recipe; {near}")
