"""Bench (g): the rates of models of real size on one accelerator, with random weights.

    python bench/real_size.py [--only captioner judge reader-7b reader-13b] [--small] [--device cuda]

captioner   11 billion parameters, shaped as Llama-3.2-11B-Vision: captions of 64 tokens a second
judge       7 billion, shaped as Mistral-7B: ballots a second on prompts of about 150 tokens, ranked in one pass
reader-7b   the same, reader-13b shaped as Llama-2-13B: tuned tokens a second (LoRA, rank 16, with the head)

Weights are random, made on the device and saved, so that opening a checkpoint is on no clock; tokenizer, template and
processor are the small ones of the conformance suite (tests/families.py).  Of judge and readers the share of the
device's rate of matrix multiplication is told, measured in the same process: two operations a parameter and token for a
pass, four for a LoRA step (forward, and backward through what is frozen).  Memory is the most that the device held.
`--small` takes the same path with a few thousand parameters, to show that everything fits: its rates say nothing.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import families
import torch
from PIL import Image

from lookwise.inference.plan import plan
from lookwise.message import Media, user
from lookwise.model import Generate, Model, Rank, Reply, Request
from lookwise.models.open import ModelOptions, open_model
from lookwise.training.examples import Example
from lookwise.training.tune import TuneSettings, tune

WORDS = "red kettle sturdy handle made of steel holds two litres and whistles when the water boils "
"""About 45 tokens of the small tokenizer, which has hardly more than letters."""


@dataclass(frozen=True)
class Shape:
    """A family of the conformance suite, and the numbers of its configuration at real size."""

    family: str
    text: dict[str, Any]
    vision: dict[str, Any]


SHAPES = {
    "captioner": Shape(
        "Llama 3.2 Vision",
        {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 40, "num_attention_heads": 32,
         "num_key_value_heads": 8, "vocab_size": 128256, "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38],
         "max_position_embeddings": 8192},
        {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_global_layers": 8,
         "attention_heads": 16, "image_size": 560, "patch_size": 14, "vision_output_dim": 7680,
         "intermediate_layers_indices": [3, 7, 15, 23, 30]},
    ),
    "judge": Shape(
        "Mistral",
        {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
         "num_key_value_heads": 8, "vocab_size": 32768, "max_position_embeddings": 8192, "head_dim": 128},
        {},
    ),
    "reader-13b": Shape(
        "Llama 2",
        {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40,
         "num_key_value_heads": 40, "vocab_size": 32000, "max_position_embeddings": 4096, "head_dim": 128},
        {},
    ),
}  # fmt: skip
SHAPES["reader-7b"] = SHAPES["judge"]


@dataclass(frozen=True)
class Size:
    """How much is asked: pictures, prompts, rows to tune on; `small` keeps the suite's own configuration."""

    pictures: int = 64
    prompts: int = 1000
    rows: int = 256
    tokens: int = 64
    small: bool = False


def configured(name: str, folder: Path) -> tuple[families.Family, Any]:
    """Return the family, saved small in the folder, and its configuration at real size."""
    from transformers import AutoConfig

    shape = SHAPES[name]
    family = next(f for f in families.FAMILIES if f.name == shape.family)
    families.save(family, folder)
    config: Any = AutoConfig.from_pretrained(folder)
    for key, value in shape.text.items():
        setattr(config.get_text_config(), key, value)
    for key, value in shape.vision.items():
        setattr(config.vision_config, key, value)
    return family, config


