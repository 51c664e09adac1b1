"""Train the bundled captioner from scratch: a LLaVA-class model of a small SegFormer tower and a small Llama.

In: a folder, a seed.  Out: a checkpoint there that plain transformers loads (bf16 safetensors, image processor,
tokenizer, chat template) and its card.  The tower first learns alone, with one head for each visible attribute; then
tower and language model learn together to write the reference caption, what the context asks about first.  Photos,
contexts, steps and random state follow from the seed.  It knows no shop dataset: its photos are drawn for it alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lookwise.bazaar import words
from lookwise.bazaar.world import View
from lookwise.training.bundled.ahead import made_ahead
from lookwise.training.bundled.pictures import CLASSES, SIDE, draw_context, labels_of, photos
from lookwise.training.bundled.seeds import training_seed
from lookwise.training.bundled.tokens import SPECIALS, build_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = [
    "Plan",
    "new_model",
    "new_processor",
    "optimizer_of",
    "pixels_of",
    "take_steps",
    "train_captioner",
]

Say = Callable[[str], None]
PATCH = 16
"""Pixels on a side that one image token stands for."""
_WIDTH = 160
IMAGE_TOKENS = (SIDE // PATCH) ** 2


@dataclass(frozen=True, slots=True)
class Plan:
    """Photos drawn once, steps alone and together, photos in a batch, peak rates, weight of the heads in the end."""

    photos: int = 20_000
    tower_steps: int = 4_000
    joint_steps: int = 2_200
    batch: int = 32
    tower_rate: float = 1.5e-3
    joint_rate: float = 1.5e-3
    heads_share: float = 0.15


QUICK = Plan(photos=128, tower_steps=3, joint_steps=3, batch=16)


class _Heads(nn.Module):
    """Reads each attribute from the tower's tokens: attention with a learned query, then a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Parameter(torch.randn(len(CLASSES), width) * 0.02)
        self.linears = nn.ModuleList(nn.Linear(width, len(values)) for values in CLASSES.values())

    def loss(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Return the summed cross-entropy.  tokens [batch, places, width], labels [batch, attributes]."""
        tokens = self.norm(tokens)
        weights = (tokens @ self.queries.T).softmax(1)
        read = torch.einsum("bpw,bpa->abw", tokens, weights)
        terms = [
            nn.functional.cross_entropy(linear(read[i]), labels[:, i], label_smoothing=0.02)
            for i, linear in enumerate(self.linears)
        ]
        return torch.stack(terms).sum()


# -- the model ---------------------------------------------------------------------------------------------------------


def new_model(tokenizer: PreTrainedTokenizerFast) -> Any:
    """Return the untrained captioner."""
    from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, SegformerConfig

    tower = SegformerConfig(
        num_encoder_blocks=3, depths=[1, 2, 3], sr_ratios=[4, 2, 1], hidden_sizes=[32, 64, _WIDTH],
        patch_sizes=[7, 3, 3], strides=[4, 2, 2], num_attention_heads=[1, 2, 5], mlp_ratios=[2, 2, 2],
        drop_path_rate=0.0, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, reshape_last_stage=False,
    )  # fmt: skip
    tower.update({"hidden_size": _WIDTH, "image_size": SIDE})  # what LLaVA's projector and processor ask a tower for
    ends = {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }
    language = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=1024, tie_word_embeddings=True, initializer_range=0.05, **ends,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=tower, text_config=language, image_token_index=SPECIALS.index("<image>"),
        vision_feature_layer=-1, vision_feature_select_strategy="full", image_seq_length=IMAGE_TOKENS,
        tie_word_embeddings=True, **ends,
    )  # fmt: skip
    model: Any = LlavaForConditionalGeneration(config)
    model.generation_config.update(**ends, do_sample=False, max_new_tokens=32)
    return model


def new_processor(tokenizer: PreTrainedTokenizerFast) -> Any:
    """Return what turns pictures and text into the model's input."""
    import transformers
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    pictures = SiglipImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, resample=2, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    make: Any = transformers.LlavaProcessor  # untyped there
    return make(
        pictures, tokenizer, patch_size=PATCH, vision_feature_select_strategy="full", image_token="<image>",
        num_additional_image_tokens=0, chat_template=tokenizer.chat_template,
    )  # fmt: skip


# -- batches -----------------------------------------------------------------------------------------------------------


def pixels_of(raw: NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """Return photos as the processor would, each moved by up to three pixels and mirrored half of the time."""
    padded = np.pad(raw, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="edge")
    moved = np.empty_like(raw)
    for i, (x, y, flip) in enumerate(rng.integers(0, (7, 7, 2), (len(raw), 3))):
        one = padded[i, y : y + SIDE, x : x + SIDE]
        moved[i] = one[:, ::-1] if flip else one
    return torch.from_numpy(moved).permute(0, 3, 1, 2).float() / 127.5 - 1


class _Teacher:
    """Draws batches in an order that the seed fixes."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, plan: Plan, seed: int, workers: int) -> None:
        self.tokenizer, self.plan = tokenizer, plan
        self.raw, self.views = photos(plan.photos, f"captioner/{seed}", workers)
        self.labels = torch.tensor([labels_of(view) for view in self.views])
        self.picker = np.random.default_rng(seed)
        self.rng = random.Random(seed)
        self.order: list[int] = []

    def pick(self) -> list[int]:
        """Return the next photos; every photo once before any comes again."""
        if len(self.order) < self.plan.batch:
            self.order = self.picker.permutation(len(self.raw)).tolist()
        taken, self.order = self.order[: self.plan.batch], self.order[self.plan.batch :]
        return taken

    def pictures(self, chosen: list[int]) -> tuple[Tensor, Tensor]:
        """Return pixels [batch, 3, SIDE, SIDE] and labels [batch, attributes]."""
        return pixels_of(self.raw[chosen], self.picker), self.labels[chosen]

    def texts(self, chosen: list[int]) -> tuple[Tensor, Tensor]:
        """Return token ids and targets [batch, longest], -100 where nothing is to be learnt; padded on the right."""
        rows = [self._row(self.views[i]) for i in chosen]
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), longest), self.tokenizer.pad_token_id)
        targets = torch.full((len(rows), longest), -100)
        for i, (row, start) in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            targets[i, start : len(row)] = torch.tensor(row[start:])
        return ids, targets

    def lesson(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the next photos' pixels and labels, and what is said about them: ids and targets."""
        chosen = self.pick()
        return *self.pictures(chosen), *self.texts(chosen)

    def _row(self, view: View) -> tuple[list[int], int]:
        context = draw_context(self.rng)
        asked = f"<|user|> {'<image>' * IMAGE_TOKENS} {context} <|end|><|assistant|>"
        answer = f"{words.caption(view, words.lead(context))} <|end|>"
        first, second = self.tokenizer([asked, answer], add_special_tokens=False)["input_ids"]
        return [*first, *second], len(first)


# -- training ----------------------------------------------------------------------------------------------------------


def optimizer_of(modules: Sequence[nn.Module]) -> torch.optim.Optimizer:
    """Return AdamW with decay on matrices and kernels only."""
    parameters = [p for module in modules for p in module.parameters()]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.05},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
        foreach=True,  # the same numbers in a tenth less time: a few hundred small parameters
    )


