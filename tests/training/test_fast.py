"""Fewer passes over memory, the same numbers: outputs and gradients of adapted layers and norms."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Phi3Config, Qwen2Config

from lookwise.training.fast import fewer_passes
from lookwise.training.lora import adapt
from lookwise.training.settings import TuneSettings

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT asks by an old name
FAMILIES = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config, "phi3": Phi3Config}


def adapted(family: str, **settings: object) -> nn.Module:
    """A tuned-looking model: B and the norms are not at their start.  Qwen2 has biases on q, k and v."""
    torch.manual_seed(0)
    config = FAMILIES[family](
        vocab_size=60, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model, _, _ = adapt(AutoModelForCausalLM.from_config(config), TuneSettings(rank=4, alpha=8, **settings), family)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name or "norm" in name or name.endswith("bias"):
                weight.add_(torch.randn(weight.shape) * 0.1)
    return model


def run(model: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
    ids = torch.arange(3, 33).view(2, 15)
    logits = model(input_ids=ids).logits
    grads = torch.autograd.grad(
        logits.log_softmax(-1)[..., 5].sum(), [p for p in model.parameters() if p.requires_grad]
    )
    return logits.detach(), list(grads)


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_and_gradients_are_the_same(family: str) -> None:
    model = adapted(family)
    plain, plain_grads = run(model)
    linears = 2 * (4 if family == "phi3" else 7) + 1
    with fewer_passes(model) as changed:
        assert changed == linears + 2 * 2 + 1  # and the norms
        short, short_grads = run(model)
    after, _ = run(model)
    assert not torch.equal(plain, torch.zeros_like(plain))
    assert torch.allclose(plain, short, atol=1e-5)
    assert torch.equal(plain, after)
    for a, b in zip(plain_grads, short_grads, strict=True):
        assert torch.allclose(a, b, atol=1e-5, rtol=1e-4)


def test_what_is_not_plain_keeps_its_own_forward() -> None:
    model = adapted("llama", dropout=0.5)
    with fewer_passes(model) as changed:
        assert changed == 5  # the norms alone
    whole = adapted("llama").base_model.model.requires_grad_(True)
    with fewer_passes(whole) as changed:
        assert changed == 0
    with fewer_passes(adapted("llama").to(torch.bfloat16)) as changed:
        assert changed == 0


def test_a_merged_layer_adds_its_adapter_once() -> None:
    model = adapted("llama").eval()
    plain, _ = run(model)
    model.merge_adapter()
    with fewer_passes(model), torch.no_grad():
        merged = model(input_ids=torch.arange(3, 33).view(2, 15)).logits
    assert torch.allclose(plain, merged, atol=1e-5)
