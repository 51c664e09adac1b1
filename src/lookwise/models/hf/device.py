"""Where a model runs, how much of a batch fits there, and what running out of memory looks like.

In: a device name, a loaded network.  Out: a torch device, a batch size in tokens, ModelMemoryError.  It asks torch and
nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lookwise.errors import ModelError, ModelMemoryError

__all__ = ["batch_tokens", "cuda_computes_bfloat16", "cuda_name", "cuda_works", "memory_guard", "pick_device"]

_CPU_TOKENS = 16_384
_CPU_TOKENS_LARGE = 4_096
_LARGE = 300_000_000
"""Parameters from which a CPU batch is kept small, so that its replies are stored at least every few minutes."""
_CUDA_TOKENS = (2_048, 262_144)


def cuda_works() -> bool:
    """Return whether this torch can use a CUDA device."""
    return torch.cuda.is_available()


def cuda_computes_bfloat16() -> bool:
    """Return whether the CUDA device computes in bfloat16 itself; those before Ampere only imitate it, slowly."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def cuda_name() -> str | None:
    """Return the name of the first CUDA device, None without one."""
    return torch.cuda.get_device_name() if cuda_works() else None


def pick_device(name: str, spec: str) -> torch.device:
    """Return the device, or ModelError when this machine has none such."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"device {name!r} is not possible; expected auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f"device {name!r} is not supported; expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise ModelError(f"model {spec!r}: device {name!r} is not here; expected auto or cpu on this machine")
    return device


def batch_tokens(model: torch.nn.Module, device: torch.device, per_token: int) -> int:
    """Return about how many padded tokens a batch may hold; `per_token` is a token's keys and values in bytes."""
    if device.type == "cpu":
        size = sum(p.numel() for p in model.parameters())
        return _CPU_TOKENS if size < _LARGE else _CPU_TOKENS_LARGE
    free, _ = torch.cuda.mem_get_info(device)
    # Keys and values once in the pack and once in the store, and activations of about the same order.
    tokens = int(0.6 * free / max(1, 4 * per_token))
    return max(_CUDA_TOKENS[0], min(_CUDA_TOKENS[1], tokens))


@contextmanager
def memory_guard(spec: str) -> Iterator[None]:
    """Turn every form of running out of memory into ModelMemoryError, which the loop answers with smaller batches."""
    try:
        yield
    except MemoryError as error:
        raise ModelMemoryError(f"model {spec!r}: out of memory; give smaller batches") from error
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise ModelMemoryError(f"model {spec!r}: out of memory; give smaller batches") from error
