"""Open a base model for training: weights, and the tokenizer or processor beside them.

In: a spec ("tiny:reader-s", "hf:/path", "hf:org/name", or a plain folder) and settings.  Out: a transformers model on
its device, and its tokenizer (text) or processor (text and pictures).  models/open.py opens
the same specs to ask them; this one needs the bare model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from lookwise.errors import ModelError
from lookwise.models.hf.families import sees_pictures
from lookwise.models.place import digest, locate
from lookwise.training.settings import TuneSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Opened", "open_base"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An open base; `origin` is what an adapter's configuration names as its base.

    `fingerprint` is the digest of everything in its folder that an answer depends on.
    """

    model: PreTrainedModel
    processor: Any
    origin: str
    fingerprint: str


def open_base(base: str, settings: TuneSettings) -> Opened:
    """Open a base in the settings' dtype and on their device, or say in one sentence why it cannot be opened."""
    scheme, colon, _ = base.partition(":")
    spec = base if colon and scheme in ("tiny", "hf") else f"hf:{base}"
    place = locate(spec, fetch=True)
    if place is None:
        raise ModelError(f"{base} could not be found; give a checkpoint's folder")
    if place.adapter is not None:
        raise ModelError(f"{base} is an adapter on a base; tune from the base itself")
    dtype = torch.bfloat16 if settings.dtype == "bfloat16" and not settings.whole else torch.float32
    sees = sees_pictures(place.folder, base)
    kind = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    try:
        model: Any = kind.from_pretrained(place.folder, dtype=dtype)
        processor = (AutoProcessor if sees else AutoTokenizer).from_pretrained(place.folder)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise ModelError(f"{base} cannot be opened for tuning: {reason}") from error
    origin = spec if scheme == "tiny" else spec.partition(":")[2]
    return Opened(model.to(torch.device(settings.device)), processor, origin, digest(place))
