"""The loss on answers equals the plain loss on full logits, for every architecture named; merging is checked."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MistralConfig,
    Phi3Config,
    PreTrainedModel,
    Qwen2Config,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from lookwise.errors import ModelError
from lookwise.models.heads import is_tied
from lookwise.training.collate import Batch, collate
from lookwise.training.examples import Encoded
from lookwise.training.heads import answer_loss, check_plain_head, merge_check
from lookwise.training.lora import adapt, places
from lookwise.training.settings import TuneSettings

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT asks by an old name

SIZES = {
    "vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
TEXT = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config, "phi3": Phi3Config}


def text_model(family: str, tied: bool = False) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(TEXT[family](**SIZES, tie_word_embeddings=tied))


def llava(tied: bool = False) -> LlavaForConditionalGeneration:
    torch.manual_seed(0)
    eyes = CLIPVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8,
        projection_dim=16,
    )  # fmt: skip
    tongue = LlamaConfig(**SIZES, tie_word_embeddings=tied)
    config = LlavaConfig(
        vision_config=eyes, text_config=tongue, image_token_index=5, vision_feature_layer=-1, tie_word_embeddings=tied
    )
    return LlavaForConditionalGeneration(config)


def rows(pictures: int = 0) -> list[Encoded]:
    """Rows of unlike length; image token 5 stands for four places per picture."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for i, (length, answer) in enumerate(((20, 1), (7, 3), (33, 2))):
        ids = torch.randint(6, 90, (length,), generator=generator).tolist()
        if i < pictures:
            ids[1:5] = [5] * 4
        made.append(Encoded(tuple(ids), length - answer))
    return made


def batch_of(made: list[Encoded], pictures: int = 0) -> Batch:
    pixels = {"pixel_values": torch.randn(pictures, 3, 16, 16, generator=torch.Generator().manual_seed(2))}
    return collate(made, 0, torch.device("cpu"), pixels if pictures else {})


def plain_loss(model: nn.Module, made: list[Encoded], pixels: dict[str, torch.Tensor]) -> torch.Tensor:
    """What everybody does: all logits, labels of -100, mask, mean over supervised tokens."""
    longest = max(len(r.ids) for r in made)
    ids = torch.zeros(len(made), longest, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for i, row in enumerate(made):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        mask[i, : len(row.ids)] = 1
        labels[i, row.start : len(row.ids)] = torch.tensor(row.ids[row.start :])
    return model(input_ids=ids, attention_mask=mask, labels=labels, **pixels).loss


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("family", [*TEXT, "llava"])
def test_loss_and_gradients_equal_the_plain_ones(family: str, adapted: bool) -> None:
    pictures = 2 if family == "llava" else 0
    model: nn.Module = llava() if pictures else text_model(family)
    if adapted:
        model, _, _ = adapt(model, TuneSettings(rank=4, alpha=4), family)
        with torch.no_grad():  # B starts at zero: the adapter must do something to be compared
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.normal_(generator=torch.Generator().manual_seed(len(name)), std=0.05)
    made = rows(pictures)
    batch = batch_of(made, pictures)
    supervised = sum(r.supervised for r in made)
    ours = answer_loss(model, batch) / supervised
    plain = plain_loss(model, made, batch.pixels)
    assert ours.item() == pytest.approx(plain.item(), abs=1e-5)
    trained = [p for p in model.parameters() if p.requires_grad]
    first = torch.autograd.grad(ours, trained, allow_unused=True)
    second = torch.autograd.grad(plain, trained, allow_unused=True)
    assert len(trained) >= 2
    for a, b in zip(first, second, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-5)


def test_random_weights_lose_about_the_logarithm_of_the_vocabulary() -> None:
    made = rows()
    loss = answer_loss(text_model("llama"), batch_of(made)) / sum(r.supervised for r in made)
    assert loss.item() == pytest.approx(torch.tensor(90.0).log().item(), abs=0.3)


@pytest.mark.parametrize("make", [lambda: text_model("qwen2", tied=True), lambda: llava(tied=True)])
def test_untying_changes_no_logit_and_makes_merging_safe(make) -> None:
    made = rows()
    batch = batch_of(made)
    model = make()
    assert is_tied(model)
    before = answer_loss(model, batch).item()
    model, _, untied = adapt(model, TuneSettings(rank=4, alpha=4), "tied")
    assert untied
    assert not is_tied(model.base_model.model)
    assert answer_loss(model, batch).item() == pytest.approx(before, abs=1e-5)
    nn.init.normal_(model.get_parameter("base_model.model.lm_head.lora_B.default.weight"), std=0.1)
    assert merge_check(model, [batch], "tied") < 1e-5


@pytest.mark.filterwarnings("ignore:Model (has|with)")
def test_the_merge_check_catches_a_shared_head() -> None:
    """Without untying, merging changes the embedding as well: the fault that the check is there for."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(text_model("llama", tied=True), LoraConfig(r=4, lora_alpha=4, target_modules=["lm_head"]))
    nn.init.normal_(model.get_parameter("base_model.model.lm_head.lora_B.default.weight"), std=0.5)
    with pytest.raises(ModelError, match="when merged"):
        merge_check(model, [batch_of(rows())], "a tied llama")


def test_fused_projections_are_found() -> None:
    found = {p.rsplit(".", 1)[-1] for p in places(text_model("phi3"), TuneSettings(), "phi3")}
    assert found == {"qkv_proj", "o_proj", "gate_up_proj", "down_proj", "lm_head"}


def test_a_target_that_matches_nothing_lists_what_there_is() -> None:
    with pytest.raises(ModelError, match=r"called 'c_attn'.*down_proj.*v_proj"):
        places(text_model("llama"), TuneSettings(targets=("q_proj", "c_attn")), "llama")
    with pytest.raises(ModelError, match="vision_tower"):
        places(text_model("llama"), TuneSettings(tower=True), "llama")


def test_tower_and_projector_are_left_alone_unless_asked_for() -> None:
    model = llava()
    tongue = places(model, TuneSettings(), "llava")
    assert not [p for p in tongue if "vision_tower" in p or "projector" in p]
    assert len(tongue) == 2 * 7 + 1
    with_projector = places(model, TuneSettings(projector=True), "llava")
    assert set(with_projector) - set(tongue) == {f"model.multi_modal_projector.linear_{i}" for i in (1, 2)}
    with_tower = places(model, TuneSettings(tower=True, head=False), "llava")
    assert any("vision_tower" in p for p in with_tower)
    assert "lm_head" not in with_tower
    _, counts, _ = adapt(model, TuneSettings(projector=True), "llava")
    assert sum(counts.values()) == len(with_projector)


def test_a_model_that_bends_its_logits_is_refused() -> None:
    model = text_model("llama")
    model.config.logit_scale = 0.5
    with pytest.raises(ModelError, match="logit_scale"):
        check_plain_head(model, "bent")
    model.config.logit_scale = None
    check_plain_head(model, "straight")
