"""Train the bundled looker: a LLaVA-interleave-class model that reads several photos beside text.

In: a folder, a seed, the bundled captioner and reader-s.  Out: a checkpoint there that plain transformers loads (bf16
safetensors, image processor, tokenizer, chat template) and its card.  Two stages.  Eyes: the captioner's tower and a
new projector learn to tell every photo in words, one at each of its sixteen places, as the vectors that reader-s has
for these words; so the reader nearly understands photos before it has met one.  Words: with the eyes as they are, the
reader learns to answer questions about photos beside lines of text (looks.py), from photos that the eyes did not learn
from, so that it meets them as unsure as they are.  Everything follows from the seed.  It knows no task and no shop
dataset.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import lookwise
from lookwise.bazaar.world import View
from lookwise.training.bundled.ahead import drawn_ahead
from lookwise.training.bundled.captioner import new_processor, optimizer_of, pixels_of, take_steps
from lookwise.training.bundled.looks import LookRows, draw_look
from lookwise.training.bundled.readers import Lessons, optimizers_of, rate_at
from lookwise.training.bundled.rows import Row, pad
from lookwise.training.bundled.seeds import training_seed
from lookwise.training.bundled.shots import PLACES, Album, shots, slot_words
from lookwise.training.bundled.tokens import NAMED_PHOTOS, build_tokenizer

__all__ = ["TINY", "Plan", "batches_of", "new_looker", "train_looker"]

Say = Callable[[str], None]
TINY = Path(lookwise.__file__).parent / "models" / "tiny"
_POOL = 8
"""Batches drawn at once and sorted by length, so that little is padded."""
_DENSE = (3, 6)
_SURE = 20.0
"""Odds in nats, about, by which a place that holds a word's own vector means this word and no other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Photos for the eyes and others for the words; steps, batches and peak rates of both; share of text alone."""

    seen: int = 12_000
    told: int = 8_000
    eye_steps: int = 2_000
    eye_batch: int = 32
    eye_rate: float = 1.2e-3
    word_steps: int = 3_000
    word_batch: int = 16
    word_rate: float = 2e-3
    text_alone: float = 0.2


QUICK = Plan(seen=48, told=32, eye_steps=2, word_steps=2, eye_batch=16, word_batch=4)


def new_looker(tokenizer: Any) -> Any:
    """Return the model before training: the captioner's tower, reader-s, and a projector that knows nothing yet."""
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    seeing: Any = AutoModelForImageTextToText.from_pretrained(TINY / "captioner", dtype=torch.float32)
    reading: Any = AutoModelForCausalLM.from_pretrained(TINY / "reader-s", dtype=torch.float32)
    reading.config._name_or_path = ""  # a checkpoint names no folder of the machine that made it
    ends = {
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }
    config = LlavaConfig(
        vision_config=seeing.config.vision_config, text_config=reading.config,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), vision_feature_layer=-1,
        vision_feature_select_strategy="full", image_seq_length=PLACES, tie_word_embeddings=True, **ends,
    )  # fmt: skip
    model: Any = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(seeing.model.vision_tower.state_dict())
    model.model.language_model.load_state_dict(reading.model.state_dict())
    model.tie_weights()
    model.generation_config.update(**ends, do_sample=False, max_new_tokens=32)
    return model


# -- eyes --------------------------------------------------------------------------------------------------------------


class _Places:
    """How far the places of photos are from the words that they should hold."""

    def __init__(self, tokenizer: Any, embeddings: Tensor, views: list[View]) -> None:
        told = [slot_words(view) for view in views]
        names = sorted({word for slots in told for word in slots})
        self._words = embeddings[tokenizer.convert_tokens_to_ids(names)].clone()
        self._right = torch.tensor([[names.index(word) for word in slots] for slots in told])
        squares = self._words.square().sum(1)
        apart = squares[:, None] + squares[None] - 2 * self._words @ self._words.T
        self._scale = 2 * _SURE / float(apart.sum() / (len(names) * (len(names) - 1)))
        self._half = squares / 2

    def loss(self, places: Tensor, chosen: list[int]) -> Tensor:
        """Return nats a place and the mean squared distance.  places [photos, PLACES, width]."""
        right = self._right[chosen]
        logits = self._scale * (places @ self._words.T - self._half)
        sure = nn.functional.cross_entropy(logits.flatten(0, 1), right.flatten())
        return sure + self._scale * (places - self._words[right]).square().sum(-1).mean() / _SURE

    def share(self, places: Tensor) -> float:
        """Return the share of all photos' places that are nearest to their own word."""
        said = (places @ self._words.T - self._half).argmax(-1)
        return float((said == self._right).float().mean())


def _vectors(model: Any) -> Tensor:
    """Return the vectors of the vocabulary [tokens, width]."""
    found: Tensor = model.model.language_model.embed_tokens.weight.detach()
    return found


def _eyes(
    model: Any, tokenizer: Any, photos: tuple[NDArray[np.uint8], list[View]], plan: Plan, seed: int, say: Say | None
) -> None:
    raw, views = photos
    inner = model.model
    places = _Places(tokenizer, _vectors(model), views)
    picker = np.random.default_rng(seed)
    order: list[int] = []

    def loss_of() -> Tensor:
        nonlocal order
        if len(order) < plan.eye_batch:
            order = picker.permutation(len(raw)).tolist()
        chosen, order = order[: plan.eye_batch], order[plan.eye_batch :]
        tokens = inner.vision_tower(pixels_of(raw[chosen], picker)).last_hidden_state
        return places.loss(inner.multi_modal_projector(tokens), chosen)

    parts = [inner.vision_tower, inner.multi_modal_projector]
    take_steps(optimizer_of(parts), (plan.eye_rate, plan.eye_rate / 50), plan.eye_steps, loss_of, say)


