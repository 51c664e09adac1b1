"""The forward pass of plain Llama-shaped decoders, rewritten for small models on a CPU.

In: tokens or embeddings, positions, a plan of attention, where logits are wanted.  Out: the logits.  The sums are those
of transformers' own forward pass (the tests compare them for each family), done in fewer, larger steps: queries, keys
and values in one product, gate and up in another, norms folded into the weights behind them, rotation as one complex
product; and the last layer computes keys and values alone where no logits are wanted.  Its weights are copies, so it is
for models that are small beside the memory; others keep transformers' own pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lookwise.models.hf.attention import Plan

__all__ = ["LEAN", "LeanDecoder", "fits"]

LEAN = ("llama", "mistral", "qwen2")
"""Families whose layers are: norm, attention with rotation, norm, gated unit with SiLU; nothing else."""

_MOST_PARAMETERS = 300_000_000


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer's weights, each [in, out], norms folded in; `window` is how far back it sees."""

    index: int
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    gate_up: Tensor
    down: Tensor
    window: int | None


def fits(model: Any) -> bool:
    """Return whether a loaded model can be computed here: known layers, float32, small, no adapter running beside."""
    text = model.config.get_text_config()
    decoder = model.get_decoder()
    plain = all(type(m).__module__.startswith(("torch.", "transformers.")) for m in (model, *decoder.modules()))
    weight = model.get_input_embeddings().weight
    return (
        text.model_type in LEAN
        and plain
        and text.hidden_act == "silu"
        and not getattr(text, "mlp_bias", False)
        and all(layer.self_attn.o_proj.bias is None for layer in decoder.layers)
        and weight.dtype == torch.float32
        and weight.device.type == "cpu"
        and sum(p.numel() for p in decoder.parameters()) <= _MOST_PARAMETERS
    )


