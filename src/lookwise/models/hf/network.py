"""A loaded network: one call from a pack of rows to the logits that are wanted.

In: a pack or a step, and its plan of attention.  Out: logits in float32.  It knows neither requests nor text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lookwise.models.hf.attention import ATTENTION, Memory, Packed, Plan, Step, register
from lookwise.models.hf.cross import Glances, Side, SideMemory
from lookwise.models.hf.layout import Pack, Row
from lookwise.models.hf.lean import LeanDecoder, fits

__all__ = ["CPU_PACK", "Network"]

CPU_PACK = 1024
"""Tokens computed in one pass on a CPU: enough to fill matrix products, few enough to stay in its caches."""

_CUDA_PACK = 16_384


class Network:
    """A transformers model whose decoder attends as a plan says."""

    def __init__(self, model: Any, device: torch.device) -> None:
        register()
        # BLIP-2's own pass insists on pixels, which its decoder, a model of its own, never sees.
        model = model.language_model if model.config.model_type == "blip-2" else model
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
        self._aside = frozenset(getattr(text, "cross_attention_layers", None) or ())
        self.bytes_per_token = 2 * text.num_hidden_layers * heads * width * self._embed.weight.element_size()

    @property
    def pack_tokens(self) -> int:
        """About how many tokens one pass computes."""
        return CPU_PACK if self.device.type == "cpu" else _CUDA_PACK

    @property
    def padded(self) -> bool:
        """Whether attention over a pack pads, since starting a kernel for each row would cost more."""
        return self.device.type != "cpu"

    def plan(self, pack: Pack, memory: Memory | None = None, first: int = 0) -> Plan:
        """Return the plan of a first pass; its keys and values go into a memory, from row `first` on."""
        side = None if memory is None else memory.side
        glances = Glances(self._aside, pack.sides, side, first) if pack.sides else None
        return Packed(pack.spans, memory, first, padded=self.padded, glances=glances, stems=pack.stems)

    def memory(self, rows: Sequence[Row], columns: int) -> Memory:
        """Return an empty memory for some prompts."""
        sides = [Side.of(len(row.ids), row.size, row.looks) for row in rows] if any(r.looks for r in rows) else []
        return Memory(len(rows), columns, SideMemory(sides, self.device) if sides else None)

    def step(self, memory: Memory, lengths: Tensor, longest: int) -> Plan:
        """Return the plan of one further token of every row in memory."""
        glances = None if memory.side is None else Glances(self._aside, (), memory.side)
        return Step(memory, lengths, longest, glances=glances)

    def pack_logits(self, pack: Pack, plan: Plan) -> Tensor:
        """Return logits [wanted, vocabulary] of a pack."""
        if self._lean is not None:
            hidden = self._with_features(self._lean.embed(pack.ids[0]), pack)
            return self._lean.logits(hidden, pack.positions.flatten(), plan, pack.wanted)
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
        if plan.glances is not None:
            return self._logits_aside(plan, plan.glances, positions, keep, **inputs)
        out = self.model(**inputs, position_ids=positions, use_cache=False, logits_to_keep=keep, plan=plan)
        logits: Tensor = out.logits
        return logits.float()

    def _logits_aside(
        self, plan: Plan, glances: Glances, positions: Tensor, keep: Tensor | int, **inputs: Tensor
    ) -> Tensor:
        """Return logits of a decoder that looks at pictures from the side; which token sees which, the plan knows."""
        weight = self._embed.weight
        hidden = self._decoder(
            **inputs,
            position_ids=positions,
            use_cache=False,
            cross_attention_states=glances.states(weight.shape[1], self.device, weight.dtype),
            full_text_row_masked_out_mask=glances.told(self.device, weight.dtype),
            plan=plan,
        ).last_hidden_state
        kept = hidden[:, -keep:] if isinstance(keep, int) else hidden[:, keep]
        logits: Tensor = self.model.get_output_embeddings()(kept)
        return logits.float()
