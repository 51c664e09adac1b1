"""The same adapter, computed with fewer passes over memory, while a tuning runs on plain float32 matrices.

In: a model under a LoRA adapter.  Out: within the block, its adapted linear layers and frozen RMS norms compute what
they always do, but forward and backward are written as matrix products that add in place.  Small models are bound by
such passes, not by arithmetic.  Whatever is not plain (dropout, biases of the adapter, merged weights, other dtypes,
norms that are trained) keeps its own forward.  Weights, names and what is saved do not change.

And: the last decoder layer is asked for chosen places only, in its parts that treat every place by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["fewer_passes", "last_layer_at"]

Forward = Callable[..., Tensor]


class _AdaptedLinear(torch.autograd.Function):
    """x Wᵀ + scale · x Aᵀ Bᵀ (+ bias), W frozen.  x (rows, in), W (out, in), A (rank, in), B (out, rank)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        inner = x @ a.t()
        y = x @ weight.t() if bias is None else torch.addmm(bias, x, weight.t())
        y.addmm_(inner, b.t(), alpha=scale)
        ctx.save_for_backward(x, weight, a, b, inner)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, a, b, inner = ctx.saved_tensors
        through = (grad @ b).mul_(ctx.scale)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            grad_x.addmm_(through, a)
        return grad_x, None, None, through.t() @ x, (grad.t() @ inner).mul_(ctx.scale), None


class _FrozenNorm(torch.autograd.Function):
    """weight · x / root mean square of x, weight frozen.  x (rows, width)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        inverse = torch.linalg.vecdot(x, x).div_(x.shape[-1]).add_(epsilon).rsqrt_()[:, None]
        ctx.save_for_backward(x, weight, inverse)
        scaled: Tensor = x * inverse
        return scaled.mul_(weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inverse = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None, None
        weighted = grad * weight
        along = torch.linalg.vecdot(weighted, x)[:, None].mul_(inverse.pow(3)).div_(-x.shape[-1])
        return weighted.mul_(inverse).addcmul_(x, along), None, None


# torch leaves `apply` untyped
_adapted_linear: Forward = _AdaptedLinear.apply
_frozen_norm: Forward = _FrozenNorm.apply


@contextmanager
def fewer_passes(model: nn.Module) -> Iterator[int]:
    """Give the number of layers that compute the short way; they have their own forward again afterwards."""
    changed: list[nn.Module] = []
    for module in model.modules():
        short = _short_linear(module) or _short_norm(module)
        if short is not None:
            module.__dict__["forward"] = short
            changed.append(module)
    try:
        yield len(changed)
    finally:
        for module in changed:
            del module.__dict__["forward"]


def _short_linear(module: nn.Module) -> Forward | None:
    base: Any = getattr(module, "base_layer", None)
    if type(module).__module__ != "peft.tuners.lora.layer" or type(base) is not nn.Linear:
        return None
    layer: Any = module
    if list(layer.lora_A) != ["default"] or len(getattr(layer, "lora_variant", ())):
        return None
    a, b, drop = layer.lora_A["default"], layer.lora_B["default"], layer.lora_dropout["default"]
    plain = all(w.dtype is torch.float32 for w in (base.weight, a.weight, b.weight))
    if not plain or not isinstance(drop, nn.Identity) or b.bias is not None or base.weight.requires_grad:
        return None
    own: Forward = layer.forward
    scale = float(layer.scaling["default"])

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if layer.merged or layer.disable_adapters or args or kwargs or torch.is_autocast_enabled(x.device.type):
            return own(x, *args, **kwargs)
        y = _adapted_linear(x.reshape(-1, x.shape[-1]), base.weight, base.bias, a.weight, b.weight, scale)
        return y.view(*x.shape[:-1], y.shape[-1])

    return forward


def _short_norm(module: nn.Module) -> Forward | None:
    known = type(module).__name__ in ("LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Phi3RMSNorm")
    norm: Any = module
    if not known or norm.weight.requires_grad or norm.weight.dtype is not torch.float32:
        return None
    own: Forward = norm.forward
    epsilon = float(norm.variance_epsilon)

    def forward(x: Tensor) -> Tensor:
        if x.dtype is not torch.float32 or torch.is_autocast_enabled(x.device.type):
            return own(x)
        y = _frozen_norm(x.reshape(-1, x.shape[-1]), norm.weight, epsilon)
        return y.view(x.shape)

    return forward


_LAYERS = ("LlamaDecoderLayer", "MistralDecoderLayer", "Phi3DecoderLayer", "Qwen2DecoderLayer")
_PLACEWISE = ("self_attn.q_proj", "self_attn.o_proj", "mlp")
"""Parts whose output at a place needs only their input there, and that nothing but the same place's output reads."""


@contextmanager
def last_layer_at(model: Any, places: Tensor) -> Iterator[None]:
    """Within the block, compute those parts of the last decoder layer at these flat places only, and zero elsewhere.

    Keys and values still cover every place, so the last hidden states at `places` are exact; the others are not to be
    used.  Models of other architectures compute as always.
    """
    decoder = getattr(model.model, "language_model", model.model)
    layers = getattr(decoder, "layers", None)
    layer: Any = layers[-1] if isinstance(layers, nn.ModuleList) else None
    parts = dict(layer.named_modules()) if type(layer).__name__ in _LAYERS else {}
    before: list[tuple[nn.Module, Forward | None]] = []
    for name in _PLACEWISE:
        if name in parts:
            before.append((parts[name], parts[name].__dict__.get("forward")))
            parts[name].__dict__["forward"] = _only_at(parts[name].forward, places)
    try:
        yield
    finally:
        for module, forward in before:
            if forward is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = forward


def _only_at(own: Forward, places: Tensor) -> Forward:
    def forward(x: Tensor) -> Tensor:
        some = own(x.reshape(-1, x.shape[-1]).index_select(0, places)[None])[0]
        everywhere = some.new_zeros(x.shape[0] * x.shape[1], some.shape[-1])
        return everywhere.index_copy(0, places, some).view(*x.shape[:2], some.shape[-1])

    return forward
