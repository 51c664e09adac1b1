"""What memory a checkpoint needs, read from its files before anything is loaded.

In: a `Place`, or a `Preview` of what is still on the hub; the width of a number once loaded.  Out: `Need`: bytes of
weights, bytes that a token's keys and values take in the cache, the longest prompt.  Plain Python: headers of
safetensors files and config.json, no tensor library.
Activations are not counted; they are of the order of the cache of one batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lookwise.models.place import Place, Preview, weight_files
from lookwise.models.weights import Held, held_in_file

__all__ = ["MATRIX_BYTES", "Need", "need_of"]


@dataclass(frozen=True, slots=True)
class Need:
    """Memory in bytes; `token_bytes` is one token of one row in the cache; `positions` 0 when the files do not say."""

    parameters: int
    weight_bytes: int
    token_bytes: int
    positions: int

    def of_batch(self, rows: int, tokens: int) -> int:
        """Return the bytes of weights and of a cache of so many rows of so many tokens."""
        return self.weight_bytes + rows * tokens * self.token_bytes


MATRIX_BYTES: Mapping[str, float] = {"int8": 1.0, "nf4": 0.52}
"""A matrix's number in 8 bits, or in 4 with its scales (64 numbers share one, itself in 8 bits)."""


def need_of(place: Place | Preview, number_bytes: int, matrix_bytes: float | None = None) -> Need:
    """Return what the checkpoint needs when each of its numbers takes `number_bytes` (4 fp32, 2 bf16).

    `matrix_bytes` is what a number of the layers' matrices takes, where they are held in fewer bits than the rest.
    """
    config = json.loads((place.folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config") or config.get("llm_config") or config
    heads = int(text.get("num_attention_heads") or 1)
    width = int(text.get("head_dim") or int(text.get("hidden_size") or 0) // heads)
    groups = int(text.get("num_key_value_heads") or heads)
    layers = int(text.get("num_hidden_layers") or 0)
    tensors = place.held if isinstance(place, Preview) else _held(place)
    parameters = sum(size for _, size, _ in tensors)
    inner = sum(size for name, size, matrix in tensors if matrix and not any(part in name for part in _WHOLE))
    spared = 0 if matrix_bytes is None else round(inner * (number_bytes - matrix_bytes))
    return Need(
        parameters=parameters,
        weight_bytes=parameters * number_bytes - spared,
        token_bytes=2 * layers * groups * width * number_bytes,
        positions=int(text.get("max_position_embeddings") or 0),
    )


_WHOLE = ("embed", "lm_head")
"""Parts of the names of matrices that stay as they are when the others are held in fewer bits."""


def _held(place: Place) -> list[Held]:
    files = [*weight_files(place), *([place.adapter / "adapter_model.safetensors"] if place.adapter else ())]
    return [held for path in files for held in held_in_file(path)]