def save(name: str, folder: Path, device: str, small: bool) -> Path:
    """Save a random checkpoint of a real size, with the small tokenizer and template."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    family, config = configured(name, folder)
    if small:
        return folder
    kind: Any = AutoModelForImageTextToText if family.images else AutoModelForCausalLM
    with torch.device(device):
        model = kind.from_config(config, dtype=torch.bfloat16)
    for old in folder.glob("*.safetensors"):
        old.unlink()
    model.save_pretrained(folder)
    if family.images is not None:
        processor = family.images()
        side = SHAPES[name].vision["image_size"]
        processor.size = {"height": side, "width": side}
        processor.save_pretrained(folder)
    del model
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return folder


def product_rate(device: str) -> float:
    """Return the operations a second of matrix multiplication, two for each product."""
    side, kind = (8192, torch.bfloat16) if device == "cuda" else (512, torch.float32)
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        begun = _now(device)
        for _ in range(4):
            torch.mm(a, b)
        best = min(best, (_now(device) - begun) / 4)
    return 2 * side**3 / best


def captioner(folder: Path, size: Size, device: str) -> str:
    """Caption so many pictures of different sizes."""
    pictures = []
    for i in range(size.pictures):
        path = folder.parent / f"{i}.png"
        shade = Image.linear_gradient("L").rotate(37 * i).resize((300 + 7 * (i % 40), 500 - 5 * (i % 30)))
        Image.merge("RGB", (shade, shade.rotate(90).resize(shade.size), Image.new("L", shade.size, i % 256))).save(path)
        pictures.append(Media(str(path), digest=f"{i:064x}"))
    talks = [Request((user(photo, f"{WORDS}what is it?"),), Generate(size.tokens)) for photo in pictures]
    seconds, replies = _timed(folder, talks, device)
    written = sum(reply.tokens_out for reply in replies)
    return f"{len(replies) / seconds:.2f} captions/s, {written / seconds:.0f} tokens/s written; {_memory(device)}"


def judge(folder: Path, size: Size, device: str) -> str:
    """Rank yes and no on so many prompts."""
    talks = [
        Request((user(f"caption {i}: {WORDS * 3}does it help?"),), Rank(("yes", "no"))) for i in range(size.prompts)
    ]
    with torch.inference_mode():
        seconds, replies = _timed(folder, talks, device)
    tokens = sum(reply.tokens_in for reply in replies)
    share = 2 * _parameters(folder) * tokens / seconds / product_rate(device)
    rates = f"{len(replies) / seconds:.1f} ballots/s, {tokens / seconds:.0f} tokens/s"
    return f"{rates} of prompts of {tokens / len(replies):.0f}, {share:.0%} of the product rate; {_memory(device)}"


def reader(folder: Path, size: Size, device: str) -> str:
    """Tune an adapter for one epoch, in batches of 16."""
    rows = [Example((user(f"review {i}: {WORDS * 4}how does it feel?"),), "yes" if i % 3 else "no", "t", ("yes", "no"))
            for i in range(size.rows)]  # fmt: skip
    settings = TuneSettings(batch=16, epochs=1, device=device, save_seconds=1e6, save_every=10**6)
    out = tune(f"hf:{folder}", rows, [], folder.parent / "adapter", replace(settings, gradient_checkpointing=True))
    card = _read(out / "card.json")
    rate = card["tokens"]["total"] / card["seconds"]
    share = 4 * _parameters(folder) * rate / product_rate(device)
    held = f"at most {card['peak_bytes'] / 1e9:.1f} GB"
    return f"{rate:.0f} tuned tokens/s with gradient checkpointing, {share:.0%} of the product rate; {held}"


JOBS: dict[str, Callable[[Path, Size, str], str]] = {
    "captioner": captioner, "judge": judge, "reader-7b": reader, "reader-13b": reader,
}  # fmt: skip


def _timed(folder: Path, requests: Sequence[Request], device: str) -> tuple[float, list[Reply]]:
    """Return the seconds of all requests, batched as the loop does it, after a few to warm up; and the replies."""
    model: Model = open_model(f"hf:{folder}", ModelOptions(device=device))
    model.answer(list(requests[:4]))
    begun = _now(device)
    replies: list[Reply] = []
    for batch in plan([model.length(request) for request in requests], model.batch_tokens):
        replies += model.answer([requests[i] for i in batch])
    seconds = _now(device) - begun
    model.close()
    failed = [reply.failure for reply in replies if reply.failure]
    if failed:
        raise SystemExit(f"{len(failed)} requests failed: {failed[0]}")
    return seconds, replies


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _memory(device: str) -> str:
    held = torch.cuda.max_memory_allocated() if device == "cuda" else 1024 * resource.getrusage(0).ru_maxrss
    return f"at most {held / 1e9:.1f} GB"


def _parameters(folder: Path) -> int:
    from lookwise.models.need import need_of
    from lookwise.models.place import Place

    return need_of(Place(str(folder), folder), 2).parameters


def _read(path: Path) -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cuda", "cpu"))
    args = parser.parse_args()
    size = Size(pictures=4, prompts=8, rows=16, tokens=4, small=True) if args.small else Size()
    if args.device == "cpu" and not args.small:
        parser.error("models of real size want an accelerator; --small shows that everything fits")
    name = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    print(f"{name}: {product_rate(args.device) / 1e12:.3f} TFLOP/s of matrix multiplication")
    for job in args.only:
        with tempfile.TemporaryDirectory() as work:
            folder = save(job, Path(work) / "model", args.device, size.small)
            print(f"{job:<10} {_parameters(folder):,} parameters: {JOBS[job](folder, size, args.device)}", flush=True)


if __name__ == "__main__":
    main()
