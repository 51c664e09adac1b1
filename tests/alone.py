"""A family's checkpoint as transformers' documentation shows it: one request at a time, its own `generate`.

In: a family and its folder.  Out: tokens, texts and log-probabilities that answers of ours are held against.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import families
import torch
from families import Family
from PIL import Image
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

from lookwise.message import Message, TextPart

TOKENS = 8


@dataclass(frozen=True)
class Alone:
    """Transformers as its documentation shows it: one request at a time."""

    family: Family
    folder: Path

    @cached_property
    def words(self) -> Any:
        return AutoTokenizer.from_pretrained(self.folder)

    @cached_property
    def model(self) -> Any:
        kind: Any = AutoModelForImageTextToText if self.family.images else AutoModelForCausalLM
        return kind.from_pretrained(self.folder, dtype=torch.float32).eval()

    @cached_property
    def processor(self) -> Any:
        assert self.family.images is not None
        assert self.family.processor is not None
        return self.family.processor(self.family.images(), self.words, families.template(self.family))

    def prompt(self, talk: Message) -> str:
        if self.family.template is None:
            return f"Question: {talk.text.strip()} Answer:"
        content: Any = talk.text
        if self.family.images is not None:
            parts = [
                {"type": "text", "text": p.text} if isinstance(p, TextPart) else {"type": "image"} for p in talk.parts
            ]
            content = parts
        return str(
            self.words.apply_chat_template(
                [{"role": "user", "content": content}], chat_template=families.template(self.family), tokenize=False,
                add_generation_prompt=True, date_string="26 Jul 2024",
            )
        )  # fmt: skip

    def inputs(self, talk: Message, more: str = "") -> Any:
        text = self.prompt(talk) + more
        if not talk.media:
            return self.words(text, add_special_tokens=False, return_tensors="pt")
        images = [[Image.open(m.source).convert("RGB") for m in talk.media]]  # one list a prompt
        special = {} if self.family.template is None else {"add_special_tokens": False}
        return self.processor(images=images, text=[text], return_tensors="pt", **special)

    def score(self, talk: Message, option: str) -> float:
        start = self.inputs(talk).input_ids.shape[1]
        inputs = self.inputs(talk, self.family.lead + option)
        return self.chance(inputs, start)

    def chance(self, inputs: Any, start: int) -> float:
        ids = inputs["input_ids"][0]
        with torch.inference_mode():
            chances = self.model(**inputs).logits[0].log_softmax(-1)
        return float(sum(chances[i - 1, ids[i]] for i in range(start, len(ids))))

    def tokens(self, inputs: Any, count: int = TOKENS) -> list[int]:
        with torch.inference_mode():
            found = self.model.generate(**inputs, max_new_tokens=count, do_sample=False)
        said, asked = found[0].tolist(), inputs["input_ids"][0].tolist()
        return list(said[len(asked) :] if said[: len(asked)] == asked else said)

    def write(self, inputs: Any) -> str:
        return str(self.words.decode(self.tokens(inputs), skip_special_tokens=True)).strip()
