"""One tiny random checkpoint of every family: real configuration class, image processor, layout and chat template.

In: a folder.  Out: a saved checkpoint as it is published (config, safetensors, tokenizer, template, preprocessor) of
about 100 k parameters.  Chat templates are data: templates/*.jinja, with the turns' markers as published.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import factory
from family_shapes import (
    GRID,
    SIDE,
    blip2,
    blip_images,
    clip_tower,
    decoder,
    internvl,
    internvl_images,
    llava_images,
    llava_next_images,
    mllama,
    mllama_images,
    onevision_images,
    processor,
    qwen_images,
    qwen_vl,
    seer,
    siglip_images,
    siglip_tower,
)

TEMPLATES = Path(__file__).parent / "templates"
LLAMA2 = ("<pad>", "<s>", "</s>")
LLAMA3 = (
    "<|finetune_right_pad_id|>", "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>",
    "<|end_header_id|>", "<|python_tag|>",
)  # fmt: skip
CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True)
class Tokens:
    """A family's special tokens: the first pads."""

    all: tuple[str, ...]
    begin: str
    end: str
    turn: str | None = None
    """What ends a turn, where that is not what ends a text."""


@dataclass(frozen=True)
class Family:
    """A row of docs/models.md: the models that it stands for, how its checkpoint is made, what it can be given."""

    name: str
    models: str
    template: str | None
    tokens: Tokens
    build: Callable[[Any], Any]
    images: Callable[[], Any] | None = None
    processor: Callable[[Any, Any, str | None], Any] | None = None
    most: int = 0
    clips: str | None = None
    """How a clip reaches the model, None where none does."""
    turns: bool = True
    system: bool = True
    lead: str = ""
    """What the template puts between its answer prompt and an answer."""
    penalty: float | None = None  # the repetition_penalty of its generation_config.json
    note: str = ""


DEFAULT = {"vision_feature_select_strategy": "default", "num_additional_image_tokens": 1, "patch_size": 8}
FULL = {"vision_feature_select_strategy": "full", "num_additional_image_tokens": 0, "patch_size": 8}
CLIP = {"vision_feature_layer": -1, "vision_feature_select_strategy": "default"}

