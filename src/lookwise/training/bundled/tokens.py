"""The tokenizer of all bundled tiny models, built from the shop's words, the same bytes every time.

In: nothing but this package's own grammars, instructions and tiny prompts.  Out: tokenizer files and a chat template in
a model's folder, which AutoTokenizer loads.  Lower-casing; words are whole tokens, any other text falls into
characters; a line's end becomes a bar, since the shape of a prompt matters to a small model; what is not ASCII and has
no ASCII base letter becomes <|unk|>.  It knows no weights.
"""

from __future__ import annotations

import re
import string
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookwise.bazaar import words
from lookwise.benchmarks.mmecinstruct import MMECINSTRUCT
from lookwise.training.bundled.instructions import fixed_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["CHAT_TEMPLATE", "NAMED_PHOTOS", "SPECIALS", "build_tokenizer", "save_tokenizer", "vocabulary"]

SPECIALS = ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|bos|>", "<image>", "<|unk|>")
"""In the order of their ids, from 0."""

CHAT_TEMPLATE = (
    "{%- for m in messages -%}<|{{ m['role'] }}|>"
    "{%- if m['content'] is string %} {{ m['content'] }} "
    "{%- else %}{%- for p in m['content'] -%}"
    "{%- if p['type'] == 'text' %} {{ p['text'] }} {% else %} <image> {% endif -%}"
    "{%- endfor %}{%- endif -%}<|end|>{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
NAMED_PHOTOS = (
    "{%- set names = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'] -%}"
    "{%- set photos = namespace(all=0, met=0) -%}"
    "{%- for m in messages if m['content'] is not string -%}{%- for p in m['content'] if p['type'] != 'text' -%}"
    "{%- set photos.all = photos.all + 1 -%}{%- endfor -%}{%- endfor -%}"
    "{%- for m in messages -%}<|{{ m['role'] }}|>"
    "{%- if m['content'] is string %} {{ m['content'] }} "
    "{%- else %}{%- for p in m['content'] -%}"
    "{%- if p['type'] == 'text' %} {{ p['text'] }} "
    "{% else %}{{ '\n' if photos.met else '' }} photo"
    "{%- if photos.all > 1 and photos.met < 9 %} {{ names[photos.met] }}{% endif %}: <image> "
    "{% set photos.met = photos.met + 1 %}{% endif -%}"
    "{%- endfor %}{%- endif -%}<|end|>{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
"""The same for several photos: each is a line of its own with a name, as a caption would be."""
_EXTRA = (
    "helpful ineffective redundant misleading relevant document snippet product history category brand related "
    "true false right wrong full partial text only both neither other another any all some every very most more less "
    "not but if then than so now first last before after next above below like unlike does did do done see look looks "
    "looking picture image view shows shown hidden blank seen think sure maybe here there this that these those they "
    "he she you your our us was were are am be been has had will can could should must might one's price cheap "
    "hundred ten eleven twelve twenty zero st nd rd th"
)
"""Plain English words that neighbours' prompts are likely to use."""


_USES = ("answer", "caption", "caption_plain", "caption_quality")
"""What the bundled models were made for.  Prompts of later uses and tasks are spelled with the words that these have:
a vocabulary that grew would move every id, and no checkpoint would fit."""


def _prompt_texts() -> list[str]:
    folder = files("lookwise.benchmarks") / "prompts" / "tiny"
    found = [(folder / use / f"{task.short}.txt").read_text("utf-8") for use in _USES for task in MMECINSTRUCT.tasks]
    return [re.sub(r"\{[^}]*\}", " ", text) for text in found]


def vocabulary() -> list[str]:
    """Return the tokens in the order of their ids."""
    texts = [*_prompt_texts(), *(re.sub(r"\{[^}]*\}", " ", t) for t in fixed_words()), _EXTRA]
    named = {w for text in texts for w in re.findall(r"[a-z]+", text.lower()) if len(w) > 1}
    ordinals = [words.ordinal(n) for n in range(1, 21)]
    characters = string.ascii_lowercase + string.digits + string.punctuation
    parts = [f"##{c}" for c in string.ascii_lowercase + string.digits]
    return [*SPECIALS, *characters, *parts, *sorted({*named, *words.lexicon()}), *ordinals]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer with its chat template."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    ids = {token: i for i, token in enumerate(vocabulary())}
    inner = Tokenizer(models.WordPiece(ids, unk_token="<|unk|>", max_input_chars_per_word=200))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Replace("\n", " | "), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece(prefix="##")
    make: Any = PreTrainedTokenizerFast  # its constructor is not typed
    tokenizer: PreTrainedTokenizerFast = make(
        tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|end|>", bos_token="<|bos|>", unk_token="<|unk|>",
        additional_special_tokens=["<|user|>", "<|assistant|>", "<|system|>", "<image>"],
        padding_side="left", model_max_length=1024, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def save_tokenizer(folder: Path) -> None:
    """Write the tokenizer's files into a model's folder."""
    build_tokenizer().save_pretrained(folder)