def take_steps(
    optimizer: torch.optim.Optimizer,
    rates: tuple[float, float],
    steps: int,
    loss_of: Callable[[], Tensor],
    say: Say | None,
) -> None:
    """Take the steps; the rate rises to the first of `rates` and falls to the second over the last half."""
    peak, last = rates
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    started, recent = time.monotonic(), 0.0
    for step in range(steps):
        rise, fall = min(1.0, (step + 1) / max(1, steps // 40)), min(1.0, (steps - step) / max(1, steps // 2))
        loss = loss_of()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        for group in optimizer.param_groups:
            group["lr"] = rise * (last + (peak - last) * fall)
        optimizer.step()
        optimizer.zero_grad()
        recent += loss.item()
        if say and (step + 1) % 100 == 0:
            say(f"step {step + 1}/{steps} loss {recent / 100:.3f} ({time.monotonic() - started:.0f} s)")
            recent = 0.0


def _tower_alone(model: Any, heads: _Heads, teacher: _Teacher, say: Say | None) -> None:
    tower, plan = model.model.vision_tower, teacher.plan
    batches = made_ahead(lambda: teacher.pictures(teacher.pick()), plan.tower_steps)

    def loss_of() -> Tensor:
        pixels, labels = next(batches)
        return heads.loss(tower(pixels).last_hidden_state, labels)

    take_steps(optimizer_of([tower, heads]), (plan.tower_rate, plan.tower_rate / 4), plan.tower_steps, loss_of, say)
    batches.close()


def _together(model: Any, heads: _Heads, teacher: _Teacher, say: Say | None) -> None:
    inner, plan = model.model, teacher.plan
    batches = made_ahead(teacher.lesson, plan.joint_steps)

    def loss_of() -> Tensor:
        pixels, labels, ids, targets = next(batches)
        tokens = inner.vision_tower(pixels).last_hidden_state
        embedded = inner.language_model.embed_tokens(ids)
        places = (ids == model.config.image_token_id).unsqueeze(-1)
        embedded = embedded.masked_scatter(places, inner.multi_modal_projector(tokens))
        mask = (ids != teacher.tokenizer.pad_token_id).long()
        hidden = inner.language_model(inputs_embeds=embedded, attention_mask=mask, use_cache=False).last_hidden_state
        keep = targets[:, 1:] != -100
        spoken = nn.functional.cross_entropy(model.lm_head(hidden[:, :-1][keep]), targets[:, 1:][keep])
        return spoken + plan.heads_share * heads.loss(tokens, labels)

    take_steps(optimizer_of([model, heads]), (plan.joint_rate, plan.joint_rate / 50), plan.joint_steps, loss_of, say)
    batches.close()


def train_captioner(out: Path, *, quick: bool = False, seed: int = 0, say: Say | None = None) -> Path:
    """Train the captioner and write its folder; `quick` takes a few steps only, to show that everything fits."""
    from lookwise.training.bundled.captioner_card import write_card

    plan = QUICK if quick else Plan()
    started = time.monotonic()
    torch.manual_seed(training_seed(seed))
    tokenizer = build_tokenizer()
    model = new_model(tokenizer).train()
    heads = _Heads(model.config.vision_config.hidden_size)
    teacher = _Teacher(tokenizer, plan, training_seed(seed), workers=1 if quick else 2)
    if say:
        size = sum(p.numel() for p in model.parameters())
        say(f"{size:,} parameters; photos drawn in {time.monotonic() - started:.0f} s")
    _tower_alone(model, heads, teacher, say)
    _together(model, heads, teacher, say)
    seconds = round(time.monotonic() - started)
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    new_processor(tokenizer).save_pretrained(out)
    facts: dict[str, Any] = {"plan": asdict(plan), "seed": training_seed(seed), "seconds": seconds, "quick": quick}
    write_card(out, facts, count=24 if quick else 1000)
    return out
