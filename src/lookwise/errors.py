"""What can go wrong, as a user sees it.

LookwiseError            exit 1: a one-line message that names the value, what was expected, and the cure
├── UsageError           exit 2: the command line itself is wrong
├── RecipeError          a recipe's key or value
├── DataError            a file, table or picture that cannot be used at all (one bad row is a row with a reason)
├── ModelError           a model that cannot be opened, or cannot do what is asked of it
│   └── ModelMemoryError a batch that did not fit in memory; the loop halves it and tries again
├── RunError             a run folder: locked by another process, made by another recipe, not finished
└── BudgetError          exit 130: a run has spent what it may on servers; it goes on with a larger budget
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BudgetError",
    "DataError",
    "LookwiseError",
    "ModelError",
    "ModelMemoryError",
    "RecipeError",
    "RunError",
    "UsageError",
    "nearest",
]


class LookwiseError(Exception):
    """A fault that the user can mend; printed without a traceback."""

    exit_code = 1


class UsageError(LookwiseError):
    """The command line is wrong."""

    exit_code = 2


class RecipeError(LookwiseError):
    """A recipe names an unknown key or a value out of range."""


class DataError(LookwiseError):
    """A file or table cannot be used."""


class ModelError(LookwiseError):
    """A model cannot be opened or cannot do what is asked."""


class ModelMemoryError(ModelError):
    """A batch did not fit in memory; raised by models, handled by the loop, never seen by a user."""


class RunError(LookwiseError):
    """A run folder cannot be used."""


class BudgetError(LookwiseError):
    """A run has spent its budget; like an interrupted one it can be resumed."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error sentence: the nearest known name, or all of them when none is near."""
    options = sorted(set(known))
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(options)
