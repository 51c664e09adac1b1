"""Open a base model for training: weights, and the tokenizer or processor beside them.

In: a spec ("tiny:reader-s", "hf:/path", "hf:org/name", or a plain folder) and settings.  Out: a transformers model on
its device with gradients off nowhere, and its tokenizer (text) or processor (text and pictures).  models/open.py opens
the same specs to ask them; this one needs the bare model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from lookwise.errors import ModelError
from lookwise.training.settings import TuneSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Opened", "open_base"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An open base; `origin` is what an adapter's configuration names as its base."""

    model: PreTrainedModel
    processor: Any
    origin: str


def open_base(base: str, settings: TuneSettings) -> Opened:
    """Open a base in the settings' dtype and on their device, or say in one sentence why it cannot be opened."""
    place, origin = _locate(base)
    dtype = torch.bfloat16 if settings.dtype == "bfloat16" and not settings.whole else torch.float32
    try:
        sees = AutoConfig.from_pretrained(place).model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        kind = AutoModelForImageTextToText if sees else AutoModelForCausalLM
        model: Any = kind.from_pretrained(place, dtype=dtype)
        processor = (AutoProcessor if sees else AutoTokenizer).from_pretrained(place)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise ModelError(f"{base} cannot be opened for tuning: {reason}") from error
    return Opened(model.to(torch.device(settings.device)), processor, origin)


def _locate(base: str) -> tuple[str, str]:
    """Return where the files are and how an adapter's configuration should name them."""
    scheme, _, rest = base.partition(":")
    if scheme == "tiny" and rest:
        folder = Path(__file__).parents[1] / "models" / "tiny" / rest
        if not folder.is_dir():
            known = sorted(f"tiny:{p.parent.name}" for p in folder.parent.glob("*/config.json"))
            raise ModelError(f"{base}: no such bundled model; there are: {', '.join(known)}")
        return str(folder), base
    name = rest if scheme == "hf" and rest else base
    return name, name
