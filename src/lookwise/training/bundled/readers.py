"""Pretrain the bundled readers S, M and L from scratch: Llama-class models that read the shop's language.

In: a size, a seed, a folder.  Out: a checkpoint there that plain transformers loads (bf16 safetensors, tokenizer, chat
template) and its card.  Training draws endless episodes (instructions.py) in the order of the seed: first several
questions about one context, among them repeated random words, then mostly single questions.  It knows no task and no
picture; captions here are reference captions in words.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lookwise.bazaar.lexicon import FAMILIES, HELD_OUT
from lookwise.training.bundled.instructions import Episode, draw_episode, plain_text
from lookwise.training.bundled.muon import Muon
from lookwise.training.bundled.seeds import evaluation_seed, training_seed
from lookwise.training.bundled.tokens import build_tokenizer, save_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

__all__ = ["SIZES", "Phase", "Size", "measure", "train_reader"]

Say = Callable[[str], None]
_IGNORED = -100
_POOL = 8
"""Batches drawn at once and sorted by length, so that little is padded."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Part of the schedule: steps, fewest and most questions per context, share of repeated words and of plain text."""

    steps: int
    questions: tuple[int, int]
    repeats: float
    plain: float


@dataclass(frozen=True, slots=True)
class Size:
    """A reader's shape and schedule.  `batch` is in sequences."""

    width: int
    layers: int
    heads: int
    inner: int
    batch: int
    rate: float
    phases: tuple[Phase, ...]


SIZES: dict[str, Size] = {
    "reader-s": Size(96, 3, 3, 224, 32, 4e-3, (Phase(2000, (5, 8), 0.08, 0.04), Phase(800, (1, 3), 0.0, 0.04))),
    "reader-m": Size(160, 4, 5, 384, 32, 3e-3, (Phase(1500, (5, 8), 0.08, 0.04), Phase(500, (1, 3), 0.0, 0.04))),
    "reader-l": Size(256, 5, 8, 640, 24, 2e-3, (Phase(1000, (5, 8), 0.08, 0.04), Phase(400, (1, 3), 0.0, 0.04))),
}


# -- sequences -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """Token ids of one sequence and, for each, its weight as a target (answers 1, the rest little)."""

    ids: list[int]
    weights: list[float]


_CONTEXT_WEIGHT = 0.03


