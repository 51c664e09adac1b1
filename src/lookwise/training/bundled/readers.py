"""Pretrain the bundled readers S, M and L from scratch: Llama-class models that read the shop's language.

In: a size, a seed, a folder.  Out: a checkpoint there that plain transformers loads (bf16 safetensors, tokenizer, chat
template) and its card.  Training draws endless episodes (instructions.py) in the order of the seed: contexts with many
questions, among them repeated random words; then nothing but values to be found in the named one of several unlike
lines; then everything again, and single questions.  It knows no task and no picture; captions here are reference
captions in words.

What lets so small a model learn to match descriptions within minutes: many questions about one context, answers that
compare every attribute at once, two heads that are thrown away after (`Lessons`), and Muon.  What lets it keep lines
apart: the part of the training that asks for nothing else; docs/design/readers.md says what was tried without.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lookwise.bazaar.lexicon import FAMILIES
from lookwise.training.bundled.ahead import drawn_ahead
from lookwise.training.bundled.contexts import CROWDS
from lookwise.training.bundled.instructions import FINDING, draw_episode, draw_finds
from lookwise.training.bundled.muon import Muon
from lookwise.training.bundled.reader_card import measure, write_card
from lookwise.training.bundled.rows import IGNORED, Row, Rows, pad
from lookwise.training.bundled.seeds import evaluation_seed, training_seed
from lookwise.training.bundled.tokens import build_tokenizer, save_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

__all__ = [
    "MIDDLE",
    "SIZES",
    "Lessons",
    "Phase",
    "Size",
    "batches_of",
    "optimizers_of",
    "rate_at",
    "train_reader",
    "train_reader_l",
    "train_reader_m",
    "train_reader_s",
]

Say = Callable[[str], None]
_POOL = 8
"""Batches drawn at once and sorted by length, so that little is padded."""
MIDDLE = 2
"""The layer after which agreement is supervised: one layer to gather a line, one to look into it."""
_FIRST, _NAMED = 1, 0.3
"""The layer after which a word knows its line, and what that counts."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Part of the schedule: steps, fewest and most questions, shares of repeated words, of bare text, of finding."""

    steps: int
    questions: tuple[int, int]
    repeats: float
    told: float = 0.04
    finds: float = 0.1


@dataclass(frozen=True, slots=True)
class Size:
    """A reader's shape and schedule.

    `batch` is in sequences, `rate` the highest learning rate; `finding` the shares of instructions.FINDING,
    `crowds` that of contexts.CROWDS; without crowds no line's name is taught.
    """

    width: int
    layers: int
    heads: int
    inner: int
    batch: int
    rate: float
    phases: tuple[Phase, ...]
    finding: tuple[float, float] = FINDING
    crowds: float = CROWDS


_DENSE = (4, 7)
_SINGLE = (1, 2)
_FINDS = (6, 9)


def _phases(mixed: int, finding: int, again: int, single: int) -> tuple[Phase, ...]:
    """Return the schedule: everything; only finding, which is learned within it or never; everything again."""
    return (
        Phase(mixed, _DENSE, 0.08),
        Phase(finding, _DENSE, 0.0, told=0.0, finds=1.0),
        Phase(again, _DENSE, 0.04, finds=0.35),
        Phase(single, _SINGLE, 0.0),
    )


SIZES: dict[str, Size] = {
    "reader-s": Size(96, 3, 3, 224, 16, 3.5e-3, _phases(1900, 1000, 1900, 300)),
    "reader-m": Size(160, 4, 5, 384, 16, 3e-3, _phases(700, 700, 600, 150), (0.3, 0.25)),
    # 1,200 steps with the lessons in keeping lines apart were tried, too: they took half an hour and kept none apart
    "reader-l": Size(
        224, 5, 7, 576, 16, 2.5e-3,
        (Phase(900, _DENSE, 0.08, finds=0.0), Phase(200, _SINGLE, 0.0, finds=0.0)), crowds=0.0,
    ),
}  # fmt: skip


def train_reader_s(out: Path, *, quick: bool = False, seed: int = 0, say: Say | None = None) -> Path:
    """Train the smallest reader."""
    return train_reader("reader-s", out, quick=quick, seed=seed, say=say)


def train_reader_m(out: Path, *, quick: bool = False, seed: int = 0, say: Say | None = None) -> Path:
    """Train the middle reader."""
    return train_reader("reader-m", out, quick=quick, seed=seed, say=say)


def train_reader_l(out: Path, *, quick: bool = False, seed: int = 0, say: Say | None = None) -> Path:
    """Train the largest reader."""
    return train_reader("reader-l", out, quick=quick, seed=seed, say=say)


def train_reader(name: str, out: Path, *, quick: bool = False, seed: int = 0, say: Say | None = None) -> Path:
    """Train one reader and write its folder; `quick` takes a few steps only, to show that everything fits."""
    size = SIZES[name]
    if quick:
        size = replace(size, phases=tuple(replace(p, steps=2) for p in size.phases))
    started = time.monotonic()
    tokenizer = build_tokenizer()
    torch.manual_seed(training_seed(seed))
    model = _new_model(size, tokenizer)
    _run(model, tokenizer, size, training_seed(seed), say)
    seconds = round(time.monotonic() - started)
    out.mkdir(parents=True, exist_ok=True)
    halved: Any = model  # `to` is not typed
    halved.to(torch.bfloat16).save_pretrained(out)
    save_tokenizer(out)
    facts = {
        "name": name, "seed": training_seed(seed), "size": asdict(size), "seconds": seconds,
        "quick": quick, "threads": torch.get_num_threads(),
    }  # fmt: skip
    write_card(out, facts, episodes=64 if quick else 2048)
    return out


