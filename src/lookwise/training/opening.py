"""Open a base model for training: weights, and the tokenizer or processor beside them.

In: a spec ("tiny:reader-s", "hf:/path", "hf:org/name", or a plain folder) and settings.  Out: a transformers model on
its device, and its tokenizer (text) or processor (text and pictures).  models/open.py opens the same specs to ask them;
this one needs the bare model.  Pictures are prepared by what models/hf prepares them with, on Pillow, so that a model
sees in tuning what it sees when it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
)

from lookwise.errors import ModelError
from lookwise.models.hf.bits import held_in
from lookwise.models.hf.families import sees_pictures
from lookwise.models.hf.faults import FAULTS, cannot
from lookwise.models.hf.own_code import loader
from lookwise.models.hf.texts import load_texts
from lookwise.models.place import Place, digest, locate
from lookwise.training.bases import check_base, check_tunable
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
    """Open a base as the settings want it, or say in one sentence why it cannot be opened."""
    scheme, colon, _ = base.partition(":")
    spec = base if colon and scheme in ("tiny", "hf") else f"hf:{base}"
    quantization = _quantization(settings)
    code = settings.remote_code
    judge = partial(check_tunable, spec=spec, pictures=False, remote_code=code)
    place = locate(spec, fetch=True, remote_code=code, judge=judge)
    if place is None:
        raise ModelError(f"{base} could not be found; give a checkpoint's folder")
    check_base(spec, pictures=False, remote_code=code)
    sees = sees_pictures(place.folder, base, remote_code=place.remote_code)
    try:
        processor = _processor(place, sees)
        model = _model(place, sees, settings, quantization)
    except FAULTS as error:
        raise cannot(spec, "weights or processor", error) from error
    if settings.gradient_checkpointing:
        _remember_less(model)
    origin = spec if scheme == "tiny" else spec.partition(":")[2]
    return Opened(model, processor, origin, digest(place))


def _processor(place: Place, sees: bool) -> Any:
    """Return the tokenizer, or a processor whose pictures are prepared as in asking."""
    loaded = {"local_files_only": True, "trust_remote_code": place.remote_code}
    if not sees:
        return AutoTokenizer.from_pretrained(place.folder, **loaded)
    auto: Any = AutoProcessor  # its own annotations are incomplete
    processor = auto.from_pretrained(place.folder, **loaded)
    processor.image_processor = load_texts(place).image_processor
    return processor


def _model(place: Place, sees: bool, settings: TuneSettings, quantization: Any | None) -> Any:
    kind, code = loader(place, AutoModelForImageTextToText if sees else AutoModelForCausalLM)
    device = torch.device(settings.device)
    dtype = torch.bfloat16 if settings.dtype == "bfloat16" and not settings.whole else torch.float32
    loaded = {"dtype": dtype, "use_safetensors": True, "local_files_only": True, **code}
    if quantization is None:
        opened = kind.from_pretrained(place.folder, **loaded)
        return opened if settings.shard else opened.to(device)  # what is cut goes to its device part by part
    # Quantised weights are made on their device; they cannot be moved there.
    return kind.from_pretrained(place.folder, quantization_config=quantization, device_map={"": device}, **loaded)


def _quantization(settings: TuneSettings) -> Any | None:
    """Return how the base's matrices are held in fewer bits, if they are."""
    if not settings.quantized:
        return None
    compute = torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32
    return held_in(settings.quantized, compute, "quantized")


def _remember_less(model: Any) -> None:
    """Have layers keep their inputs only and compute themselves again on the way back.

    The last layer keeps everything: it is computed at chosen places only (fast.py), which must not change between the
    way there and the way back.
    """
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    decoder = getattr(model.model, "language_model", model.model)
    layers = getattr(decoder, "layers", None)
    if isinstance(layers, nn.ModuleList):
        last: Any = layers[-1]
        last.gradient_checkpointing = False
