"""Measure a stored captioner as its users load it, on photos and contexts of seeds that no training ever uses.

In: the folder of a checkpoint.  Out: card.json and card.md beside it: for each visible attribute the share of photos
that show it in whose caption it is named right, what else captions must do, each with its n.  Captions are read back
word by word; it knows nothing of how the model was trained.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from lookwise.bazaar import words
from lookwise.bazaar.lexicon import HELD_OUT
from lookwise.bazaar.world import VISIBLE, View, in_domain, out_of_domain
from lookwise.training.bundled.pictures import draw_context, draw_view, photo
from lookwise.training.bundled.seeds import evaluation_seed

__all__ = ["Case", "captions_of", "draw_cases", "load", "measure", "write_card"]

_BATCH = 50
Case = tuple[View, Image.Image, str]
"""What a photo shows, the photo, and the context in which it is captioned."""


def load(folder: Path) -> tuple[Any, Any]:
    """Return a stored captioner in fp32 and its processor, through transformers' Auto classes."""
    import transformers

    models: Any = transformers.AutoModelForImageTextToText  # typed only in part there
    processors: Any = transformers.AutoProcessor
    return models.from_pretrained(folder, dtype=torch.float32).eval(), processors.from_pretrained(folder)


def draw_cases(count: int, stream: str, families: Sequence[str] = words.FAMILIES) -> list[Case]:
    """Draw photos of products as common as in the shop, each with a context."""
    cases = []
    for number in range(count):
        rng = random.Random(f"{stream}/{number}")
        view = draw_view(rng, flat=False)
        cases.append((view, photo(view, rng.getrandbits(32)), draw_context(rng, families)))
    return cases


@torch.no_grad()
def captions_of(model: Any, processor: Any, asked: Sequence[tuple[Image.Image, str]]) -> list[str]:
    """Return the greedy caption of each (photo, context)."""
    found: list[str] = []
    for start in range(0, len(asked), _BATCH):
        batch = asked[start : start + _BATCH]
        turns = [
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}] for _, text in batch
        ]
        prompts = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        inputs = processor(images=[image for image, _ in batch], text=prompts, padding=True, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        ids = model.generate(**inputs, max_new_tokens=32, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        found += processor.batch_decode(ids, skip_special_tokens=True)
    return found


def _first(caption: str) -> set[str]:
    """Return the attributes named in the caption's first part."""
    return set(words.facts_in(caption.split(",")[0]))


def measure(cases: Sequence[Case], captions: Sequence[str]) -> dict[str, Any]:
    """Return the shares of captions that are right in each respect, each with its n."""
    tallies: dict[str, list[bool]] = {}
    for (view, _, context), caption in zip(cases, captions, strict=True):
        seen = words.read_caption(caption)
        for name in VISIBLE:
            if view.get(name) is not None:
                tallies.setdefault(name, []).append(seen.get(name) == view.get(name))
        asked = [name for name in words.lead(context) if view.get(name) is not None]
        if asked:
            tallies.setdefault("asked first", []).append(_first(caption) == {asked[0]})
        kind = "blank said" if view.blank else "cover said" if view.pattern is None else ""
        if kind:
            tallies.setdefault(kind, []).append(seen.blank if view.blank else not seen.blank and seen.pattern is None)
        tallies.setdefault("word for word", []).append(caption == words.caption(view, words.lead(context)))
    return {name: {"share": round(sum(t) / len(t), 4), "n": len(t)} for name, t in sorted(tallies.items())}


def write_card(folder: Path, facts: Mapping[str, Any], count: int) -> None:
    """Measure the stored checkpoint and write its card."""
    model, processor = load(folder)
    stream = f"captioner/{evaluation_seed(0)}"
    plain, stall = draw_cases(count, stream), draw_cases(count, f"{stream}/held-out", (HELD_OUT,))
    started = time.monotonic()
    captions = captions_of(model, processor, [(image, text) for _, image, text in plain])
    rate = len(plain) / (time.monotonic() - started)
    unseen = {
        group: measure([plain[i] for i in rows], [captions[i] for i in rows]) for group, rows in _groups(plain).items()
    }
    told = measure(stall, captions_of(model, processor, [(image, text) for _, image, text in stall]))
    card = {
        "name": "captioner",
        "class": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "evaluation_seed": evaluation_seed(0),
        **facts,
        "unseen": unseen,
        "held_out_wording": told,
        "captions_per_second": round(rate, 1),
        "threads": torch.get_num_threads(),
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", "utf-8")
    (folder / "card.md").write_text(_page(card), "utf-8")


def _groups(cases: Sequence[Case]) -> dict[str, list[int]]:
    """Return the rows of all photos, and of those in and out of the readers' domain."""
    groups = {"all": list(range(len(cases)))}
    for name, world in (("in_domain", in_domain()), ("out_of_domain", out_of_domain())):
        groups[name] = [i for i, (view, _, _) in enumerate(cases) if view.category in world.categories]
    return groups


def _page(card: Mapping[str, Any]) -> str:
    columns = {**card["unseen"], "held-out wording": card["held_out_wording"]}
    names = sorted({name for shares in columns.values() for name in shares})
    rows = [f"| {' | '.join(['what', *columns])} |", f"|{'---|' * (len(columns) + 1)}"]
    for name in names:
        cells = [f"{s[name]['share']:.3f} ({s[name]['n']})" if name in s else "" for s in columns.values()]
        rows.append(f"| {' | '.join([name, *cells])} |")
    plan = ", ".join(f"{key} {value}" for key, value in card["plan"].items())
    return "\n".join(
        [
            "# tiny:captioner",
            "",
            f"Writes what a photo of the generated shop shows, what its context asks about first. `{card['class']}`, "
            f"{card['parameters']:,} parameters, bf16; trained from scratch by "
            f"`python -m lookwise.training.bundled captioner --out DIR`.",
            "",
            f"Seed {card['seed']} (training), {card['evaluation_seed']} (measuring); {plan}; "
            f"{card['seconds']} s of training{' (quick form: not fit for use)' if card['quick'] else ''}; "
            f"{card['captions_per_second']} captions a second while measuring, {card['threads']} thread(s).",
            "",
            "Share of captions that are right, and n, on unseen photos with unseen contexts about other products:",
            "",
            *rows,
            "",
            'An attribute counts where the photo shows it. "asked first": the caption begins with the first attribute '
            'that the context names. "word for word": the caption equals the reference caption.',
            "",
            "It sees 64 x 64 pixels and knows the shop's 30 categories only; on other pictures its words mean nothing.",
            "",
        ]
    )
