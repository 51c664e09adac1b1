"""Bench (b): how near a judge's pass comes to the rate of matrix multiplication.

    OMP_NUM_THREADS=1 python bench/passes.py [--prompts 120] [--rounds 5]

A random Llama of 10 layers and width 512 in float32 ranks "yes" and "no" for prompts of mixed lengths.  Timed is what
the loop does of a batch: template, tokens, planning, packing, the pass, reading of scores.  Counted are the
multiplications that useful tokens need (no padding, and of the last layer and the head only what is computed); each
counts two operations.  The rate of matrix multiplication is that of 1024 x 1024 float32 matrices in the same process,
interleaved with the passes.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

THREADS = int(os.environ.setdefault("OMP_NUM_THREADS", "1"))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from checkpoints import LARGE, WORDS, Clock, Shape, parameters, save_judge  # noqa: E402

from lookwise.inference.plan import plan  # noqa: E402
from lookwise.message import user  # noqa: E402
from lookwise.model import Model, Rank, Request  # noqa: E402
from lookwise.models.open import open_model  # noqa: E402

TARGET = 0.70
SIDE = 1024


def operations(shape: Shape, vocabulary: int, lengths: Sequence[int]) -> float:
    """Return the operations that prompts of these lengths need, each multiplication counting two.

    In the last layer only keys and values are computed for every token, the rest for each prompt's last token.
    """
    projection, gated = shape.width**2, 3 * shape.width * shape.inner
    whole = 4 * projection + gated
    tokens = sum(lengths)
    weights = tokens * ((shape.layers - 1) * whole + 2 * projection) + len(lengths) * (2 * projection + gated)
    pairs = sum((shape.layers - 1) * n * (n + 1) // 2 + n for n in lengths)
    return 2.0 * (weights + 2 * shape.width * pairs + len(lengths) * shape.width * vocabulary)


def judge_pass(model: Model, requests: Sequence[Request]) -> int:
    """Rank every request, batched as the loop does it; return the prompts' tokens."""
    lengths = [model.length(request) for request in requests]
    tokens = 0
    for batch in plan(lengths, model.batch_tokens):
        tokens += sum(reply.tokens_in for reply in model.answer([requests[i] for i in batch]))
    return tokens


def main() -> None:
    """Print the rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(THREADS)
    rng = random.Random(0)
    texts = [
        [" ".join(rng.choices(WORDS, k=rng.randint(40, 400))) for _ in range(args.prompts)]
        for _ in range(args.rounds + 1)
    ]  # other texts each round: nothing is remembered
    square = torch.randn(SIDE, SIDE)
    passes, products = Clock(), Clock()
    with tempfile.TemporaryDirectory() as work:
        folder = save_judge(Path(work) / "judge", LARGE, 0, texts[0][:8])
        size = parameters(folder)
        model = open_model(f"hf:{folder}")
        rates: list[tuple[float, float]] = []
        for number, some in enumerate(texts):
            requests = [Request((user(text),), Rank(("yes", "no"))) for text in some]
            with products.on():
                for _ in range(20):
                    square @ square
            with passes.on():
                judge_pass(model, requests)
            work_done = operations(LARGE, model_vocabulary(folder), [model.length(r) for r in requests])
            if number:  # the first round warms up
                rates.append((work_done / passes.wall[-1], work_done / passes.processor[-1]))
    report(rates, products, size, args)


def model_vocabulary(folder: Path) -> int:
    """Return the rows of a checkpoint's head."""
    import json

    return int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"])


def report(rates: Sequence[tuple[float, float]], products: Clock, size: int, args: argparse.Namespace) -> None:
    """Print medians over the rounds."""
    import statistics

    one = 20 * 2.0 * SIDE**3
    print(f"{THREADS} thread(s), {size:,} parameters, {args.prompts} prompts a round, {args.rounds} rounds, medians")
    for name, at, clock in (("wall", 0, products.wall), ("cpu", 1, products.processor)):
        rate = statistics.median(r[at] for r in rates)
        peak = statistics.median(one / seconds for seconds in clock[1:])
        print(f"{name:<5} pass {rate / 1e9:6.1f} GFLOP/s, product {peak / 1e9:6.1f} GFLOP/s: {rate / peak:.0%}")
    print(f"target {TARGET:.0%}")


if __name__ == "__main__":
    main()