FAMILIES = (
    Family("Llama 2", "Llama-2-7B/13B-chat", "llama-2", Tokens(LLAMA2, "<s>", "</s>"), decoder("llama"), lead=" "),
    Family(
        "Llama 3", "Llama-3-8B-Instruct", "llama-3", Tokens(LLAMA3, "<|begin_of_text|>", "<|eot_id|>"), decoder("llama")
    ),
    Family(
        "Llama 3.1",
        "Llama-3.1-8B-Instruct",
        "llama-3.1",
        Tokens(LLAMA3, "<|begin_of_text|>", "<|eot_id|>"),
        decoder(
            "llama",
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 5e5,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        ),
        note="told the date 26 Jul 2024, whatever the day",
    ),
    Family(
        "Llama 3.2",
        "Llama-3.2-1B/3B-Instruct",
        "llama-3.2",
        Tokens(LLAMA3, "<|begin_of_text|>", "<|eot_id|>"),
        decoder("llama", tie_word_embeddings=True),
        note="told the date 26 Jul 2024, whatever the day",
    ),
    Family(
        "Mistral",
        "Mistral-7B-Instruct-v0.3",
        "mistral-v0.3",
        Tokens(("<unk>", "<s>", "</s>", "[INST]", "[/INST]"), "<s>", "</s>"),
        decoder("mistral"),
        system=False,
        lead=" ",
    ),
    Family(
        "Phi-3.5",
        "Phi-3.5-mini-instruct",
        "phi-3.5",
        Tokens(
            ("<|endoftext|>", "<s>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
            "<s>",
            "<|endoftext|>",
            "<|end|>",
        ),
        decoder("phi3"),
    ),
    Family(
        "Qwen2",
        "Qwen2-0.5B/1.5B/7B-Instruct",
        "qwen2",
        Tokens(CHATML, "<|endoftext|>", "<|im_end|>"),
        decoder("qwen2"),
        penalty=1.3,
    ),
    Family(
        "Llama 3.2 Vision",
        "Llama-3.2-11B-Vision-Instruct",
        "mllama",
        Tokens((*LLAMA3, "<|image|>"), "<|begin_of_text|>", "<|eot_id|>"),
        mllama,
        mllama_images,
        processor("MllamaProcessor"),
        most=8,
        penalty=1.3,  # whose picture token lies beyond the head
        note="also as a judge that reads text only",
    ),
    Family(
        "LLaVA-1.5",
        "llava-1.5-7b/13b-hf",
        "llava-1.5",
        Tokens((*LLAMA2, "<image>"), "<s>", "</s>"),
        seer("llava", "llama", clip_tower, **CLIP),
        llava_images,
        processor("LlavaProcessor", **DEFAULT),
        most=8,
        lead=" ",
    ),
    Family(
        "LLaVA-NeXT",
        "llava-v1.6-mistral-7b-hf, -vicuna-",
        "llava-next",
        Tokens((*LLAMA2, "<image>"), "<s>", "</s>"),
        seer("llava_next", "mistral", clip_tower, image_grid_pinpoints=GRID, **CLIP),
        llava_next_images,
        processor("LlavaNextProcessor", **DEFAULT),
        most=8,
        lead=" ",
    ),
    Family(
        "LLaVA-NeXT-Interleave",
        "llava-interleave-qwen-0.5b/7b-hf",
        "llava-interleave",
        Tokens((*CHATML, "<image>"), "<|endoftext|>", "<|im_end|>"),
        seer("llava", "qwen2", siglip_tower, vision_feature_layer=-2, vision_feature_select_strategy="full"),
        siglip_images,
        processor("LlavaProcessor", **FULL),
        most=8,
    ),
    Family(
        "LLaVA-OneVision",
        "llava-onevision-qwen2-0.5b/7b-ov-hf",
        "llava-onevision",
        Tokens((*CHATML, "<image>", "<video>"), "<|endoftext|>", "<|im_end|>"),
        seer(
            "llava_onevision",
            "qwen2",
            siglip_tower,
            vision_feature_layer=-1,
            vision_feature_select_strategy="full",
            image_grid_pinpoints=GRID,
        ),
        onevision_images,
        processor(
            "LlavaOnevisionProcessor",
            num_image_tokens=16,
            vision_feature_select_strategy="full",
            vision_aspect_ratio="anyres_max_9",
        ),
        most=8,
        clips="frames pooled to a quarter",
        note="cuts a picture into crops only where it is alone in its prompt",
    ),
    Family(
        "LLaVA-NeXT-Video",
        "LLaVA-NeXT-Video-7B-hf",
        "llava-next-video",
        Tokens((*LLAMA2, "<image>", "<video>"), "<s>", "</s>"),
        seer("llava_next_video", "llama", clip_tower, image_grid_pinpoints=GRID, **CLIP),
        llava_next_images,
        processor("LlavaNextVideoProcessor", **DEFAULT),
        most=8,
        clips="frames pooled to a quarter",
        lead=" ",
    ),
    Family(
        "BLIP-2-OPT",
        "blip2-opt-2.7b/6.7b",
        None,
        Tokens(("<pad>", "</s>", "<image>"), "</s>", "</s>"),
        blip2,
        blip_images,
        processor("Blip2Processor", num_query_tokens=5),
        most=1,
        turns=False,
        system=False,
        lead=" ",
        penalty=1.3,  # not handed on by its generate
        note="exactly one picture, one question, asked as its authors did: Question: … Answer:",
    ),
    Family(
        "Qwen2-VL",
        "Qwen2-VL-2B/7B-Instruct",
        "qwen2-vl",
        Tokens(
            (*CHATML, "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
            "<|endoftext|>",
            "<|im_end|>",
        ),
        qwen_vl("qwen2_vl"),
        qwen_images,
        processor("Qwen2VLProcessor"),
        most=8,
        clips="two frames a step",
    ),
    Family(
        "Qwen2.5-VL",
        "Qwen2.5-VL-3B/7B-Instruct",
        "qwen2-vl",
        Tokens(
            (*CHATML, "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
            "<|endoftext|>",
            "<|im_end|>",
        ),
        qwen_vl("qwen2_5_vl"),
        qwen_images,
        processor("Qwen2_5_VLProcessor"),
        most=8,
        clips="two frames a step",
        penalty=1.3,
        note="a step of a clip counts as one second",
    ),
    Family(
        "InternVL",
        "InternVL2.5/3-*-hf",
        "internvl",
        Tokens((*CHATML, "<img>", "</img>", "<IMG_CONTEXT>", "<video>"), "<|endoftext|>", "<|im_end|>"),
        internvl,
        internvl_images,
        processor("InternVLProcessor", image_seq_length=4),
        most=8,
        clips="frame by frame, numbered",
    ),
)


def tokenizer(family: Family) -> Any:
    """Return a family's tokenizer: its own markers over a small byte-level vocabulary."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(factory_split()), behavior="isolated")
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_only])
    inner.decoder = decoders.ByteLevel()
    specials = list(family.tokens.all)
    # mllama's image token lies beyond the head: it comes last, as in the published vocabulary
    late = [token for token in specials if token == "<|image|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[token for token in specials if token not in late], show_progress=False,
    )  # fmt: skip
    inner.train_from_iterator([factory.TEXT] * 4, trainer)
    named = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token=specials[0], bos_token=family.tokens.begin, eos_token=family.tokens.end,
        additional_special_tokens=[token for token in specials if token not in late],
        **({"extra_special_tokens": named} if family.name == "InternVL" else {}),
    )  # fmt: skip
    if family.name == "BLIP-2-OPT":  # OPT's tokenizer begins every text with the token that also ends it
        made.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="</s> $A", special_tokens=[("</s>", made.eos_token_id)]
        )
    if late:
        made.add_special_tokens({"additional_special_tokens": late}, replace_extra_special_tokens=False)
    return made


def factory_split() -> str:
    """Return how Qwen2's tokenizer cuts text, which is how any tokenizer of a qwen2 checkpoint does once loaded."""
    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    return words + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def save(family: Family, folder: Path) -> Path:
    """Save a family's checkpoint."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    words = tokenizer(family)
    config = factory._seeded(family.build(words))
    for part in ("qformer_config", "text_config", "vision_config"):
        if getattr(config, part, None) is not None:
            getattr(config, part).initializer_range = 0.2
    kind: Any = AutoModelForImageTextToText if family.images else AutoModelForCausalLM
    model = kind.from_config(config)
    _open_gates(model)
    ends = [token for token in (family.tokens.end, family.tokens.turn) if token is not None]
    model.generation_config.eos_token_id = words.convert_tokens_to_ids(ends)
    model.generation_config.pad_token_id = 0
    model.generation_config.repetition_penalty = family.penalty
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    if family.template is not None:
        (folder / "chat_template.jinja").write_text(template(family) or "", encoding="utf-8")
    if family.images is not None:
        family.images().save_pretrained(folder)
    if family.name in ("LLaVA-OneVision", "LLaVA-NeXT-Video"):
        (folder / "video_preprocessor_config.json").write_text(json.dumps(clip_settings(family)), encoding="utf-8")
    return folder


def template(family: Family) -> str | None:
    """Return a family's chat template."""
    if family.template is None:
        return None
    return (TEMPLATES / f"{family.template}.jinja").read_text(encoding="utf-8").rstrip("\n")


def clip_settings(family: Family) -> dict[str, Any]:
    """Return what a published checkpoint says of its clips."""
    square = {"height": SIDE, "width": SIDE}
    if family.name == "LLaVA-OneVision":
        return {"video_processor_type": "LlavaOnevisionVideoProcessor", "size": square, "do_resize": True}
    return {
        "video_processor_type": "LlavaNextVideoVideoProcessor", "size": {"shortest_edge": SIDE}, "crop_size": square,
        "do_resize": True, "do_center_crop": True,
    }  # fmt: skip


def _open_gates(model: Any) -> None:
    """Open the gates of layers that look aside, which begin closed, so that pictures matter."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "gate" in name and weight.numel() == 1:
                weight.fill_(0.7)


_MARKS = {True: "✓", False: "refused"}


def table() -> str:
    """Return the table of docs/models.md."""
    head = ("family", "checkpoints", "text alone", "pictures", "clips", "system turn", "remarks")
    rows = [
        (
            family.name,
            family.models,
            _MARKS[family.most != 1],
            {0: "refused", 1: "exactly one"}.get(family.most, "one or several"),
            family.clips or "refused",
            _MARKS[family.system],
            family.note,
        )
        for family in FAMILIES
    ]
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