class LeanDecoder:
    """A decoder and its head."""

    def __init__(self, model: Any) -> None:
        decoder = model.get_decoder()
        first = decoder.layers[0].self_attn
        self._rotary: Any = decoder.rotary_emb
        self._embed: Tensor = model.get_input_embeddings().weight
        self._width = int(first.head_dim)
        self._kv_heads = first.k_proj.out_features // self._width
        self._heads = first.q_proj.out_features // self._width
        self._scale = float(first.scaling)
        self._epsilon = float(decoder.norm.variance_epsilon)
        self._layers = [self._layer(i, layer) for i, layer in enumerate(decoder.layers)]
        self._head = _behind(model.get_output_embeddings().weight, decoder.norm.weight)

    def logits(self, hidden: Tensor, positions: Tensor, plan: Plan, wanted: Tensor | None) -> Tensor:
        """Return logits [wanted, vocabulary] from embeddings [tokens, width]; None wants them all."""
        turns = self._turns(hidden, positions)
        for layer in self._layers[:-1]:
            hidden = self._full(layer, hidden, turns, plan)
        last = self._last(self._layers[-1], hidden, turns, plan, wanted)
        return torch.mm(self._normed(last), self._head)

    def embed(self, ids: Tensor) -> Tensor:
        """Return a fresh copy of the tokens' embeddings [tokens, width]."""
        return torch.nn.functional.embedding(ids, self._embed)

    def _layer(self, index: int, layer: Any) -> _Layer:
        attention, gated = layer.self_attn, layer.mlp
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        weights = [p.weight for p in projections]
        biases = [p.bias for p in projections]
        for turned in (0, 1):
            weights[turned] = self._interleaved(weights[turned])
            biases[turned] = None if biases[turned] is None else self._interleaved(biases[turned])
        return _Layer(
            index,
            _behind(torch.cat(weights), layer.input_layernorm.weight),
            None if biases[0] is None else torch.cat(biases),
            attention.o_proj.weight.t(),
            _behind(torch.cat([gated.gate_proj.weight, gated.up_proj.weight]), layer.post_attention_layernorm.weight),
            gated.down_proj.weight.t(),
            _window(attention),
        )

    def _interleaved(self, weight: Tensor) -> Tensor:
        """Return rows so ordered that the two halves which rotate into one another stand side by side.

        Queries and keys are reordered alike, so their products stay the same.
        """
        halves = weight.reshape(-1, 2, self._width // 2, *weight.shape[1:])
        return halves.transpose(1, 2).reshape(weight.shape)

    def _turns(self, hidden: Tensor, positions: Tensor) -> Tensor:
        """Return the rotation of each token as complex numbers [tokens, 1, width / 2]."""
        cos, sin = self._rotary(hidden, position_ids=positions[None])
        half = self._width // 2
        return torch.complex(cos[0, :, :half].float(), sin[0, :, :half].float())[:, None]

    def _normed(self, hidden: Tensor) -> Tensor:
        """Return the hidden states at unit root mean square; the norm's weight is in the product that follows."""
        squares = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True).square_()
        return torch.mul(hidden, squares.mul_(1 / hidden.shape[-1]).add_(self._epsilon).rsqrt_())

    def _projected(self, layer: _Layer, normed: Tensor, turns: Tensor, heads: slice) -> Tensor:
        """Return some of the heads of queries, keys and values [tokens, heads, width], queries and keys rotated."""
        columns = slice(heads.start * self._width, heads.stop * self._width)
        weight = layer.qkv[:, columns]
        found = normed @ weight if layer.qkv_bias is None else torch.addmm(layer.qkv_bias[columns], normed, weight)
        turned = min(heads.stop, self._heads + self._kv_heads) - heads.start
        found = found.view(normed.shape[0], -1, self._width)
        torch.view_as_complex(found[:, :turned].view(normed.shape[0], turned, self._width // 2, 2)).mul_(turns)
        return found

    def _full(self, layer: _Layer, hidden: Tensor, turns: Tensor, plan: Plan) -> Tensor:
        """Return the hidden states after a layer."""
        middle, end = self._heads + self._kv_heads, self._heads + 2 * self._kv_heads
        found = self._projected(layer, self._normed(hidden), turns, slice(0, end))
        q, k, v = (plan.fold(x) for x in (found[:, : self._heads], found[:, self._heads : middle], found[:, middle:]))
        seen = plan.attend(layer.index, q, k, v, self._scale, layer.window)
        return self._gated(layer, hidden.addmm_(seen.reshape(hidden.shape[0], -1), layer.out))

    def _last(self, layer: _Layer, hidden: Tensor, turns: Tensor, plan: Plan, wanted: Tensor | None) -> Tensor:
        """Return the last layer's hidden states where they are wanted; elsewhere only keys and values are needed."""
        if wanted is None:
            return self._full(layer, hidden, turns, plan)
        normed = self._normed(hidden)
        found = self._projected(layer, normed, turns, slice(self._heads, self._heads + 2 * self._kv_heads))
        asking = self._projected(layer, normed[wanted], turns[wanted], slice(0, self._heads))
        q, k, v = (plan.fold(x) for x in (asking, found[:, : self._kv_heads], found[:, self._kv_heads :]))
        seen = plan.attend_wanted(layer.index, q, k, v, self._scale, layer.window)
        hidden = hidden[wanted]
        return self._gated(layer, hidden.addmm_(seen.reshape(hidden.shape[0], -1), layer.out))

    def _gated(self, layer: _Layer, hidden: Tensor) -> Tensor:
        found = self._normed(hidden) @ layer.gate_up
        half = found.shape[1] // 2
        opened = torch.nn.functional.silu(found[:, :half]).mul_(found[:, half:])
        return hidden.addmm_(opened, layer.down)


def _window(attention: Any) -> int | None:
    """Return how far back a layer sees: in mistral all alike, in qwen2 each its own, in llama all the way."""
    family = attention.config.model_type
    found = {"mistral": attention.config, "qwen2": attention}.get(family)
    return None if found is None else getattr(found, "sliding_window", None)


def _behind(weight: Tensor, norm: Tensor) -> Tensor:
    """Return a projection [in, out] with the weight of the norm before it."""
    return (weight * norm[None]).t()
