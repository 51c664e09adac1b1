"""What benches (a) and (b) share: random Llama judges, captions to judge, and the books of one side of a comparison.

In: sizes and seeds.  Out: saved checkpoints, samples with captions, measured seconds.  Nothing here is timed but what
`Clock` is put round.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lookwise.bazaar.words import lexicon
from lookwise.benchmarks.catalog import find_task
from lookwise.rows import Caption, caption_id
from lookwise.sample import Sample

TASK = find_task("product_substitute_identification")
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|> {{ m.content }} <|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIALS = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|unk|>"]
WORDS = sorted(lexicon())


@dataclass(frozen=True)
class Shape:
    """A random Llama's size."""

    name: str
    width: int
    layers: int
    heads: int
    inner: int


SMALL = Shape("0.35 M", 96, 3, 3, 192)
MEDIUM = Shape("1.2 M", 160, 4, 5, 320)
LARGE = Shape("10 layers x 512", 512, 10, 8, 1376)


@dataclass
class Clock:
    """Wall and processor seconds of each repetition of one side."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @contextmanager
    def on(self) -> Iterator[None]:
        """Time one repetition."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.processor.append(time.process_time() - processor)

    def median(self, processor: bool = False) -> float:
        """Return the median repetition."""
        return statistics.median(self.processor if processor else self.wall)


def captions(count: int, words: tuple[int, int], repeats: float, seed: int) -> tuple[list[Sample], list[Caption]]:
    """Return samples with one caption each of so many words; a share of them repeats another's text and fields."""
    rng = random.Random(seed)
    samples: list[Sample] = []
    rows: list[Caption] = []
    for i in range(count):
        if rows and rng.random() < repeats:
            like = rng.randrange(len(rows))
            fields, text = samples[like].fields, rows[like].text
        else:
            title = " ".join(rng.choices(WORDS, k=rng.randint(6, 14)))
            fields = (("query", " ".join(rng.choices(WORDS, k=rng.randint(2, 5)))), ("product title", title))
            text = " ".join(rng.choices(WORDS, k=rng.randint(*words)))
        name = f"bench-{i}"
        samples.append(Sample(name, "mmecinstruct", TASK.name, "test", fields))
        rows.append(Caption(name, caption_id(name, "product", 0), "product", 0, text, "bench"))
    return samples, rows


def save_judge(folder: Path, shape: Shape, seed: int, prompts: Sequence[str]) -> Path:
    """Save a random judge; over these prompts it says yes about as often as no."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = word_tokenizer(prompts)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=shape.width, intermediate_size=shape.inner,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.heads,
        max_position_embeddings=1024, tie_word_embeddings=False, initializer_range=0.1,
        pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    _balance(model, tokenizer, prompts[:200])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def parameters(folder: Path) -> int:
    """Return how many numbers a checkpoint holds."""
    from safetensors import safe_open

    with safe_open(str(folder / "model.safetensors"), "np") as file:
        return sum(file.get_tensor(key).size for key in file.keys())  # noqa: SIM118 - no mapping


def word_tokenizer(prompts: Sequence[str], template: str = TEMPLATE) -> Any:
    """Return a lower-casing WordPiece tokenizer of whole words, as the bundled models have it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = [chr(c) for c in range(33, 127)]
    seen = {w for text in prompts for w in text.lower().replace(".", " ").replace(",", " ").split() if w.isalpha()}
    words = [*SPECIALS, *letters, *(f"##{c}" for c in letters), *sorted({*seen, *WORDS, "yes", "no"} - set(letters))]
    inner = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="<|unk|>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(prefix="##")
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|end|>", unk_token="<|unk|>",
        additional_special_tokens=SPECIALS[2:5], clean_up_tokenization_spaces=False,
    )  # fmt: skip
    made.chat_template = template
    return made


def _balance(model: Any, tokenizer: Any, prompts: Sequence[str]) -> None:
    """Move the head's row for "yes" until half of the prompts prefer it."""
    import torch

    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    ends = []
    with torch.inference_mode():
        for prompt in prompts:
            talk = [{"role": "user", "content": prompt}]
            inputs = tokenizer.apply_chat_template(
                talk, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            ends.append(model.model(inputs.input_ids).last_hidden_state[0, -1])
        hidden = torch.stack(ends)
        mean = hidden.mean(0)
        head = model.lm_head.weight
        head[yes] -= mean * ((head[yes] - head[no]) @ mean) / (mean @ mean)
        left = (hidden @ (head[yes] - head[no])).median()
        head[yes] -= mean * left / (mean @ mean)
