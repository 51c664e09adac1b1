"""A base too large for one accelerator: its frozen decoder layers, cut over the processes of a tuning.

In: a model under its adapter, on the CPU; one process of several.  Out: the same model on the device, each decoder
layer's frozen parameters held in equal parts by all processes (torch's FSDP2) and gathered while that layer computes.
What is trained stays whole in every process: its gradients are added up and its weights written as ever, so the step,
the checkpoints and the adapter are those of processes that each hold everything.

Gathering needs all processes at the same layer at the same time.  So they make equally many passes (`in_step`), and a
process that runs out of memory ends the tuning instead of trying again alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from lookwise.errors import ModelError
from lookwise.training import processes

__all__ = ["check", "cut", "held", "in_step"]

T = TypeVar("T")


def check(name: str) -> None:
    """Raise ModelError where there is nobody to share the layers with."""
    if processes.count() < 2:
        raise ModelError(f"shard cuts {name} over several processes, and there is one; set processes to 2 or more")


def cut(model: nn.Module, core: Any, place: str, name: str) -> None:
    """Share the decoder layers of `core`, the transformers model inside `model`, and move everything to the place.

    Raises ModelError for a model whose decoder layers are not where transformers' Llama-like models have them.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    device = torch.device(place)
    layers = getattr(getattr(core.model, "language_model", core.model), "layers", None)
    if not isinstance(layers, nn.ModuleList):
        raise ModelError(f"shard cuts decoder layers, and {name} has none that are known; leave it out")
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    mesh = init_device_mesh(device.type, (processes.count(),))
    trained = {p for p in model.parameters() if p.requires_grad}
    for layer in layers:
        fully_shard(layer, mesh=mesh, ignored_params=trained)
    model.to(device)
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    # accelerate wraps what it prepares in DistributedDataParallel, which would send frozen weights round
    model._ddp_params_and_buffers_to_ignore = frozen  # type: ignore[assignment]


def held(model: nn.Module) -> int:
    """Return how many parameters this process holds: all of a whole model, its part of a cut one."""
    from torch.distributed.tensor import DTensor

    return sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in model.parameters())


def in_step(parts: Sequence[T], spare: T, device: torch.device) -> list[tuple[T, bool]]:
    """Return this process's parts, and after them the spare as often as the process with the most needs.

    With each whether it counts: a spare is computed for the others' sake, and its loss is nobody's.
    """
    most = processes.largest(len(parts), device)
    return [*((part, True) for part in parts), *((spare, False) for _ in range(most - len(parts)))]