class _Drawer:
    """Draws training rows; one random state, so that a seed and a step count fix everything."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.rng = random.Random(seed)
        self.encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
        self.user, self.assistant, self.end = tokenizer.convert_tokens_to_ids(["<|user|>", "<|assistant|>", "<|end|>"])
        self.words = [i for token, i in sorted(tokenizer.get_vocab().items()) if token.isalpha() and len(token) > 1]

    def row(self, phase: Phase) -> _Row:
        fate = self.rng.random()
        if fate < phase.repeats:
            return self._repeated()
        if fate < phase.repeats + phase.plain:
            ids = [self.user, *self.encode(plain_text(self.rng)), self.end]
            return _Row(ids, [1.0] * len(ids))
        return self.episode(draw_episode(self.rng, self.rng.randint(*phase.questions)))

    def _repeated(self) -> _Row:
        once = self.rng.choices(self.words, k=self.rng.randint(12, 40))
        return _Row([self.user, *once, *once, self.end], [0.0] * (len(once) + 1) + [1.0] * (len(once) + 1))

    def episode(self, episode: Episode) -> _Row:
        ids: list[int] = []
        weights: list[float] = []
        opening = episode.context + "\n"
        for turn in episode.turns:
            asked = [self.user, *self.encode(opening + turn.question), self.end, self.assistant]
            answer = [*self.encode(turn.answer), self.end]
            ids += asked + answer
            weights += [_CONTEXT_WEIGHT] * len(asked) + [1.0] * len(answer)
            opening = ""
        return _Row(ids, weights)


def _batches(drawer: _Drawer, size: Size) -> Iterator[list[_Row]]:
    for phase in size.phases:
        done = 0
        while done < phase.steps:
            pool = sorted((drawer.row(phase) for _ in range(_POOL * size.batch)), key=lambda r: len(r.ids))
            order = list(range(_POOL))
            drawer.rng.shuffle(order)
            for i in order[: phase.steps - done]:
                yield pool[i * size.batch : (i + 1) * size.batch]
            done += _POOL


def _pad(rows: list[_Row]) -> tuple[Tensor, Tensor]:
    longest = max(len(r.ids) for r in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    weights = torch.zeros(len(rows), longest)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        weights[i, : len(row.ids)] = torch.tensor(row.weights)
    return ids, weights


# -- training --------------------------------------------------------------------------------------------------------


def _new_model(size: Size, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=size.width, intermediate_size=size.inner,
        num_hidden_layers=size.layers, num_attention_heads=size.heads, num_key_value_heads=size.heads,
        max_position_embeddings=1024, tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
        initializer_range=0.05,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def _optimizers(model: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices (matching appears in far fewer steps than with AdamW alone), AdamW for the rest."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        Muon(matrices, lr=rate),
        torch.optim.AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def _rate_at(step: int, total: int) -> float:
    """Return the share of the full rate: a short rise, flat, then a linear fall over the last third."""
    rise, fall = max(1, total // 40), max(1, total // 3)
    return min(1.0, (step + 1) / rise, max(0.02, (total - step) / fall))


def _loss(model: LlamaForCausalLM, ids: Tensor, weights: Tensor) -> Tensor:
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    keep = weights[:, 1:] > 0
    logits = model.lm_head(hidden[keep])
    each = nn.functional.cross_entropy(logits, ids[:, 1:][keep], reduction="none")
    chosen = weights[:, 1:][keep]
    return (each * chosen).sum() / chosen.sum()


def train_reader(name: str, out: Path, *, quick: bool = False, seed: int = 0, say: Say | None = None) -> Path:
    """Train one reader and write its folder; `quick` trains a few steps only, to show that everything fits."""
    size = SIZES[name]
    if quick:
        size = replace(size, phases=tuple(replace(p, steps=4) for p in size.phases))
    started = time.monotonic()
    tokenizer = build_tokenizer()
    torch.manual_seed(training_seed(seed))
    model = _new_model(size, tokenizer)
    _run(model, tokenizer, size, training_seed(seed), say)
    seconds = time.monotonic() - started
    _save(model, out)
    _write_card(name, size, out, seed, seconds, quick)
    return out


def _run(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, size: Size, seed: int, say: Say | None) -> None:
    optimizers = _optimizers(model, size.rate)
    total = sum(p.steps for p in size.phases)
    started = time.monotonic()
    model.train()
    for step, rows in enumerate(_batches(_Drawer(tokenizer, seed), size)):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = size.rate * _rate_at(step, total)
        loss = _loss(model, *_pad(rows))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if say and (step % 100 == 99 or step == total - 1):
            found = measure(model, tokenizer, 64, FAMILIES, seed=evaluation_seed(99))
            shown = " ".join(f"{k} {v:.2f}" for k, v in found.items())
            say(f"step {step + 1}/{total} loss {loss.item():.3f} {shown} ({time.monotonic() - started:.0f} s)")


def _save(model: LlamaForCausalLM, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    save_tokenizer(out)


# -- measuring -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def measure(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, episodes: int, families: tuple[str, ...], seed: int
) -> dict[str, float]:
    """Return the share of answers that are right from first to last token, by kind of question, one question each."""
    drawer = _Drawer(tokenizer, seed)
    was_training = model.training
    model.eval()
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for _ in range(max(1, episodes // 32)):
        drawn = [draw_episode(drawer.rng, 4, families) for _ in range(32)]
        rows = [drawer.episode(e) for e in drawn]
        ids, weights = _pad(rows)
        best = model(input_ids=ids, use_cache=False).logits[:, :-1].argmax(-1)
        ok = (best == ids[:, 1:]) | (weights[:, 1:] < 1.0)
        for i, episode in enumerate(drawn):
            _tally(episode, ok[i], weights[i, 1:], right, asked)
    model.train(was_training)
    return {kind: right[kind] / asked[kind] for kind in sorted(asked)}


def _tally(episode: Episode, ok: Tensor, weights: Tensor, right: Counter[str], asked: Counter[str]) -> None:
    """Count each turn's answer as right when all its tokens are."""
    answers: list[list[bool]] = []
    inside = False
    for good, weight in zip(ok.tolist(), weights.tolist(), strict=True):
        if weight == 1.0 and not inside:
            answers.append([])
        inside = weight == 1.0
        if inside:
            answers[-1].append(good)
    for turn, answer in zip(episode.turns, answers, strict=True):
        asked[turn.kind] += 1
        right[turn.kind] += all(answer)


def _write_card(name: str, size: Size, out: Path, seed: int, seconds: float, quick: bool) -> None:
    """Measure the stored copy, as users load it, and write card.json and card.md."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(out)
    count = 64 if quick else 1024
    card: dict[str, Any] = {
        "name": name,
        "class": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": training_seed(seed),
        "size": asdict(size),
        "seconds": round(seconds),
        "quick": quick,
        "evaluation_seed": evaluation_seed(0),
        "episodes": count,
        "unseen": measure(model, tokenizer, count, FAMILIES, evaluation_seed(0)),
        "held_out_wording": measure(model, tokenizer, count, (HELD_OUT,), evaluation_seed(0)),
    }
    (out / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", "utf-8")