def batches_of(size: Size, seed: int) -> Iterator[list[Row]]:
    """Yield the batches of the whole schedule; they follow from the seed."""
    rng = random.Random(seed)
    rows = Rows(build_tokenizer())

    def draw(phase: Phase) -> Row:
        fate = rng.random()
        if fate < phase.repeats:
            return rows.repeated(rng)
        if fate < phase.repeats + phase.told:
            return rows.told(rng)
        if phase.finds and rng.random() < phase.finds:
            return rows.episode(draw_finds(rng, _FINDS, shares=size.finding))
        return rows.episode(draw_episode(rng, phase.questions, crowds=size.crowds))

    for phase in size.phases:
        for done in range(0, phase.steps, _POOL):
            pool = sorted((draw(phase) for _ in range(_POOL * size.batch)), key=lambda r: len(r.ids))
            order = list(range(_POOL))
            rng.shuffle(order)
            for i in order[: phase.steps - done]:
                yield pool[i * size.batch : (i + 1) * size.batch]


def _new_model(size: Size, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=size.width, intermediate_size=size.inner,
        num_hidden_layers=size.layers, num_attention_heads=size.heads, num_key_value_heads=size.heads,
        max_position_embeddings=1024, tie_word_embeddings=True, initializer_range=0.05,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    make: Any = LlamaForCausalLM  # its constructor is not typed
    model: LlamaForCausalLM = make(config)
    return model


class Lessons(nn.Module):
    """Deep supervision, thrown away after: told early, in which line does a word stand, and later, does it agree?

    A reader that must find out by itself that lines have names answers from whatever line there is.
    """

    def __init__(self, width: int, *, names: bool = True) -> None:
        super().__init__()
        self.names = names
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.agreement = nn.Linear(width, 3)
        self.name = nn.Linear(width, width, bias=False)

    def forward(self, hidden: Sequence[Tensor], vectors: Tensor, agrees: Tensor, names: Tensor) -> Tensor:
        """Return the sum of both mean losses in nats.

        hidden: of every layer [rows, tokens, width]; vectors: of the vocabulary; agrees, names [rows, tokens].
        """
        loss = vectors.new_zeros(())
        if (keep := agrees != IGNORED).any():
            loss = nn.functional.cross_entropy(self.agreement(self.norm(hidden[MIDDLE][keep])), agrees[keep])
        if self.names and (keep := names != IGNORED).any():
            said = self.name(self.norm(hidden[_FIRST][keep])) @ vectors.T
            loss = loss + _NAMED * nn.functional.cross_entropy(said, names[keep])
        return loss


def optimizers_of(model: nn.Module, side: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for the rest."""
    named = dict(model.named_parameters())
    matrices = [p for n, p in named.items() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in named.items() if p.ndim != 2 or "embed" in n]
    return [
        Muon(matrices, lr=rate),
        torch.optim.AdamW([*others, *side.parameters()], lr=rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def rate_at(step: int, total: int) -> float:
    """Return the share of the full rate: a short rise, flat, then a linear fall over the last third."""
    rise, fall = max(1, total // 40), max(1, total // 3)
    return min(1.0, (step + 1) / rise, max(0.02, (total - step) / fall))


def _losses(model: LlamaForCausalLM, side: Lessons, rows: list[Row]) -> tuple[Tensor, Tensor]:
    """Return the language-modelling loss (nats per weighted token) and that of the thrown away lessons."""
    ids, weights, agrees, names = pad(rows)
    out = model.model(input_ids=ids, use_cache=False, output_hidden_states=True)
    hidden = out.last_hidden_state[:, :-1]
    keep = weights[:, 1:] > 0
    each = nn.functional.cross_entropy(model.lm_head(hidden[keep]), ids[:, 1:][keep], reduction="none")
    chosen = weights[:, 1:][keep]
    return (each * chosen).sum() / chosen.sum(), side(out.hidden_states, model.model.embed_tokens.weight, agrees, names)


def _run(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, size: Size, seed: int, say: Say | None) -> None:
    side = Lessons(size.width, names=size.crowds > 0)
    optimizers = optimizers_of(model, side, size.rate)
    total = sum(p.steps for p in size.phases)
    started = time.monotonic()
    model.train()
    for step, rows in enumerate(drawn_ahead(batches_of, size, seed)):
        loss, agreed = _losses(model, side, rows)
        torch.autograd.backward(loss + agreed)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = size.rate * rate_at(step, total)
            optimizer.step()
            optimizer.zero_grad()
        if say and (step % 100 == 99 or step == total - 1):
            found = measure(model, tokenizer, 64, FAMILIES, evaluation_seed(99))
            right = " ".join(f"{kind} {share:.2f}" for kind, (share, _) in found.items())
            losses = f"loss {loss.item():.3f}, agreement {agreed.item():.3f}"
            say(f"step {step + 1}/{total}, {time.monotonic() - started:.0f} s: {losses}; {right}")
