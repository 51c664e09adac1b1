"""How many copies of a model keep this machine busy, and where each of them runs.

In: a model's spec and options.  Out: a number, an open copy.  On CUDA that is a copy a card; on a CPU a small model
gets a core for each copy, because its products are too small to be worth dividing among cores, and a large one stays
alone with all of them.  It knows no process: inference/team.py starts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from lookwise.model import Model
from lookwise.models.hf.device import cuda_works
from lookwise.models.need import need_of
from lookwise.models.open import ModelOptions, open_model
from lookwise.models.place import locate

__all__ = ["fewer_threads", "is_small", "most_copies", "open_copy"]

_SMALL = 20_000_000
"""Parameters up to which a model on a CPU leaves most of a second core idle."""
_MOST_ON_CPU = 4
"""Copies on a CPU: each process holds its own libraries, about half a gigabyte."""


def most_copies(spec: str, options: ModelOptions) -> int:
    """Return how many copies of a model, the first among them, this machine has room for."""
    if options.device == "auto" and cuda_works():
        return torch.cuda.device_count()
    if options.device not in ("auto", "cpu") or not is_small(spec, options):
        return 1
    return min(torch.get_num_threads(), _MOST_ON_CPU)


def is_small(spec: str, options: ModelOptions) -> bool:
    """Return whether a model runs on the CPU, and is too small to keep more than one core of it busy."""
    place = None if cuda_works() else locate(spec, fetch=False, remote_code=options.remote_code)
    return place is not None and need_of(place, 4).parameters <= _SMALL


def open_copy(spec: str, options: ModelOptions, copies: int, place: int) -> Model:
    """Return a copy at its place (1 is the first beside the one that is open already), in a process of its own."""
    if options.device == "auto" and cuda_works():
        return open_model(spec, replace(options, device=f"cuda:{place}"))
    torch.set_num_threads(max(1, torch.get_num_threads() // copies))
    return open_model(spec, options)


@contextmanager
def fewer_threads(copies: int) -> Iterator[None]:
    """Leave the CPU's cores to as many copies, one of them here."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // copies))
    try:
        yield
    finally:
        torch.set_num_threads(before)