@torch.no_grad()
def _told(model: Any, raw: NDArray[np.uint8]) -> Tensor:
    """Return what the language model is given of photos: [photos, PLACES, width]."""
    model.eval()
    found = []
    for start in range(0, len(raw), 250):
        pixels = torch.from_numpy(raw[start : start + 250]).permute(0, 3, 1, 2).float() / 127.5 - 1
        found.append(model.model.multi_modal_projector(model.model.vision_tower(pixels).last_hidden_state))
    model.train()
    return torch.cat(found)


# -- words -------------------------------------------------------------------------------------------------------------

_Drawn = tuple[Row, tuple[int, ...]]
"""A row and the photos at its image places."""


def batches_of(album: Album, plan: Plan, seed: int) -> Iterator[list[_Drawn]]:
    """Yield the batches of the second stage; they follow from the seed."""
    rng = random.Random(seed)
    rows = LookRows(build_tokenizer())

    def draw() -> _Drawn:
        if rng.random() < plan.text_alone:
            return rows.text(rng, _DENSE), ()
        look = draw_look(album, rng, _DENSE)
        return rows.look(look), look.photos

    for done in range(0, plan.word_steps, _POOL):
        pool = sorted((draw() for _ in range(_POOL * plan.word_batch)), key=lambda drawn: len(drawn[0].ids))
        order = list(range(_POOL))
        rng.shuffle(order)
        for i in order[: plan.word_steps - done]:
            yield pool[i * plan.word_batch : (i + 1) * plan.word_batch]


def _losses(model: Any, side: Lessons, told: Tensor, drawn: list[_Drawn]) -> tuple[Tensor, Tensor]:
    """Return the language-modelling loss (nats per weighted token) and that of the thrown away lessons."""
    ids, weights, agrees, names = pad([row for row, _ in drawn])
    language = model.model.language_model
    embedded = language.embed_tokens(ids)
    photos = [number for _, numbers in drawn for number in numbers]
    if photos:
        embedded = embedded.masked_scatter((ids == model.config.image_token_id).unsqueeze(-1), told[photos])
    out = language(inputs_embeds=embedded, use_cache=False, output_hidden_states=True)
    hidden = out.last_hidden_state[:, :-1]
    keep = weights[:, 1:] > 0
    each = nn.functional.cross_entropy(model.lm_head(hidden[keep]), ids[:, 1:][keep], reduction="none")
    chosen = weights[:, 1:][keep]
    return (each * chosen).sum() / chosen.sum(), side(out.hidden_states, _vectors(model), agrees, names)


def _words(model: Any, told: Tensor, album: Album, plan: Plan, seed: int, say: Say | None) -> None:
    language = model.model.language_model
    side = Lessons(language.config.hidden_size)
    optimizers = optimizers_of(language, side, plan.word_rate)
    started, recent = time.monotonic(), torch.zeros(2)
    for step, drawn in enumerate(drawn_ahead(batches_of, album, plan, seed)):
        loss, agreed = _losses(model, side, told, drawn)
        torch.autograd.backward(loss + agreed)
        nn.utils.clip_grad_norm_(language.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = plan.word_rate * rate_at(step, plan.word_steps)
            optimizer.step()
            optimizer.zero_grad()
        recent += torch.stack([loss, agreed]).detach()
        if say and step % 100 == 99:
            means = " ".join(f"{value / 100:.3f}" for value in recent.tolist())
            say(f"words {step + 1}/{plan.word_steps}: {means} ({time.monotonic() - started:.0f} s)")
            recent.zero_()


def train_looker(out: Path, *, quick: bool = False, seed: int = 0, say: Say | None = None) -> Path:
    """Train the looker and write its folder; `quick` takes a few steps only, to show that everything fits."""
    from lookwise.training.bundled.looker_card import write_card

    plan = QUICK if quick else Plan()
    started = time.monotonic()
    torch.manual_seed(training_seed(seed))
    tokenizer = build_tokenizer()
    tokenizer.chat_template = NAMED_PHOTOS
    model = new_looker(tokenizer).train()
    stream = f"looker/{training_seed(seed)}"
    seen, told = (shots(n, f"{stream}/{part}") for n, part in ((plan.seen, "eyes"), (plan.told, "words")))
    if say:
        size = sum(p.numel() for p in model.parameters())
        say(f"{size:,} parameters; photos drawn in {time.monotonic() - started:.0f} s")
    _eyes(model, tokenizer, seen, plan, training_seed(seed), say)
    vectors = _told(model, told[0])
    share = _Places(tokenizer, _vectors(model), told[1]).share(vectors)
    if say:
        say(f"{share:.3f} of the places of photos not learned from are nearest to their own word")
    _words(model, vectors, Album(told[1]), plan, training_seed(seed), say)
    seconds = round(time.monotonic() - started)
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    new_processor(tokenizer).save_pretrained(out)
    facts: dict[str, Any] = {
        "plan": asdict(plan), "seed": training_seed(seed), "seconds": seconds, "quick": quick,
        "places": round(share, 4),
    }  # fmt: skip
    write_card(out, facts, looks=64 if quick else 2048, count=24 if quick else 600)
    return out
