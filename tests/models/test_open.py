"""Specs: what is refused before anything loads, what a fingerprint depends on, and adapters."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from lookwise.errors import ModelError
from lookwise.message import user
from lookwise.model import Generate, Rank, Request
from lookwise.models.hf.bits import held_in
from lookwise.models.hf.load import _numbers
from lookwise.models.open import ModelOptions, check_spec, fingerprint, open_model, takes_pictures

RENAMED = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
"""PEFT 0.21 reads an attribute that transformers 5.23 has renamed."""

REQUESTS = [Request((user("red kettle " * n),), Rank(("yes", "no", "A: very positive"))) for n in (1, 9)]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("reader-s", "expected a scheme and a name"),
        ("tiny:", "expected a scheme and a name"),
        ("tony:reader-s", "unknown scheme 'tony'; did you mean 'tiny'?"),
        ("tiny:no-such-model", "no model 'tiny:no-such-model' comes with the package"),
        ("hf:/nowhere/at/all", "no folder '/nowhere/at/all'"),
        ("hf:plainname", "expected a checkpoint's folder or a hub name"),
        ("scripted:yess", "did you mean 'yes'?"),
        ("http://127.0.0.1:8000/v1", "no model is named"),
    ],
)
def test_what_names_nothing_is_refused_in_one_sentence(spec: str, says: str) -> None:
    for refuse in (check_spec, open_model, fingerprint):
        with pytest.raises(ModelError) as caught:
            refuse(spec)  # type: ignore[operator]
        assert says in str(caught.value)


def _config(folder: Path, **settings: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "model.safetensors").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"model_type": "quen2"}, "family 'quen2', which cannot be asked in this process; did you mean 'qwen2'?"),
        ({}, "family ''"),
        ({"model_type": "llava", "text_config": {"model_type": "mamba"}}, "its decoder is of the family 'mamba'"),
    ],
)
def test_a_family_that_is_not_known_is_refused_by_name(settings: dict[str, Any], says: str, tmp_path: Path) -> None:
    folder = _config(tmp_path / "m", **settings)
    with pytest.raises(ModelError) as caught:
        check_spec(f"hf:{folder}")
    assert says in str(caught.value)
    assert str(folder) in str(caught.value)


def test_incomplete_folders_are_refused(tmp_path: Path, saved: Callable[..., Path]) -> None:
    def says(folder: Path, more: str = "") -> str:
        with pytest.raises(ModelError) as caught:
            check_spec(f"hf:{folder}{more}")
        return str(caught.value)

    folder = _config(tmp_path / "m", model_type="llama")
    (folder / "model.safetensors").unlink()
    assert "holds no *.safetensors weights" in says(folder)
    (folder / "config.json").write_text("{")
    assert "not JSON" in says(folder)
    (folder / "config.json").unlink()
    assert "holds no config.json" in says(folder)
    assert "is no adapter" in says(saved("llama"), f"+{tmp_path}")


def test_damaged_files_are_one_sentence_when_opened(tmp_path: Path, saved: Callable[..., Path]) -> None:
    for name, says in (("model.safetensors", "its weights cannot be loaded"), ("tokenizer.json", "its tokenizer")):
        folder = tmp_path / name
        shutil.copytree(saved("llama"), folder)
        (folder / name).write_bytes(b"damaged")
        with pytest.raises(ModelError) as caught:
            open_model(f"hf:{folder}")
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_checkpoint_without_a_chat_template_is_refused(tmp_path: Path, saved: Callable[..., Path]) -> None:
    folder = tmp_path / "m"
    shutil.copytree(saved("llama"), folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"has no chat template; put a chat_template\.jinja into its folder"):
        open_model(f"hf:{folder}")


def test_pictures_for_a_text_model_are_refused_before_it_loads(saved: Callable[..., Path]) -> None:
    text, seeing = f"hf:{saved('llama')}", f"hf:{saved('llava')}"
    assert (takes_pictures(text), takes_pictures(seeing)) == (False, True)
    check_spec(seeing, pictures=True)
    check_spec(text)
    with pytest.raises(ModelError, match="reads text only, but would be given pictures"):
        check_spec(text, pictures=True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (ModelOptions(dtype="float23"), "did you mean 'float32'?"),
        (ModelOptions(device="gpu"), "device 'gpu' is not possible"),
        (ModelOptions(device="meta"), "not supported"),
        (ModelOptions(device="cuda:99"), "is not here"),
    ],
)
def test_devices_and_dtypes_that_are_not_there(options: ModelOptions, says: str, saved: Callable[..., Path]) -> None:
    with pytest.raises(ModelError) as caught:
        open_model(f"hf:{saved('llama')}", options)
    assert says in str(caught.value)


@pytest.mark.parametrize(("own", "dtype"), [(True, "bfloat16"), (False, "float16")])
def test_sixteen_bits_are_those_that_the_device_computes_in(
    own: bool, dtype: str, saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return own or including_emulation

    spec = f"hf:{saved('llama')}"
    named = {one: fingerprint(spec, ModelOptions(device="cpu", dtype=one)) for one in ("bfloat16", "float16")}
    monkeypatch.setattr("lookwise.models.open._has_driver", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert fingerprint(spec) == fingerprint(spec, ModelOptions(device="cuda:0")) == named[dtype]
    assert fingerprint(spec, ModelOptions(dtype="bfloat16")) == named["bfloat16"], "what is named is not changed"
    assert _numbers("int8", torch.device("cuda"))["dtype"] == getattr(torch, dtype)


def test_a_fingerprint_follows_content_and_not_the_path(tmp_path: Path, saved: Callable[..., Path]) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(saved("llama"), folder)
    spec, before = f"hf:{folder}", fingerprint(f"hf:{saved('llama')}")
    assert fingerprint(spec) == before == open_model(spec).fingerprint
    (folder / "README.md").write_text("a card")
    assert fingerprint(spec) == before
    assert fingerprint(spec, ModelOptions(dtype="bfloat16")) != before
    (folder / "chat_template.jinja").write_text((folder / "chat_template.jinja").read_text() + " ")
    assert fingerprint(spec) != before


def test_looking_a_spec_up_loads_neither_torch_nor_transformers(saved: Callable[..., Path]) -> None:
    script = (
        "import sys; from lookwise.models.open import *; s = sys.argv[1]; check_spec(s); fingerprint(s); "
        "takes_pictures(s); check_spec('scripted:yes'); "
        "sys.exit(1 if {'torch', 'transformers'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script, f"hf:{saved('llama')}"], check=False)
    assert done.returncode == 0


def _adapter(base: Path, folder: Path, targets: list[str], size: float = 0.3) -> Path:
    """Save a LoRA adapter of random weights on a base whose tied head was untied, as the tuning room saves them."""
    from peft import LoraConfig, get_peft_model

    from lookwise.models.heads import untie

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    untie(model)
    wrapped = get_peft_model(model, LoraConfig(r=4, lora_alpha=4, target_modules=targets, task_type="CAUSAL_LM"))
    for name, weight in wrapped.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=size)
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    return folder


def _scores(spec: str) -> list[tuple[float, ...]]:
    return [reply.scores for reply in open_model(spec).answer(REQUESTS)]


@RENAMED
@pytest.mark.parametrize("tied", [True, False])
def test_an_adapter_answers_as_it_does_unmerged(tied: bool, tmp_path: Path, saved: Callable[..., Path]) -> None:
    from peft import PeftModel

    from lookwise.models.heads import untie

    base = saved("llama", tie_word_embeddings=tied)
    adapter = _adapter(base, tmp_path / "a", ["q_proj", "v_proj", "down_proj", "lm_head"])
    spec = f"hf:{base}+{adapter}"
    model = open_model(spec)
    raw = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    untie(raw)
    unmerged: Any = PeftModel.from_pretrained(raw, str(adapter)).eval()
    for request, reply in zip(REQUESTS, model.answer(REQUESTS), strict=True):
        ids = list(model._encoder.encode(request.conversation).ids)  # type: ignore[attr-defined]
        token = model._encoder._words.ids("yes")  # type: ignore[attr-defined]
        with torch.inference_mode():
            chances = unmerged(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        assert reply.scores[0] == pytest.approx(float(chances[token[0]]), abs=1e-4)
    merged = {type(m).__module__.split(".")[0] for m in model._network.model.modules()}  # type: ignore[attr-defined]
    assert "peft" not in merged  # merged away, so that it costs nothing
    assert model.fingerprint not in (fingerprint(f"hf:{base}"), "")
    assert fingerprint(spec) == model.fingerprint


@RENAMED
def test_an_adapter_whose_merge_would_change_answers_is_applied_as_it_runs(
    tmp_path: Path, saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lookwise.models.hf import load

    base = saved("llama")
    spec = f"hf:{base}+{_adapter(base, tmp_path / 'a', ['down_proj', 'lm_head'])}"
    merged = _scores(spec)
    monkeypatch.setattr(load, "_MERGE_TOLERANCE", -1.0)
    model = open_model(spec)
    kinds = {type(m).__module__.split(".")[0] for m in model._network.model.modules()}  # type: ignore[attr-defined]
    assert "peft" in kinds
    for reply, scores in zip(model.answer(REQUESTS), merged, strict=True):
        assert reply.scores == pytest.approx(scores, abs=1e-4)


def test_bfloat16_is_near_float32(saved: Callable[..., Path]) -> None:
    spec = f"hf:{saved('llama')}"
    half = [r.scores for r in open_model(spec, ModelOptions(dtype="bfloat16")).answer(REQUESTS)]
    for one, other in zip(half, _scores(spec), strict=True):
        assert one == pytest.approx(other, abs=0.3)
        assert one != other


@RENAMED
@pytest.mark.parametrize("bits", ["nf4", "int8"])
def test_fewer_bits_answer_as_transformers_does_with_them(
    bits: str, tmp_path: Path, saved: Callable[..., Path]
) -> None:
    """Ranked in packs here, one by one there; with an adapter, which is applied as it runs."""
    pytest.importorskip("bitsandbytes")
    from peft import PeftModel

    base = saved("llama", tie_word_embeddings=False)
    adapter = _adapter(base, tmp_path / "a", ["q_proj", "down_proj"])
    config = held_in("nf4" if bits == "nf4" else "int8", torch.float32, "dtype")
    settings: Any = {"dtype": torch.float32, "quantization_config": config, "device_map": {"": "cpu"}}
    plain, adapted = (AutoModelForCausalLM.from_pretrained(base, **settings) for _ in range(2))
    options = ModelOptions(dtype=bits, device="cpu")
    for spec, alone in (
        (f"hf:{base}", plain),
        (f"hf:{base}+{adapter}", PeftModel.from_pretrained(adapted, str(adapter))),
    ):
        model: Any = open_model(spec, options)
        kinds = {type(m).__module__.split(".")[0] for m in model._network.model.modules()}
        assert "bitsandbytes" in kinds
        full = _scores(spec)
        for request, reply, exact in zip(REQUESTS, model.answer(REQUESTS), full, strict=True):
            ids = list(model._encoder.encode(request.conversation).ids)
            token = model._encoder._words.ids("yes")
            with torch.inference_mode():
                chances = alone.eval()(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            assert reply.scores[0] == pytest.approx(float(chances[token[0]]), abs=0.02 if bits == "int8" else 1e-3)
            assert reply.scores[0] == pytest.approx(exact[0], abs=0.5 if bits == "int8" else 4.0)  # random weights
            assert reply.scores[0] != exact[0]
        assert model.fingerprint == fingerprint(spec, options) != fingerprint(spec)


def test_fewer_bits_need_a_package_and_say_so(saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="dtype: nf4 needs the package bitsandbytes, which is not installed"):
        open_model(f"hf:{saved('llama')}", ModelOptions(dtype="nf4"))


def test_the_batch_size_can_be_given(saved: Callable[..., Path]) -> None:
    assert open_model(f"hf:{saved('llama')}", ModelOptions(batch_tokens=77)).batch_tokens == 77
    assert open_model(f"hf:{saved('llama')}").batch_tokens > 1000


def test_a_script_is_a_model_too() -> None:
    assert open_model("scripted:yes").answer([Request((user("?"),), Generate())])[0].text == "yes"
    assert fingerprint("scripted:yes") == open_model("scripted:yes").fingerprint
    assert takes_pictures("scripted:yes") is True
