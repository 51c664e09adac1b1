"""Measure a stored looker as its users load it, on photos, texts and questions of seeds that no training ever uses.

In: the folder of a checkpoint.  Out: card.json and card.md beside it: for each visible attribute how often it is named
right from one photo, and how often what a photo hides is said to be unknown; and the share of right answers by kind of
question, over one to six photos beside text.  It knows nothing of how the model was trained but what it is told.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lookwise.bazaar import words
from lookwise.bazaar.lexicon import FAMILIES, HELD_OUT, NUMBERS
from lookwise.bazaar.world import VISIBLE, View
from lookwise.training.bundled.captioner_card import load
from lookwise.training.bundled.looks import Look, LookRows, draw_look
from lookwise.training.bundled.reader_card import MEANINGS, tally
from lookwise.training.bundled.rows import pad
from lookwise.training.bundled.seeds import evaluation_seed
from lookwise.training.bundled.shots import Album, shots

__all__ = ["Shares", "ask", "load", "measure_looks", "measure_named", "measure_photos", "write_card"]

Shares = dict[str, tuple[float, int]]
"""What was asked -> the share that was answered right, and how often it was asked."""
_BATCH = 32
_ONE = (1, 1)
_ALSO = {
    "where": "which of a photo and a line tells an attribute",
    "where all": "the same for all attributes",
    "worth": "what a photo beside a text does to an answer: helpful, ineffective, redundant, misleading",
}


@torch.no_grad()
def ask(model: Any, processor: Any, asked: Sequence[tuple[Sequence[Image.Image], str]]) -> list[str]:
    """Return the first word of the answer to each (photos, text), through the processor and its chat template."""
    found: list[str] = []
    for start in range(0, len(asked), _BATCH):
        batch = asked[start : start + _BATCH]
        turns = []
        for photos, text in batch:
            content = [*({"type": "image"} for _ in photos), {"type": "text", "text": f"\n{text}" if photos else text}]
            turns.append([{"role": "user", "content": content}])
        prompts = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        images = [photo for photos, _ in batch for photo in photos]
        inputs = processor(images=images or None, text=prompts, padding=True, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        best = model(**inputs, logits_to_keep=1).logits[:, -1].argmax(-1)
        found += processor.batch_decode(best[:, None])
    return found


def measure_photos(model: Any, processor: Any, photos: Sequence[tuple[Image.Image, View]]) -> Shares:
    """Ask every photo for every visible attribute."""
    asked = [(image, view, name) for image, view in photos for name in VISIBLE]
    said = ask(model, processor, [((image,), f"photo: {name}?") for image, _, name in asked])
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for (_, view, name), word in zip(asked, said, strict=True):
        value = view.get(name)
        known = "unknown" if value is None else NUMBERS[value - 1] if isinstance(value, int) else value
        group = "hidden" if value is None else name
        total[group] += 1
        right[group] += word == known
    return {name: (round(right[name] / total[name], 4), total[name]) for name in (*VISIBLE, "hidden") if total[name]}


def measure_named(
    model: Any, processor: Any, photos: Sequence[tuple[Image.Image, View]], seed: int, count: int = 200
) -> Shares:
    """Ask for the colour of one of two things that each have one: is it the named one's?  A guess is right in .10."""
    rng = random.Random(seed)
    coloured = [(image, view.colour) for image, view in photos if view.colour is not None]
    pairs = [(rng.choice(coloured), rng.choice(coloured)) for _ in range(count)]
    titles = [f"title: {words.title({'colour': told}, rng, rng.choice(FAMILIES))}\n" for _, (_, told) in pairs]
    asked: dict[str, list[tuple[Sequence[Image.Image], str]]] = {
        "the first of two photos": [((one, two), "photo one: colour?") for (one, _), (two, _) in pairs],
        "the second of two photos": [((one, two), "photo two: colour?") for (one, _), (two, _) in pairs],
        "a photo beside a title": [((p[0][0],), f"{t}photo: colour?") for p, t in zip(pairs, titles, strict=True)],
        "a title beside a photo": [((p[0][0],), f"{t}title: colour?") for p, t in zip(pairs, titles, strict=True)],
    }
    found: Shares = {}
    for (name, questions), place in zip(asked.items(), (0, 1, 0, 1), strict=True):
        said = ask(model, processor, questions)
        right = sum(word == pair[place][1] for word, pair in zip(said, pairs, strict=True))
        found[name] = (round(right / count, 4), count)
    return found


