"""Train one bundled model: `python -m lookwise.training.bundled NAME --out DIR [--quick] [--seed N]`.

In: a name of the table, a folder, a seed.  Out: a checkpoint and its card in the folder.  Each model is imported only
when asked for.  The number of threads is fixed, one unless told otherwise: sums in another order give other weights.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["TRAINERS", "main"]

TRAINERS = {
    "captioner": ("lookwise.training.bundled.captioner", "train_captioner"),
    "looker": ("lookwise.training.bundled.looker", "train_looker"),
    "reader-s": ("lookwise.training.bundled.readers", "train_reader_s"),
    "reader-m": ("lookwise.training.bundled.readers", "train_reader_m"),
    "reader-l": ("lookwise.training.bundled.readers", "train_reader_l"),
    "judges": ("lookwise.training.bundled.judges", "train_judges"),
    "judge-a": ("lookwise.training.bundled.judges", "train_judge_a"),
    "judge-b": ("lookwise.training.bundled.judges", "train_judge_b"),
    "judge-c": ("lookwise.training.bundled.judges", "train_judge_c"),
    "judge-d": ("lookwise.training.bundled.judges", "train_judge_d"),
    "judge-e": ("lookwise.training.bundled.judges", "train_judge_e"),
}
"""name -> (module, function).  The function takes (out, *, quick, seed, say)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the named model."""
    parser = argparse.ArgumentParser(prog="python -m lookwise.training.bundled", description="Train a bundled model.")
    parser.add_argument("name", choices=sorted(TRAINERS))
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--quick", action="store_true", help="a few steps only, to see that everything fits")
    parser.add_argument("--seed", type=int, default=0, help="small number; its training seed is 1,000,000 more")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch; another number gives other weights")
    chosen = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(chosen.threads)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    module, function = TRAINERS[chosen.name]
    train = getattr(importlib.import_module(module), function)
    train(chosen.out, quick=chosen.quick, seed=chosen.seed, say=logging.getLogger("lookwise.bundled").info)
    return 0


if __name__ == "__main__":
    sys.exit(main())
