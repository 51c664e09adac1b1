"""One training set from several tasks: a generalist's mixture, the same for the same seed.

In: examples per task, a cap per task, a seed.  Out: one list in mixed order.  A task over its cap gives a random part
of its examples, drawn for that task alone, so that adding a task changes no other task's part.  Nothing is repeated.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from lookwise.errors import RecipeError
from lookwise.training.examples import Example

__all__ = ["mix"]


def mix(tasks: Mapping[str, Sequence[Example]], cap: int | None = None, seed: int = 0) -> list[Example]:
    """Return the tasks' examples, at most `cap` of each, shuffled together; empty tasks are an error by name."""
    if cap is not None and cap < 1:
        raise RecipeError(f"mixture: cap is {cap}; give a number above 0, or leave it out to take everything")
    empty = [name for name, examples in tasks.items() if not examples]
    if empty:
        raise RecipeError(f"mixture: task {empty[0]!r} has no training examples; leave it out or give it some")
    chosen = [e for name in sorted(tasks) for e in _part(name, tasks[name], cap, seed)]
    random.Random(f"{seed}/order").shuffle(chosen)
    return chosen


def _part(name: str, examples: Sequence[Example], cap: int | None, seed: int) -> list[Example]:
    if cap is None or len(examples) <= cap:
        return list(examples)
    places = sorted(random.Random(f"{seed}/{name}").sample(range(len(examples)), cap))
    return [examples[i] for i in places]
