"""Open a checkpoint's weights, and an adapter merged into them where that is exact.

In: a `Place`, a device, a dtype.  Out: `Loaded`.  Python that comes with a checkpoint is run only where the place says
that it may be (the user's word, for this model); weights are read from safetensors only.  Whatever transformers says
against a checkpoint becomes one sentence that names the model.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, GenerationConfig
from transformers.utils import logging

from lookwise.models.heads import is_tied, untie
from lookwise.models.hf.bits import Bits, held_in
from lookwise.models.hf.decoding import Decoding, decoding_of
from lookwise.models.hf.device import cuda_computes_bfloat16
from lookwise.models.hf.families import sees_pictures
from lookwise.models.hf.faults import FAULTS, OWN_CODE_CURE, cannot
from lookwise.models.hf.own_code import loader
from lookwise.models.place import Place

__all__ = ["Loaded", "load_network"]

_MERGE_TOLERANCE = 1e-4
"""Largest difference of a logit (float32) that merging an adapter may make."""


class Loaded(NamedTuple):
    """A model in memory; the tokens that end a turn and how text is written, both by its own configuration."""

    model: Any
    ends: frozenset[int]
    decoding: Decoding


_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_network(place: Place, device: torch.device, dtype: str) -> Loaded:
    """Return the weights on their device, ready to be asked, with an adapter if the place names one.

    `dtype` names a kind of number, or the bits that matrices are held in ("int8", "nf4").
    """
    sees = sees_pictures(place.folder, place.spec, remote_code=place.remote_code)
    bars: Any = logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        # "" is the model as a whole: a tower's convolutional body, which has no attention, is not asked for any
        kind, code = loader(place, AutoModelForImageTextToText if sees else AutoModelForCausalLM)
        model: Any = kind.from_pretrained(
            str(place.folder),
            attn_implementation={"": "sdpa"},
            use_safetensors=True,
            local_files_only=True,
            **_numbers(dtype, device),
            **code,
        )
        ends, decoding = _ends(model, place.folder), _decoding(model, place)
        model = (model.to(device) if dtype in _DTYPES else model).eval()
        if place.adapter is not None:
            model = _with_adapter(model, place.adapter)
    except FAULTS as error:
        cure = (OWN_CODE_CURE,) if place.remote_code else ()
        raise cannot(place.spec, "weights", error, *cure) from error
    finally:
        if shown:
            bars.enable_progress_bar()
    return Loaded(model.requires_grad_(False), ends, decoding)


def _numbers(dtype: str, device: torch.device) -> dict[str, Any]:
    """Return what weights are loaded as; quantised ones are made on their device, since they cannot be moved there."""
    if dtype in _DTYPES:
        return {"dtype": _DTYPES[dtype]}
    half = torch.bfloat16 if cuda_computes_bfloat16() else torch.float16
    computed = torch.float32 if device.type == "cpu" else half
    held = held_in(cast(Bits, dtype), computed, "dtype")
    return {"dtype": computed, "quantization_config": held, "device_map": {"": device}}


def _ends(model: Any, folder: Path) -> frozenset[int]:
    found = getattr(_settings(model, folder), "eos_token_id", None)
    if found is None:
        return frozenset()
    return frozenset(found if isinstance(found, list) else [found])


def _decoding(model: Any, place: Place) -> Decoding:
    # BLIP-2's generate hands over to its decoder's, which goes by settings of its own and not by the checkpoint's file.
    writer = model.language_model if model.config.model_type == "blip-2" else model
    settings = _settings(writer, place.folder)
    return decoding_of({} if settings is None else settings.to_dict(), place.spec)


def _settings(model: Any, folder: Path) -> Any:
    """Return a model's generation settings, None where it has none."""
    settings = getattr(model, "generation_config", None)
    if settings is None and (folder / "generation_config.json").is_file():  # a class of its own that knows no generate
        settings = GenerationConfig.from_pretrained(str(folder), local_files_only=True)
    return settings


def _with_adapter(model: Any, folder: Path) -> Any:
    """Return the model with its adapter: merged in float32 if the logits stay the same, else applied as it runs."""
    from peft import PeftModel

    if _adapts_head(folder) and is_tied(model):
        untie(model)  # else merging would change the input embedding along with the head
    with warnings.catch_warnings():
        # PEFT reads an attribute that transformers has renamed; harmless, and nothing that a user could mend.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        wrapped = PeftModel.from_pretrained(model, str(folder)).eval()
    if next(model.parameters()).dtype != torch.float32 or getattr(model, "is_quantized", False):
        return wrapped.get_base_model()
    before = _probe(wrapped)
    wrapped.merge_adapter()
    if (_probe(wrapped) - before).abs().max().item() > _MERGE_TOLERANCE:
        wrapped.unmerge_adapter()
        return wrapped.get_base_model()
    return wrapped.unload()  # the wrappers go, the merged weights stay


def _adapts_head(folder: Path) -> bool:
    with safe_open(str(folder / "adapter_model.safetensors"), "pt") as file:
        return any("lm_head" in key for key in file.keys())  # noqa: SIM118 - safe_open is no mapping


@torch.inference_mode()
def _probe(model: Any) -> torch.Tensor:
    """Return the logits of a fixed run of tokens."""
    embedding = model.get_input_embeddings()
    picked = torch.randint(embedding.num_embeddings, (1, 24), generator=torch.Generator().manual_seed(0))
    logits: torch.Tensor = model(input_ids=picked.to(embedding.weight.device), use_cache=False).logits
    return logits.float()
