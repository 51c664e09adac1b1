"""A model's matrices in 4 or 8 bits, as the package bitsandbytes holds them.

In: how many bits, and the numbers that products are computed in.  Out: what transformers loads such a model with.
Embedding and head stay as they are.  Small devices hold larger models this way; answers change with it.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any, Literal

import torch
from transformers import BitsAndBytesConfig

from lookwise.errors import ModelError

__all__ = ["Bits", "held_in"]

Bits = Literal["nf4", "int8"]


def held_in(bits: Bits, compute: torch.dtype, setting: str) -> Any:
    """Return the configuration: 4-bit NormalFloat, quantised twice as QLoRA has it, or 8-bit integers.

    Raises ModelError, which names the `setting` that asked for it, where the package is missing.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"{setting}: {bits} needs the package bitsandbytes, which is not installed; "
            f"pip install bitsandbytes, or leave {setting} out"
        )
    make: Any = BitsAndBytesConfig  # untyped
    if bits == "int8":
        # it says with every product that it computes in float16, which it does by design
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return make(load_in_8bit=True)
    return make(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=compute
    )
