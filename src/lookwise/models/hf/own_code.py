"""A model whose Python came with its checkpoint: its class, and whether it computes in packs what it computes alone.

In: a place whose code the user permitted to run; the loaded model.  Out: what loads it; a `Network`, or a ModelError
that says what to do.  Everything here asks models through transformers' attention interface; a class that attends by
itself would let the rows of a pack see one another, and nobody would notice.  So it is asked first, alone, then in a
pack, before anything else.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from lookwise.errors import ModelError
from lookwise.models.hf.families import classes_of
from lookwise.models.hf.faults import FAULTS, OWN_CODE_CURE, cannot
from lookwise.models.hf.layout import Row, lay_out
from lookwise.models.hf.network import Network
from lookwise.models.place import Place

__all__ = ["loader", "own_network"]

_LENGTHS = (9, 24, 5)
_ALIKE = 20
"""Tokens that two further rows begin with, so that a beginning is shared, too (stems.py)."""
_TOLERANCE = {torch.float32: 1e-3}
_ROUGH = 5e-2
"""Largest difference of a logit, as a share of the largest, in float32 and in narrower numbers."""


def loader(place: Place, kind: Any) -> tuple[Any, dict[str, Any]]:
    """Return what loads a checkpoint, and with what: `kind`, one of the Auto classes, or the checkpoint's own class.

    Not by way of the Auto classes: they remember classes by their configuration's, so that of two checkpoints which
    differ in their code for the model alone the second would be given the first one's.
    """
    own = classes_of(place.folder, place.spec) if place.remote_code else {}
    if kind.__name__ not in own:
        return kind, {"trust_remote_code": place.remote_code}
    folder = str(place.folder)
    settings: Any = AutoConfig
    if "AutoConfig" in own:
        settings = get_class_from_dynamic_module(own["AutoConfig"], folder, local_files_only=True)
    config = settings.from_pretrained(folder, local_files_only=True)
    return get_class_from_dynamic_module(own[kind.__name__], folder, local_files_only=True), {"config": config}


def own_network(model: Any, device: torch.device, spec: str) -> Network:
    """Return the network of a model with code of its own, once it is known to answer alike alone and in a pack."""
    try:
        rows = _rows(model)
        alone = _alone(model, rows, device)
        network = Network(model, device)
        packed = _packed(network, rows)
    except FAULTS as error:
        raise cannot(spec, "own code", error, OWN_CODE_CURE) from error
    apart = float((packed - alone).abs().max() / alone.abs().max().clamp(min=1.0))
    if not apart <= _TOLERANCE.get(model.get_input_embeddings().weight.dtype, _ROUGH):
        raise ModelError(
            f"model {spec!r}: asked in a batch its own code answers otherwise than alone (logits differ by {apart:.1g} "
            "of the largest), since it attends by itself; serve it and name its address (docs/models.md)"
        )
    return network


def _rows(model: Any) -> list[list[int]]:
    size, chance = model.get_input_embeddings().num_embeddings, torch.Generator().manual_seed(0)
    rows = [torch.randint(size, (length,), generator=chance).tolist() for length in _LENGTHS]
    return [*rows, rows[1][:_ALIKE] + rows[0], rows[1][:_ALIKE] + rows[2]]


@torch.inference_mode()
def _alone(model: Any, rows: list[list[int]], device: torch.device) -> Tensor:
    """Return the logits [rows, vocabulary] after each row, by the model's own pass."""
    ends = [model(input_ids=torch.tensor([ids], device=device), use_cache=False).logits[0, -1] for ids in rows]
    return torch.stack(ends).float()


@torch.inference_mode()
def _packed(network: Network, rows: list[list[int]]) -> Tensor:
    pack = lay_out([Row(ids) for ids in rows], network.device)
    return network.pack_logits(pack, network.plan(pack))
