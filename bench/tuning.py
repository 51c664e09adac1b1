"""Bench (c): one LoRA epoch in the tuning room against plain Trainer + PEFT on the same rows.

    python bench/tuning.py [--rows 64] [--rounds 2] [--batch 16]

A random Llama (10 layers, width 512, float32, 32,000 pieces, head tied as small models have it) is tuned for one epoch
on prompts of the generated shop, LoRA r = alpha = 16 on all projections and the head.  Three sides, each in a process
of its own, interleaved, every round anew:

    plain      transformers.Trainer and PEFT as they are: random batches padded to their longest row, full logits
    identical  the tuning room on the very batches of `plain`, in their order
    ours       the tuning room with its own length-grouped batches

Printed: seconds of train() (wall, and of the processor, which a busy machine disturbs less), useful tokens a second,
the highest memory above that before training, the mean loss over the epoch's steps, and the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SIDES = ("plain", "identical", "ours")
WIDTH, LAYERS, HEADS, PIECES = 512, 10, 8, 32_000


def shop_rows(rows: int) -> tuple[list[Any], Any]:
    """Return the shop's training samples as examples (all tasks mixed) and a tokenizer made from them."""
    from lookwise.bazaar.samples import make_split
    from lookwise.message import user
    from lookwise.training.examples import Example
    from lookwise.training.scratch import build_tokenizer

    made = [m.sample for m in make_split(5, "train", -(-rows // 7))]
    made.sort(key=lambda s: s.id[::-1])  # the tasks mixed, in an order that depends on nothing else
    examples = []
    for sample in made[:rows]:
        lines = [f"{name}: {sample.text(name)}" for name, _ in sample.fields] + list(sample.options)
        examples.append(Example((user("\n".join(lines)),), sample.target or "", sample.task))
    texts = [e.conversation[0].text + " " + e.answer for e in examples]
    return examples, build_tokenizer(texts)


def new_model(tokenizer: Any) -> Any:
    """Return the random base, the same in every process."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=PIECES, hidden_size=WIDTH, intermediate_size=1376, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, max_position_embeddings=2048, tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def settings_of(batch: int, grouped: bool) -> Any:
    """Return the recipe that all sides follow."""
    from lookwise.training.settings import TuneSettings

    return TuneSettings(
        batch=batch, epochs=1, device="cpu", dtype="float32", group_by_length=grouped, learning_rate=1e-3
    )


def run_plain(model: Any, rows: Sequence[Any], batch: int, pad: int, work: Path) -> tuple[Any, list[float]]:
    """Return plain Trainer + PEFT on the rows in the order of the identical side."""
    import torch
    from transformers import Trainer, TrainingArguments

    from lookwise.training.collate import EpochOrder

    order = [i for b in EpochOrder([len(r.ids) for r in rows], batch, 0, grouped=False) for i in b]

    def pad_rows(features: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        longest = max(len(f["input_ids"]) for f in features)
        fill = {"input_ids": pad, "attention_mask": 0, "labels": -100}
        return {k: torch.tensor([f[k] + [v] * (longest - len(f[k])) for f in features]) for k, v in fill.items()}

    data = [
        {
            "input_ids": list(rows[i].ids),
            "attention_mask": [1] * len(rows[i].ids),
            "labels": [-100] * rows[i].start + list(rows[i].ids[rows[i].start :]),
        }
        for i in order
    ]
    arguments = TrainingArguments(
        output_dir=str(work), per_device_train_batch_size=batch, num_train_epochs=1, learning_rate=1e-3,
        lr_scheduler_type="cosine", warmup_steps=0.05, report_to="none", save_strategy="no", use_cpu=True, bf16=False,
        train_sampling_strategy="sequential", disable_tqdm=True, logging_strategy="no", seed=0,
        dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=data, data_collator=pad_rows)
    losses: list[float] = []
    return lambda: losses.append(trainer.train().training_loss), losses


def run_ours(
    model: Any, rows: Sequence[Any], batch: int, pad: int, work: Path, grouped: bool
) -> tuple[Any, list[float]]:
    """Return the tuning room's trainer on the same rows."""
    from lookwise.training.fast import fewer_passes
    from lookwise.training.trainer import AnswerTrainer

    losses: list[float] = []
    watch = lambda progress: losses.append(progress.loss)  # noqa: E731
    trainer = AnswerTrainer(model, list(rows), None, settings_of(batch, grouped), work, pad, None, watch)

    def go() -> None:
        with fewer_passes(model):
            trainer.train()

    return go, losses


def measure(side: str, count: int, batch: int) -> dict[str, float]:
    """Run one side in this process and return what was measured."""
    import torch

    from lookwise.training.collate import collate
    from lookwise.training.examples import Encoder
    from lookwise.training.heads import answer_loss
    from lookwise.training.lora import adapt
    from lookwise.training.trainer import quiet

    examples, tokenizer = shop_rows(count)
    rows = Encoder(tokenizer, "bench").encode(examples)
    with tempfile.TemporaryDirectory() as folder, quiet():
        model, _, _ = adapt(new_model(tokenizer), settings_of(batch, False), "bench")
        pad = int(tokenizer.pad_token_id)
        answer_loss(model, collate(rows[:1], pad, torch.device("cpu"), {})).backward()  # warm up on one row
        model.zero_grad()
        if side == "plain":
            go, losses = run_plain(model, rows, batch, pad, Path(folder))
        else:
            go, losses = run_ours(model, rows, batch, pad, Path(folder), grouped=side == "ours")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wall, cpu = time.perf_counter(), time.process_time()
        go()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    tokens = sum(len(r.ids) for r in rows)
    lengths = sorted(len(r.ids) for r in rows)
    return {
        "wall": wall, "cpu": cpu, "mib": peak / 1024, "loss": statistics.fmean(losses), "tokens": tokens,
        "shortest": lengths[0], "median": lengths[len(lengths) // 2], "longest": lengths[-1],
        "threads": torch.get_num_threads(),
    }  # fmt: skip


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Return the printed table: medians over the rounds, then ratios."""
    first = found["plain"][0]
    lines = [
        f"{first['tokens']:.0f} useful tokens, rows of {first['shortest']:.0f} to {first['longest']:.0f} "
        f"(median {first['median']:.0f}); {first['threads']:.0f} thread(s); {len(found['plain'])} round(s)",
        f"{'side':<10} {'wall s':>8} {'cpu s':>8} {'tokens/s':>9} {'MiB':>7} {'loss':>9}",
    ]
    middle = {s: {k: statistics.median(r[k] for r in runs) for k in first} for s, runs in found.items()}
    for side, m in middle.items():
        rate = m["tokens"] / m["wall"]
        lines.append(f"{side:<10} {m['wall']:8.1f} {m['cpu']:8.1f} {rate:9.0f} {m['mib']:7.0f} {m['loss']:9.5f}")
    for side in SIDES[1:]:
        wall = statistics.median(p["wall"] / r["wall"] for p, r in zip(found["plain"], found[side], strict=True))
        cpu = statistics.median(p["cpu"] / r["cpu"] for p, r in zip(found["plain"], found[side], strict=True))
        less = middle["plain"]["mib"] / max(middle[side]["mib"], 1)
        lines.append(f"plain / {side}: {wall:.2f} times the time (cpu {cpu:.2f}), {less:.1f} times the memory")
    gap = abs(middle["plain"]["loss"] - middle["identical"]["loss"])
    lines.append(f"loss on identical batches differs by {gap:.1e}")
    return "\n".join(lines)


def main() -> None:
    """Run the rounds, or one side when called by itself."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(measure(args.side, args.rows, args.batch)))
        return
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(args.rounds):
        for side in SIDES:
            command = [sys.executable, __file__, "--rows", str(args.rows), "--batch", str(args.batch), "--side", side]
            environment = {"OMP_NUM_THREADS": "1", **os.environ}
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            found[side].append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(side, found[side][-1], file=sys.stderr)
    print(table(found))


if __name__ == "__main__":
    main()
