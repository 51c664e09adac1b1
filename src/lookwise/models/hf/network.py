"""A loaded network: one call from a pack of rows to the logits that are wanted.

In: a pack or a step, and its plan of attention.  Out: logits in float32.  It knows neither requests nor text.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lookwise.models.hf.attention import ATTENTION, Plan, register
from lookwise.models.hf.layout import Pack
from lookwise.models.hf.lean import LeanDecoder, fits

__all__ = ["CPU_PACK", "Network"]

CPU_PACK = 1024
"""Tokens computed in one pass on a CPU: enough to fill matrix products, few enough to stay in its caches."""

_CUDA_PACK = 16_384


class Network:
    """A transformers model whose decoder attends as a plan says."""

    def __init__(self, model: Any, device: torch.device) -> None:
        register()
        self.model, self.device = model, device
        self._decoder = model.get_decoder()
        self._decoder.config._attn_implementation = ATTENTION
        self._embed = model.get_input_embeddings()
        self._lean = LeanDecoder(model) if fits(model) else None
        text = model.config.get_text_config()
        self.most_tokens = int(getattr(text, "max_position_embeddings", 0) or 2**31)
        self.vocabulary = int(self._embed.num_embeddings)
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        self.bytes_per_token = 2 * text.num_hidden_layers * heads * width * self._embed.weight.element_size()

    @property
    def pack_tokens(self) -> int:
        """About how many tokens one pass computes."""
        return CPU_PACK if self.device.type == "cpu" else _CUDA_PACK

    @property
    def padded(self) -> bool:
        """Whether attention over a pack pads, since starting a kernel for each row would cost more."""
        return self.device.type != "cpu"

    def pack_logits(self, pack: Pack, plan: Plan) -> Tensor:
        """Return logits [wanted, vocabulary] of a pack."""
        if self._lean is not None:
            hidden = self._with_features(self._lean.embed(pack.ids[0]), pack)
            return self._lean.logits(hidden, pack.positions[0], plan, pack.wanted)
        if not pack.features:
            return self._logits(plan, pack.positions, pack.wanted, input_ids=pack.ids)[0]
        embedded = self._with_features(self._embed(pack.ids)[0], pack)[None]
        return self._logits(plan, pack.positions, pack.wanted, inputs_embeds=embedded)[0]

    def step_logits(self, tokens: Tensor, positions: Tensor, plan: Plan) -> Tensor:
        """Return logits [rows, vocabulary] after one further token of every row."""
        if self._lean is not None:
            return self._lean.logits(self._lean.embed(tokens), positions, plan, None)
        return self._logits(plan, positions[:, None], 1, input_ids=tokens[:, None])[:, -1]

    @staticmethod
    def _with_features(embedded: Tensor, pack: Pack) -> Tensor:
        """Return embeddings [tokens, width] with those of pictures in their places."""
        for start, tensor in pack.features:
            embedded[start : start + tensor.shape[0]] = tensor.to(embedded.dtype)
        return embedded

    def _logits(self, plan: Plan, positions: Tensor, keep: Tensor | int, **inputs: Tensor) -> Tensor:
        out = self.model(**inputs, position_ids=positions, use_cache=False, logits_to_keep=keep, plan=plan)
        logits: Tensor = out.logits
        return logits.float()
