"""Bases opened for tuning: which, in how many bits, with how much kept for the way back."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import factory
import pytest
import torch

from lookwise.errors import ModelError, RecipeError
from lookwise.message import user
from lookwise.model import Rank, Request
from lookwise.models.open import open_model
from lookwise.training import lora, opening
from lookwise.training.collate import collate
from lookwise.training.examples import Encoder, Example
from lookwise.training.fast import fewer_passes
from lookwise.training.heads import answer_loss
from lookwise.training.settings import TuneSettings
from lookwise.training.trainer import quiet
from lookwise.training.tune import tune

CPU = TuneSettings(device="cpu", dtype="float32", rank=4, alpha=4)


def gradients(base: Path, settings: TuneSettings, examples: list[Example]) -> tuple[dict[str, torch.Tensor], int]:
    """Return the adapter's gradients on some rows, and how often the first layer was computed."""
    with quiet():
        opened = opening.open_base(str(base), settings)
        model, _, _ = lora.adapt(opened.model, settings, "tiny")
    encoder = Encoder(opened.processor, "tiny")
    calls: list[int] = []
    first = next(m for m in model.modules() if type(m).__name__ == "LlamaDecoderLayer")
    first.input_layernorm.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[union-attr, operator]
    model.train()
    with fewer_passes(model), torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:  # zeros at first, through which nothing would come back
                weight.normal_(0, 0.05, generator=torch.Generator().manual_seed(len(name)))
    with fewer_passes(model):
        rows = encoder.encode(examples)
        answer_loss(model, collate(rows, encoder.pad_id, torch.device("cpu"), {})).backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, len(calls)


def test_gradients_are_the_same_with_checkpointing(
    tiny_base: Path, shop_examples: Callable[..., list[Example]]
) -> None:
    examples = shop_examples(6)
    plain, once = gradients(tiny_base, CPU, examples)
    less, twice = gradients(tiny_base, replace(CPU, gradient_checkpointing=True), examples)
    assert (once, twice) == (1, 2), "the first layer is computed again on the way back"
    assert plain.keys() == less.keys()
    assert max(float(g.abs().max()) for g in plain.values()) > 1e-3
    for name, gradient in plain.items():
        assert torch.allclose(gradient, less[name], atol=1e-6), name


def test_bits_need_a_package_and_say_so(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="quantized: nf4 needs the package bitsandbytes"):
        opening.open_base(str(tiny_base), replace(CPU, quantized="nf4"))
    with pytest.raises(RecipeError, match="only be tuned by an adapter"):
        replace(CPU, quantized="nf4", whole=True)


@pytest.mark.parametrize(
    ("quantized", "expected"),
    [
        (
            "nf4",
            {
                "load_in_4bit": True,
                "bnb_4bit_quant_type": "nf4",
                "bnb_4bit_use_double_quant": True,
                "bnb_4bit_compute_dtype": torch.bfloat16,
            },
        ),
        ("int8", {"load_in_8bit": True, "load_in_4bit": False}),
    ],
)
def test_the_bits_that_are_asked_for_reach_transformers(
    quantized: Any, expected: dict[str, Any], tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    class Stop(Exception):
        pass

    def capture(folder: Path, **settings: Any) -> None:
        seen.update(settings)
        raise Stop

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(opening.AutoModelForCausalLM, "from_pretrained", capture)
    with pytest.raises(Stop):
        opening.open_base(str(tiny_base), replace(CPU, quantized=quantized, dtype="bfloat16", device="cuda:1"))
    config = seen["quantization_config"]
    assert {name: getattr(config, name) for name in expected} == expected
    assert seen["device_map"] == {"": torch.device("cuda:1")}, "made on its device: it cannot be moved there"
    assert seen["trust_remote_code"] is False


def test_a_base_in_four_bits_is_tuned(tiny_base: Path, shop_examples: Callable[..., Any], tmp_path: Path) -> None:
    """QLoRA on a CPU: the loss falls, and the adapter is one for the base in full, too."""
    pytest.importorskip("bitsandbytes")
    settings = replace(CPU, quantized="nf4", batch=16, learning_rate=1e-2, epochs=3.0, warmup=0.0)
    out = tune(str(tiny_base), shop_examples(64), shop_examples(16, seed=9), tmp_path / "a", settings)
    card = json.loads((out / "card.json").read_text())
    losses = [entry["loss"] for entry in card["history"]]
    assert losses[-1] < losses[0]
    assert card["merge_error"] is None
    model = open_model(f"hf:{tiny_base}+{out}")
    (reply,) = model.answer([Request((user("is it red?"),), Rank(("yes", "no")))])
    assert reply.text in ("yes", "no")
    model.close()


def test_pictures_are_prepared_as_when_the_model_is_asked(tmp_path: Path) -> None:
    folder = factory.llava(tmp_path / "llava")
    asked: Any = open_model(f"hf:{folder}")
    opened = opening.open_base(str(folder), CPU)
    assert type(opened.processor.image_processor) is type(asked._pictures._eyes._images)
    assert Encoder(opened.processor, "llava").sees


def test_what_is_not_tuned_is_refused_before_weights_load(tmp_path: Path) -> None:
    folder = tmp_path / "qwen"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_vl"}))
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="is asked here but not tuned"):
        opening.open_base(str(folder), CPU)


def test_damaged_weights_are_one_sentence(tiny_base: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(tiny_base, tmp_path / "torn"))
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:300])
    with pytest.raises(ModelError, match="weights or processor cannot be loaded"):
        opening.open_base(str(folder), CPU)