@torch.no_grad()
def measure_looks(
    model: Any, tokenizer: Any, raw: NDArray[np.uint8], views: Sequence[View], looks: int, families: Sequence[str],
    seed: int,
) -> Shares:  # fmt: skip
    """Return for each kind of question, one a look, the share of answers right from first to last token."""
    album, rows, rng = Album(views), LookRows(tokenizer), random.Random(seed)
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for start in range(0, looks, _BATCH):
        drawn = [draw_look(album, rng, _ONE, families) for _ in range(min(_BATCH, looks - start))]
        ids, weights, *_ = pad([rows.look(look) for look in drawn])
        best = model(input_ids=ids, pixel_values=_pixels(raw, drawn), use_cache=False).logits[:, :-1].argmax(-1)
        good = best == ids[:, 1:]
        for i, look in enumerate(drawn):
            tally(look.episode, good[i], weights[i, 1:], right, asked)
    return {kind: (round(right[kind] / asked[kind], 4), asked[kind]) for kind in sorted(asked)}


def _pixels(raw: NDArray[np.uint8], drawn: Sequence[Look]) -> torch.Tensor:
    chosen = [number for look in drawn for number in look.photos]
    return torch.from_numpy(raw[chosen]).permute(0, 3, 1, 2).float() / 127.5 - 1


def write_card(folder: Path, facts: Mapping[str, Any], looks: int, count: int) -> None:
    """Measure the stored checkpoint and write its card."""
    model, processor = load(folder)
    seed = evaluation_seed(0)
    raw, views = shots(count, f"looker/{seed}")
    photos = [(Image.fromarray(one), view) for one, view in zip(raw, views, strict=True)]
    started = time.monotonic()
    named = measure_photos(model, processor, photos)
    rate = len(photos) * len(VISIBLE) / (time.monotonic() - started)
    card = {
        "name": "looker",
        "class": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "evaluation_seed": seed,
        **facts,
        "photos": named,
        "named": measure_named(model, processor, photos, seed),
        "unseen": measure_looks(model, processor.tokenizer, raw, views, looks, FAMILIES, seed),
        "held_out_wording": measure_looks(model, processor.tokenizer, raw, views, looks, (HELD_OUT,), seed),
        "answers_per_second": round(rate, 1),
        "threads": torch.get_num_threads(),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", "utf-8")
    (folder / "card.md").write_text(_page(card), "utf-8")


def _page(card: Mapping[str, Any]) -> str:
    plan = ", ".join(f"{key} {value}" for key, value in card["plan"].items())
    lines = [
        "# tiny:looker",
        "",
        f"Reads several photos of the generated shop beside text, made to be tuned. `{card['class']}`, "
        f"{card['parameters']:,} parameters, bf16; trained by `python -m lookwise.training.bundled looker --out DIR` "
        "from tiny:captioner's tower and tiny:reader-s.",
        "",
        f"Seed {card['seed']} (training), {card['evaluation_seed']} (measuring); {plan}; {card['seconds']} s "
        f"by the clock{' (quick form: it has learned nothing yet)' if card['quick'] else ''}, {card['threads']} "
        f"thread(s) of torch; {card['answers_per_second']} answers a second about one photo while measuring.",
        "",
        "It has answered questions about photos, alone, beside other photos and beside titles, queries, documents, "
        "reviews and histories, that no task asks, and has told what a photo beside a text does to an answer.  It has "
        "not seen a task's question.  It knows the things and words of every category, those of the out-of-domain test "
        "too; a tuning sees only the others.",
        "",
        "One unseen photo, asked for each attribute; hidden: what it does not show is said to be unknown.",
        "",
        "| attribute | n | right |",
        "|---|---|---|",
        *(f"| {name} | {n} | {share:.3f} |" for name, (share, n) in card["photos"].items()),
        "",
        "One question about one to six unseen photos and the lines beside them (a line may be a photo); the last "
        "column in the wording family that no training uses:",
        "",
        "| question | n | right | held-out wording |",
        "|---|---|---|---|",
    ]
    for kind, (share, n) in card["unseen"].items():
        other = card["held_out_wording"].get(kind)
        meaning = {**MEANINGS, **_ALSO}[kind]
        lines.append(f"| {meaning} | {n} | {share:.3f} | {f'{other[0]:.3f}' if other else '-'} |")
    lines += [
        "",
        "Asked for the colour of one of two things with a colour each; a guess is right in .10, whoever takes either "
        "of the two in .55:",
        "",
        "| asked for | n | right |",
        "|---|---|---|",
        *(f"| {name} | {n} | {share:.3f} |" for name, (share, n) in card["named"].items()),
    ]
    more = "It sees 64 x 64 pixels and knows the shop's 30 categories only; on other pictures its words mean nothing."
    return "\n".join([*lines, "", more, ""])
