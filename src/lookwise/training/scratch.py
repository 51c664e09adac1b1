"""A small model from scratch on a user's own data: tokenizer, reader, captioner, and training of all parameters.

In: texts, sizes, examples.  Out: transformers models that Auto classes load as they are, trained through the same
examples, collator, loss, accuracy and checkpoints as an adapter.  It knows no task and no data set.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from transformers import (
    DPTConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    ResNetConfig,
    SegformerConfig,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from lookwise.training import checkpoint
from lookwise.training.collate import Augment
from lookwise.training.examples import Encoder, Example
from lookwise.training.settings import TuneSettings
from lookwise.training.trainer import quiet
from lookwise.training.tune import Display, Watch, fit, on_device, plan_of, shown, write_card

__all__ = ["SPECIALS", "TEMPLATE", "ConvEyes", "Eyes", "build_tokenizer", "new_llava", "new_reader", "train_whole"]

SPECIALS = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|bos|>", "<image>")
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{%- if message['content'] is string -%}{{ ' ' + message['content'] }}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{{ ' <image>' if part['type'] == 'image' else ' ' + part['text'] }}"
    "{%- endfor -%}{%- endif -%}"
    "{{ ' <|end|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
_PIECE = re.compile(r"[^\W_]+|[^\w\s]|_")


@dataclass(frozen=True, slots=True)
class Eyes:
    """Sizes of a small tower: `side` of the square picture in pixels, then one entry per stage.

    Every stage halves the resolution, the first quarters it: `side` must be divisible by 2 ** (stages + 1).  The tower
    is a SegFormer: overlapping convolutions, attention over places, depth-wise convolutions between; of what plain
    transformers accepts as a LLaVA tower it is nearest to a convolutional net, and learns from few pictures.
    """

    side: int = 64
    widths: tuple[int, ...] = (32, 64, 128)
    depths: tuple[int, ...] = (1, 2, 2)
    heads: tuple[int, ...] = (1, 2, 4)

    @property
    def patch(self) -> int:
        """Pixels on a side that one image token stands for."""
        return int(2 ** (len(self.widths) + 1))


@dataclass(frozen=True, slots=True)
class ConvEyes:
    """Sizes of a convolutional tower: a stem, three stages of residual blocks, one layer of attention over places.

    It is transformers' DPT with a ResNet body, the way in which a LLaVA model can take the states of a ResNet.  From
    few photos it learns to tell others apart far better than a `Eyes`.  `side` must be divisible by 16.
    """

    side: int = 64
    stem: int = 32
    widths: tuple[int, int, int] = (40, 80, 160)
    depths: tuple[int, int, int] = (1, 2, 2)
    heads: int = 4

    @property
    def patch(self) -> int:
        """Pixels on a side that one image token stands for."""
        return 16


def build_tokenizer(texts: Iterable[str], min_count: int = 2, max_words: int = 8000) -> PreTrainedTokenizerFast:
    """Return a lower-casing word-piece tokenizer: the texts' frequent words whole, everything else letter by letter.

    Any text can be encoded: letters and digits that the texts never use become one unknown piece each (`<|pad|>` is
    never that piece).  Equal texts give an equal tokenizer.
    """
    words: Counter[str] = Counter()
    for text in texts:
        words.update(_PIECE.findall(text.lower()))
    letters = sorted({c for word in words for c in word} | set("abcdefghijklmnopqrstuvwxyz0123456789.,:;?!'\"()-/%&+"))
    frequent = sorted((w for w, n in words.items() if n >= min_count and len(w) > 1), key=lambda w: (-words[w], w))
    pieces = [*SPECIALS, "<|unk|>", *letters, *(f"##{c}" for c in letters), *frequent[:max_words]]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    core = Tokenizer(WordPiece(vocabulary, unk_token="<|unk|>", max_input_chars_per_word=100))
    core.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])
    core.decoder = decoders.WordPiece(prefix="##")
    make: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = make(
        tokenizer_object=core,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        bos_token="<|bos|>",
        unk_token="<|unk|>",
        additional_special_tokens=["<|user|>", "<|assistant|>", "<|system|>", "<image>"],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def new_reader(
    tokenizer: PreTrainedTokenizerFast,
    width: int,
    layers: int,
    heads: int,
    seed: int = 0,
    positions: int = 1024,
    spread: float = 0.02,
) -> LlamaForCausalLM:
    """Return a Llama with random weights of a standard deviation, its head tied to its embedding."""
    config = _llama(tokenizer, width, layers, heads, positions)
    config.initializer_range = spread
    torch.manual_seed(seed)
    return LlamaForCausalLM(config)


def _llama(tokenizer: PreTrainedTokenizerFast, width: int, layers: int, heads: int, positions: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=-(-width * 8 // 3 // 16) * 16,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def new_llava(
    tokenizer: PreTrainedTokenizerFast,
    eyes: Eyes | ConvEyes,
    width: int,
    layers: int,
    heads: int,
    seed: int = 0,
    positions: int = 512,
    spread: float = 0.02,
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """Return a LLaVA-class model with random weights and its processor; both save and load through Auto classes.

    `spread` is the standard deviation of the language model's and the projector's weights.
    """
    tower = _segformer(eyes) if isinstance(eyes, Eyes) else _convolutional(eyes)
    tongue = _llama(tokenizer, width, layers, heads, positions)
    tongue.initializer_range = spread
    places = (eyes.side // eyes.patch) ** 2
    make: Any = LlavaConfig
    config = make(
        vision_config=tower,
        text_config=tongue,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy=_strategy(eyes),
        image_seq_length=places,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(config)
    if isinstance(eyes, ConvEyes):  # a quarter less time a step on a CPU: convolutions want a place's channels together
        model.model.vision_tower.to(memory_format=torch.channels_last)
    return model, _processor(tokenizer, eyes)


def _segformer(eyes: Eyes) -> Any:
    stages = len(eyes.widths)
    make_tower: Any = SegformerConfig
    return make_tower(
        num_encoder_blocks=stages,
        depths=list(eyes.depths),
        sr_ratios=[2 ** (stages - 1 - i) for i in range(stages)],
        hidden_sizes=list(eyes.widths),
        patch_sizes=[7, *[3] * (stages - 1)],
        strides=[4, *[2] * (stages - 1)],
        num_attention_heads=list(eyes.heads),
        mlp_ratios=[2] * stages,
        drop_path_rate=0.0,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        reshape_last_stage=False,
        hidden_size=eyes.widths[-1],
        image_size=eyes.side,
    )


def _convolutional(eyes: ConvEyes) -> Any:
    make_body: Any = ResNetConfig
    body = make_body(
        embedding_size=eyes.stem,
        hidden_sizes=list(eyes.widths),
        depths=list(eyes.depths),
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3"],
    )
    places = eyes.side // eyes.patch
    make_tower: Any = DPTConfig
    return make_tower(
        is_hybrid=True,
        backbone_config=body,
        backbone_featmap_shape=[1, eyes.widths[-1], places, places],
        backbone_out_indices=[0],
        hidden_size=eyes.widths[-1],
        intermediate_size=2 * eyes.widths[-1],
        num_hidden_layers=1,
        num_attention_heads=eyes.heads,
        image_size=eyes.side,
        patch_size=eyes.patch,
    )


def _strategy(eyes: Eyes | ConvEyes) -> str:
    """Return which of a tower's states are image tokens: all, or all but the summary that a DPT puts first."""
    return "full" if isinstance(eyes, Eyes) else "default"


