"""A small model from scratch on a user's own data: tokenizer, reader, captioner, and training of all parameters.

In: texts, sizes, examples.  Out: transformers models that Auto classes load as they are, trained through the same
examples, collator, loss, accuracy and checkpoints as an adapter.  It knows no task and no data set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

__all__ = ["SPECIALS", "TEMPLATE", "build_tokenizer", "new_reader"]

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
    tokenizer: PreTrainedTokenizerFast, width: int, layers: int, heads: int, seed: int = 0, positions: int = 1024
) -> LlamaForCausalLM:
    """Return a Llama with random weights, its head tied to its embedding."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(_llama(tokenizer, width, layers, heads, positions))


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
