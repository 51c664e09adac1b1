"""The parts of tests/families.py: tiny configurations, image processors and processors of every architecture.

In: a tokenizer.  Out: a configuration, as small as the architecture allows, of the real class; image processors of 32
pixels; the processor class of transformers, made without its part for clips, which would need torchvision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import factory

SIDE = 32


def text_config(words: Any, family: str, **settings: Any) -> Any:
    """Return a decoder's configuration."""
    from transformers import AutoConfig

    shape = {**factory.SMALL, "num_key_value_heads": 2, "tie_word_embeddings": False, **settings}
    ends = {"pad_token_id": 0, "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    return AutoConfig.for_model(family, vocab_size=len(words), **{**shape, **ends})


def decoder(family: str, **settings: Any) -> Callable[[Any], Any]:
    """Return what builds a decoder's configuration."""
    return lambda words: text_config(words, family, **settings)


def clip_tower() -> Any:
    """Return a tower with a class token, of 16 patches a picture."""
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(**factory.VISION)


def siglip_tower() -> Any:
    """Return a tower without a class token, of 16 patches a picture."""
    from transformers import SiglipVisionConfig

    return SiglipVisionConfig(**factory.VISION, vision_use_head=False)


def seer(family: str, inner: str, tower: Callable[[], Any], **settings: Any) -> Callable[[Any], Any]:
    """Return what builds the configuration of a tower, a projector and a decoder."""

    def build(words: Any) -> Any:
        from transformers import AutoConfig

        marks = {"image_token_index": words.convert_tokens_to_ids("<image>")}
        if "<video>" in words.get_vocab():
            marks["video_token_index"] = words.convert_tokens_to_ids("<video>")
        config: Any = AutoConfig.for_model(
            family, vision_config=tower(), text_config=text_config(words, inner), tie_word_embeddings=False,
            **marks, **settings,
        )  # fmt: skip
        return config

    return build


def mllama(words: Any) -> Any:
    """Return the configuration of a decoder that looks at pictures from the side in its second and fourth layer."""
    from transformers import MllamaConfig, MllamaTextConfig, MllamaVisionConfig

    vision = MllamaVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_global_layers=1, attention_heads=2,
        image_size=SIDE, patch_size=8, max_num_tiles=4, intermediate_layers_indices=[1], vision_output_dim=48,
    )  # fmt: skip
    ends = {"pad_token_id": 0, "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    text = MllamaTextConfig(
        vocab_size=words.convert_tokens_to_ids("<|image|>"), cross_attention_layers=[1, 3], tie_word_embeddings=False,
        num_key_value_heads=2, **{**factory.SMALL, "num_hidden_layers": 4}, **ends,
    )  # fmt: skip
    return MllamaConfig(
        vision_config=vision, text_config=text, image_token_index=words.convert_tokens_to_ids("<|image|>")
    )


def blip2(words: Any) -> Any:
    """Return the configuration of a tower, a query former and an OPT decoder."""
    from transformers import Blip2Config, Blip2QFormerConfig, Blip2VisionConfig, OPTConfig

    ends = {"pad_token_id": 0, "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    text = OPTConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=2, ffn_dim=48, num_attention_heads=4,
        max_position_embeddings=512, word_embed_proj_dim=32, tie_word_embeddings=False, **ends,
    )  # fmt: skip
    former = Blip2QFormerConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, encoder_hidden_size=24,
        cross_attention_frequency=1,
    )  # fmt: skip
    return Blip2Config(
        vision_config=Blip2VisionConfig(**factory.VISION), qformer_config=former, text_config=text,
        num_query_tokens=5, image_token_index=words.convert_tokens_to_ids("<image>"), tie_word_embeddings=False,
    )  # fmt: skip


def qwen_vl(family: str) -> Callable[[Any], Any]:
    """Return what builds the configuration of a decoder whose positions have three axes."""

    def build(words: Any) -> Any:
        from transformers import AutoConfig

        rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
        text = {
            **factory.SMALL, "num_key_value_heads": 2, "vocab_size": len(words), "rope_parameters": rope,
            "bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": 0,
        }  # fmt: skip
        vision: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2}
        if family == "qwen2_vl":
            vision |= {"embed_dim": 24, "hidden_size": 32, "mlp_ratio": 2}
        else:
            vision |= {
                "hidden_size": 24, "out_hidden_size": 32, "intermediate_size": 32, "window_size": 16,
                "fullatt_block_indexes": [1],
            }  # fmt: skip
        marks = {f"{kind}_token_id": words.convert_tokens_to_ids(f"<|{kind}_pad|>") for kind in ("image", "video")}
        edges = {f"vision_{e}_token_id": words.convert_tokens_to_ids(f"<|vision_{e}|>") for e in ("start", "end")}
        config: Any = AutoConfig.for_model(
            family, text_config=text, vision_config=vision, tie_word_embeddings=False, **marks, **edges
        )
        return config

    return build


def internvl(words: Any) -> Any:
    """Return the configuration of InternVL in the layout of transformers."""
    from transformers import InternVLConfig, InternVLVisionConfig

    vision = InternVLVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=[SIDE, SIDE],
        patch_size=[8, 8],
    )  # fmt: skip
    return InternVLConfig(
        vision_config=vision, text_config=text_config(words, "qwen2"), downsample_ratio=0.5, tie_word_embeddings=False,
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
    )  # fmt: skip


def llava_images() -> Any:
    """Return LLaVA-1.5's image processor, small."""
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})


GRID = [[32, 64], [64, 32], [64, 64]]


def llava_next_images() -> Any:
    """Return LLaVA-NeXT's image processor, small."""
    from transformers import LlavaNextImageProcessorPil

    return LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=GRID
    )


def siglip_images() -> Any:
    """Return LLaVA-NeXT-Interleave's image processor, small."""
    from transformers import SiglipImageProcessorPil

    return SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE})


def onevision_images() -> Any:
    """Return LLaVA-OneVision's image processor, small."""
    from transformers import LlavaOnevisionImageProcessorPil

    return LlavaOnevisionImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=GRID)


def mllama_images() -> Any:
    """Return Llama-3.2-Vision's image processor, small."""
    from transformers import MllamaImageProcessorPil

    return MllamaImageProcessorPil(size={"height": SIDE, "width": SIDE}, max_image_tiles=4)


def blip_images() -> Any:
    """Return BLIP-2's image processor, small."""
    from transformers import BlipImageProcessorPil

    return BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})


def qwen_images() -> Any:
    """Return Qwen2-VL's image processor, small."""
    from transformers import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, size={"shortest_edge": 256, "longest_edge": 1536})


def internvl_images() -> Any:
    """Return InternVL's image processor, small."""
    from transformers import GotOcr2ImageProcessorPil

    return GotOcr2ImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, crop_to_patches=True, min_patches=1, max_patches=4
    )


def processor(name: str, **settings: Any) -> Callable[[Any, Any, str | None], Any]:
    """Return what makes a processor of transformers, without its part for clips, which needs torchvision."""

    def make(images: Any, words: Any, template: str | None) -> Any:
        import transformers
        from transformers import ProcessorMixin

        given = {} if name == "Blip2Processor" else {"chat_template": template}
        with patch.object(ProcessorMixin, "check_argument_for_proper_class", lambda *_: None):
            return getattr(transformers, name)(image_processor=images, tokenizer=words, **given, **settings)

    return make
