"""The other processes of one tuning: which of them this one is, its rows of a batch, sums over all of them.

In: the environment that torchrun and accelerate give each process.  Out: plain values; alone, a process is the main one
and sums are what they were.  Every process holds the whole adapter and takes its share of each batch; gradients are
added up once a step, before the optimizer, so that a step is that of one process up to the order of addition.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, distributed

from lookwise.errors import ModelError

__all__ = ["count", "is_main", "largest", "leave", "local_place", "share", "sum_gradients", "told_to_shard", "total"]

T = TypeVar("T")
_YES = ("1", "true")


def count() -> int:
    """Return how many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def is_main() -> bool:
    """Return whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def local_place() -> int | None:
    """Return this process's place on its machine, None for a process alone."""
    return int(os.environ["LOCAL_RANK"]) if count() > 1 else None


def told_to_shard() -> bool:
    """Return whether accelerate's configuration asks for FSDP, which is done here (shards.py) and not by accelerate.

    Raises ModelError for DeepSpeed, which a file given as `accelerate` never gets to (accelerate_file.py).
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() in _YES:
        raise ModelError(
            "accelerate's configuration asks for DeepSpeed, which is not used here; choose FSDP there, or plain "
            "multi-GPU and shard: true: the base's layers are then cut over the processes as ZeRO-3 does it"
        )
    return os.environ.pop("ACCELERATE_USE_FSDP", "").lower() in _YES


def share(rows: Sequence[T]) -> list[T]:
    """Return this process's part of a batch, every n-th row: rows come sorted by length, so parts weigh alike."""
    return list(rows[int(os.environ.get("RANK", "0")) :: count()]) if count() > 1 else list(rows)


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Add the processes' gradients up, in one message; a process without rows has none and adds zeros."""
    if count() < 2:
        return
    trained = [p for p in parameters if p.requires_grad]
    for parameter in trained:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    flat = torch.cat([p.grad.float().flatten() for p in trained if p.grad is not None])
    distributed.all_reduce(flat)
    at = 0
    for parameter in trained:
        size = parameter.numel()
        parameter.grad = flat[at : at + size].view_as(parameter).to(parameter.dtype)
        at += size


def total(value: Tensor) -> Tensor:
    """Return the sum over processes."""
    if count() > 1:
        distributed.all_reduce(value)
    return value


def largest(value: int, device: torch.device) -> int:
    """Return the largest over processes."""
    if count() < 2:
        return value
    held = torch.tensor(value, device=device)
    distributed.all_reduce(held, op=distributed.ReduceOp.MAX)
    return int(held)


def leave() -> None:
    """Take leave of the others."""
    if count() > 1 and distributed.is_initialized():
        distributed.destroy_process_group()
