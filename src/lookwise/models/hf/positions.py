"""Positions in time, height and width, for families whose positions follow what a picture shows.

In: a prompt's length, where media stand in it, and their grids.  Out: positions [3, tokens].  The model's own rule is
asked, so that it need not be told twice; a prompt that shows nothing has plain positions, and needs none from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lookwise.message import Media
from lookwise.models.hf.eyes import Sight

__all__ = ["SPREAD", "Positions"]

SPREAD = ("qwen2_vl", "qwen2_5_vl")
"""Families whose positions have three axes."""

_KINDS = {"image": 1, "video": 2}


class Positions:
    """A model's rule of positions."""

    def __init__(self, model: Any) -> None:
        self._rule: Any = model.model.get_rope_index

    def of(
        self, size: int, features: Sequence[tuple[int, Tensor]], media: Sequence[Media], sights: Sequence[Sight]
    ) -> Tensor:
        """Return positions [3, size] of a prompt that shows these media, in order, from those places on."""
        kinds = torch.zeros(1, size, dtype=torch.int32)
        grids: dict[str, list[tuple[int, int, int]]] = {"image": [], "video": []}
        for (start, part), medium, sight in zip(features, media, sights, strict=True):
            kinds[0, start : start + part.shape[0]] = _KINDS[medium.kind]
            if sight.grid is not None:
                grids[medium.kind].append(sight.grid)
        found: Tensor = self._rule(
            torch.zeros(1, size, dtype=torch.long),
            mm_token_type_ids=kinds,
            image_grid_thw=torch.tensor(grids["image"]) if grids["image"] else None,
            video_grid_thw=torch.tensor(grids["video"]) if grids["video"] else None,
        )[0]
        return found[:, 0]
