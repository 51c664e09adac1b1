"""What a run may spend on models behind servers, and what it has spent so far.

In: a recipe, and the marks of what its earlier processes sent.  Out: a `Budget` that the run's models share, or a
refusal before anything loads.  Models in this process cost nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping

from lookwise.errors import RecipeError
from lookwise.models.http.budget import Budget, Spent
from lookwise.models.http.spec import Endpoint, parse
from lookwise.models.open import is_remote
from lookwise.recipe import Recipe
from lookwise.runs.replies import ReplyStore

__all__ = ["check_remote", "opened_budget"]


def check_remote(recipe: Recipe) -> None:
    """Refuse a reader on a server that would have to be tuned, and a budget of money without a price."""
    if is_remote(recipe.reader) and recipe.readers != "zero-shot" and recipe.tune_on:
        raise RecipeError(f"reader {recipe.reader!r} is on a server, where it cannot be tuned; set readers: zero-shot")
    for endpoint in _endpoints(recipe).values():
        if recipe.budget_money and endpoint.price_in is None:
            raise RecipeError(
                f"budget_money: what {endpoint.model!r} on {endpoint.base} costs is not known; add its price per "
                "million tokens to the address, ?price=IN/OUT"
            )


def opened_budget(recipe: Recipe, replies: ReplyStore, run: str) -> Budget:
    """Return the recipe's budget, less what the run's stored replies came to."""
    spent = Spent()
    endpoints = _endpoints(recipe)
    for name, (requests, tokens_in, tokens_out) in replies.spent(run).items():
        if name in endpoints:
            spent += Spent(requests, tokens_in + tokens_out, endpoints[name].cost(tokens_in, tokens_out))
    return Budget(recipe.budget_requests, recipe.budget_tokens, recipe.budget_money, spent)


def _endpoints(recipe: Recipe) -> Mapping[str, Endpoint]:
    """Return the run's models on servers, by the names under which stages ask them."""
    weighing = {"assessor": recipe.assessor or recipe.reader, "verifier": recipe.verifier or recipe.reader}
    specs = {"captioner": recipe.captioner, **recipe.judges, "reader": recipe.reader, **weighing}
    return {name: parse(spec) for name, spec in specs.items() if is_remote(spec)}
