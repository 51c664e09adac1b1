"""Muon in fp32: momentum whose matrices are made near-orthogonal before they are applied.

In: weight matrices with gradients.  Out: updated weights.  After Jordan et al. 2024 ("Muon: an optimizer for hidden
layers in neural networks"), with the update scaled to the size of an AdamW step, so that one rate serves both.
torch.optim.Muon does the same in bfloat16, which takes longer than the whole forward pass on CPUs without bfloat16
units; here matrices of one shape are orthogonalised together, and the largest shapes beside the others by a second
thread: the numbers stay the same.  It knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Muon", "orthogonalise"]

_A, _B, _C = 3.4445, -4.7750, 2.0315
"""The quintic's coefficients, as published: five rounds bring all singular values near 1."""
_WORTH_TWO = 1_000_000
"""Numbers in all matrices from which a second thread pays: with 0.3 M handing over takes what it saves."""


def orthogonalise(stack: Tensor, rounds: int = 5) -> Tensor:
    """Return [n, rows, columns] matrices with their singular values near 1 (Newton-Schulz iteration)."""
    tall = stack.shape[-2] > stack.shape[-1]
    x = stack.mT if tall else stack
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    found: Tensor = x.mT if tall else x
    return found


class Muon(torch.optim.Optimizer):
    """For matrices only; decoupled weight decay, Nesterov momentum."""

    def __init__(
        self, matrices: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "decay": decay})

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step on every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[nn.Parameter]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(p.shape, []).append(p)
            largest = max(shapes, key=lambda s: s.numel() * len(shapes[s]), default=None)
            if largest is None or sum(s.numel() * len(members) for s, members in shapes.items()) < _WORTH_TWO:
                self._move(shapes.values(), group)
                continue
            with ThreadPoolExecutor(1, thread_name_prefix="muon") as second:
                moved = second.submit(self._move, [shapes.pop(largest)], group)
                self._move(shapes.values(), group)
                moved.result()

    @torch.no_grad()
    def _move(self, shapes: Iterable[list[nn.Parameter]], group: dict[str, Any]) -> None:
        """Take a step on matrices, those of one shape in a list."""
        for members in shapes:
            updates = orthogonalise(torch.stack([self._momentum(p, group["momentum"]) for p in members]))
            scale = group["lr"] * 0.2 * max(members[0].shape) ** 0.5
            for p, update in zip(members, updates, strict=True):
                p.mul_(1 - group["lr"] * group["decay"]).sub_(update, alpha=scale)

    def _momentum(self, p: nn.Parameter, momentum: float) -> Tensor:
        assert p.grad is not None
        state = self.state[p]
        kept = state.setdefault("momentum", torch.zeros_like(p))
        kept.lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(kept, momentum)
