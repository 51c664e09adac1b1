"""Tiny random checkpoints of real architectures, saved as any checkpoint is: for tests of whatever opens models.

In: a folder and a family.  Out: the folder, holding config, safetensors, tokenizer and chat template, about 50 to 200 k
parameters.  Weights are wider than usual (std 0.2), so that scores differ and greedy text is no single token for ever.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHATML = (
    "{%- for m in messages -%}<|im_start|>{{ m['role'] }}\n"
    "{%- if m['content'] is string -%}{{ m['content'] }}"
    "{%- else -%}{%- for p in m['content'] -%}"
    "{%- if p['type'] == 'image' -%}<image>\n{%- else -%}{{ p['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}<|im_end|>\n{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)
"""A template with markers round each turn."""

BRACKETS = (
    "<s>{%- for m in messages -%}{%- if m['role'] == 'user' -%}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{%- elif m['role'] == 'assistant' -%}{{ ' ' + m['content'] + '</s>' }}"
    "{%- else -%}{{ raise_exception('only user and assistant') }}{%- endif -%}{%- endfor -%}"
)
"""A template without markers round turns, whose answers begin with a space and which refuses a system turn."""

SPECIALS = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<image>"]
TEXT = (
    "query: red kettle title: a sturdy kettle, 2 litres, for the kitchen. Does the picture help? yes no relevant "
    "irrelevant helpful A: very positive B: positive C: neutral D: negative E: very negative system user assistant "
    "blue green small large toy torch helmet blanket price review buyer question document snippet"
)
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}
VISION = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}


def tokenizer(template: str = CHATML) -> Any:
    """Return a byte-level BPE tokenizer with the specials above."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=SPECIALS, show_progress=False
    )
    inner.train_from_iterator([TEXT] * 4, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="<|im_end|>",
        additional_special_tokens=["</s>", "<|im_start|>", "<image>"],
    )  # fmt: skip
    made.chat_template = template
    return made


def text_model(folder: Path, family: str, template: str = CHATML, **settings: Any) -> Path:
    """Save a random decoder of a family ("llama", "mistral", …); `settings` go to its configuration."""
    from transformers import AutoConfig, AutoModelForCausalLM

    words = tokenizer(template)
    kept = {"num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": words.eos_token_id}
    config = AutoConfig.for_model(family, vocab_size=len(words), **{**SMALL, **kept, **settings})
    return _save(folder, AutoModelForCausalLM.from_config(_seeded(config)), words)


def llava(folder: Path, text: str = "llama", template: str = CHATML, family: str = "llava") -> Path:
    """Save a random vision-language model of 32-pixel pictures in 16 patches (llava_next: up to two more crops)."""
    from transformers import AutoConfig, AutoModelForImageTextToText, CLIPVisionConfig

    words = tokenizer(template)
    image = words.convert_tokens_to_ids("<image>")
    inner = AutoConfig.for_model(
        text, vocab_size=len(words), num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=4, **SMALL
    )
    more: dict[str, Any] = {"image_grid_pinpoints": [[32, 64], [64, 32]]} if family == "llava_next" else {}
    config = AutoConfig.for_model(
        family, vision_config=CLIPVisionConfig(**VISION), text_config=inner, image_token_index=image,
        vision_feature_layer=-1, vision_feature_select_strategy="default", **more,
    )  # fmt: skip
    _save(folder, AutoModelForImageTextToText.from_config(_seeded(config)), words)
    _processor(family, words, template, more).save_pretrained(folder)
    return folder


def _processor(family: str, words: Any, template: str, more: dict[str, Any]) -> Any:
    from transformers import CLIPImageProcessor, LlavaNextImageProcessor, LlavaNextProcessor, LlavaProcessor

    side = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    kind, images = (
        (LlavaProcessor, CLIPImageProcessor(**side))
        if family == "llava"
        else (LlavaNextProcessor, LlavaNextImageProcessor(**side, **more))
    )
    return kind(
        image_processor=images, tokenizer=words, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, image_token="<image>", chat_template=template,
    )  # fmt: skip


def _seeded(config: Any) -> Any:
    import torch

    torch.manual_seed(3)
    for part in (config, getattr(config, "text_config", None), getattr(config, "vision_config", None)):
        if part is not None:
            part.initializer_range = 0.2
    return config


def _save(folder: Path, model: Any, words: Any) -> Path:
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
