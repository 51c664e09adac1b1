"""Which seeds may be used for what, so that no bundled model is ever trained on what it is measured on.

In: a small number.  Out: a seed in the range of its use.  Shop datasets (bazaar/build.py) take seeds below `TRAINING`,
bundled training those of `TRAINING`, cards' evaluation those from `EVALUATION` on; a test fails if the ranges meet.
"""

from __future__ import annotations

__all__ = ["DATASETS", "EVALUATION", "TRAINING", "evaluation_seed", "training_seed"]

DATASETS = range(0, 1_000_000)
TRAINING = range(1_000_000, 2_000_000)
EVALUATION = range(2_000_000, 3_000_000)


def _in(seeds: range, number: int) -> int:
    if not 0 <= number < len(seeds):
        raise ValueError(f"seed number {number} is outside 0..{len(seeds) - 1}")
    return seeds[number]


def training_seed(number: int) -> int:
    """Return the number-th seed for training a bundled model."""
    return _in(TRAINING, number)


def evaluation_seed(number: int) -> int:
    """Return the number-th seed for measuring a bundled model."""
    return _in(EVALUATION, number)
