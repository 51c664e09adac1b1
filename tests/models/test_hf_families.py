"""Every family: what a packed batch says equals what plain transformers says of each request alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import factory
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lookwise.message import user
from lookwise.model import Generate, Rank, Reply, Request
from lookwise.models.hf.families import TEXT
from lookwise.models.open import open_model

LABELS = ("yes", "no", "A: very positive", "A: positive", "B", "very negative")
TEXTS = [f"query: {'red kettle ' * n}Does the picture help?" for n in (1, 12, 4, 7)]
WINDOWS: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 9},
    "phi3": {"sliding_window": 9},
    "qwen2": {"sliding_window": 9, "use_sliding_window": True, "max_window_layers": 1},
}


class Plain:
    """Transformers as its documentation shows it: one prompt at a time, no batch, no cache of ours."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def prompt(self, text: str) -> str:
        talk = [{"role": "user", "content": text}]
        return str(self.tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True))

    def score(self, text: str, option: str) -> float:
        start = self.tokenizer(self.prompt(text), add_special_tokens=False).input_ids
        whole = self.tokenizer(self.prompt(text) + option, add_special_tokens=False).input_ids
        assert whole[: len(start)] == start
        with torch.inference_mode():
            chances = self.model(torch.tensor([whole])).logits[0].log_softmax(-1)
        return float(sum(chances[i - 1, whole[i]] for i in range(len(start), len(whole))))

    def write(self, text: str, tokens: int) -> str:
        inputs = self.tokenizer(self.prompt(text), add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            found = self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        ids = found[0, inputs.input_ids.shape[1] :]
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()


def check(folder: Path) -> list[Reply]:
    """Ask one mixed batch and compare every reply with the plain way; return the replies."""
    model, plain = open_model(f"hf:{folder}"), Plain(folder)
    ranks = [Request((user(text),), Rank(LABELS)) for text in TEXTS]
    writes = [Request((user(text),), Generate(12)) for text in TEXTS]
    replies = model.answer([*ranks, *writes])
    for text, reply in zip(TEXTS, replies[: len(ranks)], strict=True):
        expected = [plain.score(text, option) for option in LABELS]
        assert reply.scores == pytest.approx(expected, abs=1e-4)
        assert reply.text == LABELS[max(range(len(LABELS)), key=expected.__getitem__)]
    for text, reply in zip(TEXTS, replies[len(ranks) :], strict=True):
        assert reply.text == plain.write(text, 12)
    return replies


@pytest.mark.parametrize("family", TEXT)
def test_a_packed_batch_says_what_each_request_alone_says(family: str, saved: Callable[..., Path]) -> None:
    replies = check(saved(family))
    assert len({r.scores for r in replies[: len(TEXTS)]}) == len(TEXTS)  # the prompts matter


@pytest.mark.parametrize("family", WINDOWS)
def test_layers_that_see_a_window_only(family: str, saved: Callable[..., Path]) -> None:
    windowed = check(saved(family, **WINDOWS[family]))
    whole = open_model(f"hf:{saved(family)}").answer([Request((user(TEXTS[1]),), Rank(LABELS))])
    assert abs(windowed[1].scores[0] - whole[0].scores[0]) > 1e-3  # the window is felt


def test_a_template_without_markers_whose_answers_begin_with_a_space(saved: Callable[..., Path]) -> None:
    folder = saved("llama", template=factory.BRACKETS)
    model, plain = open_model(f"hf:{folder}"), Plain(folder)
    (reply,) = model.answer([Request((user(TEXTS[0]),), Rank(("yes", "no", "positive")))])
    expected = [plain.score(TEXTS[0], f" {option}") for option in ("yes", "no", "positive")]
    assert reply.scores == pytest.approx(expected, abs=1e-4)