def _processor(tokenizer: PreTrainedTokenizerFast, eyes: Eyes | ConvEyes) -> LlavaProcessor:
    size = {"height": eyes.side, "width": eyes.side}
    pictures = SiglipImageProcessorPil(size=size, resample=2, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    make: Any = LlavaProcessor
    processor: LlavaProcessor = make(
        pictures,
        tokenizer,
        patch_size=eyes.patch,
        vision_feature_select_strategy=_strategy(eyes),
        image_token="<image>",
        num_additional_image_tokens=0 if isinstance(eyes, Eyes) else 1,
        chat_template=tokenizer.chat_template,
    )
    return processor


def train_whole(
    model: Any,
    processor: Any,
    train: Sequence[Example],
    val: Sequence[Example],
    out: Path,
    settings: TuneSettings | None = None,
    card: Mapping[str, Any] | None = None,
    display: Display | None = None,
    watch: Watch | None = None,
    augment: Augment | None = None,
    tower: bool = True,
) -> Path:
    """Train every parameter of a model and save it, its processor, card.md and, last, card.json into `out`.

    Without `tower` a vision tower stays as it is.  Goes on where it was killed, as `tune` does; the plan holds a digest
    of the weights that `model` comes with, so that another start is never continued.  Without settings: rate 1e-3,
    20 epochs, batch 64.
    """
    settings = replace(settings or TuneSettings(learning_rate=1e-3, epochs=20, batch=64), whole=True)
    plan = plan_of(f"scratch:{_weights(model)}{'' if tower else ', tower kept'}", train, val, settings)
    if checkpoint.finished(out, plan):
        return out
    work = out / "work"
    checkpoint.same_plan(work, plan)
    with quiet():
        settings = on_device(settings)
        encoder = Encoder(processor, out.name)
        model.requires_grad_(True)
        if not tower:
            model.model.vision_tower.requires_grad_(False)
        with shown(display, f"train {out.name}", watch) as tell:
            fitted = fit(model, encoder, train, val, work, settings, tell, augment)
        model.config.use_cache = True
        model.save_pretrained(out)
        processor.save_pretrained(out)
    facts = {"kind": "model", "base": plan["base"], "parameters": sum(p.numel() for p in model.parameters())}
    write_card(out, plan, fitted, facts, card or {})
    checkpoint.clear(work)
    return out


def _weights(model: Any) -> str:
    total = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:16]
