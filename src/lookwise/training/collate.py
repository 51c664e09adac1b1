"""Rows of ids become tensors: cut into micro-batches, padded on the right, pictures opened, answers marked.

In: `Encoded` rows.  Out: `Batch`es on a device, and the order in which an epoch visits the rows.  Because attention is
causal and padding stands on the right, no real token ever sees padding, so no mask is made (the fast path of the
attention kernels).  Which rows make one step never depends on what fits in memory: only the cutting does.
"""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor

from lookwise import media
from lookwise.message import Media
from lookwise.training.examples import Encoded

__all__ = ["Augment", "Batch", "EpochOrder", "Pictures", "collate", "split"]

Augment = Callable[[Image.Image, random.Random], Image.Image]
"""A picture altered at random, for training only."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch.

    `ids` (rows, longest); `picks` (supervised,) are flat positions whose hidden state predicts a supervised token;
    `targets` (supervised,) are those tokens; `pixels` are the processor's tensors, pictures of all rows in order.
    """

    ids: Tensor
    picks: Tensor
    targets: Tensor
    pixels: dict[str, Tensor]


class Pictures:
    """Opened and prepared pictures, the latest kept in memory up to `keep_bytes`; a tuning sees each several times.

    With `augment` each picture is altered anew every time in training; then the opened picture, shrunk, is kept.
    """

    def __init__(self, processor: Any, keep_bytes: int = 1 << 30, augment: Augment | None = None) -> None:
        self._prepare = processor.image_processor
        self._augment = augment
        self._keep_bytes = keep_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def tensors(self, pictures: Sequence[Media], training: bool) -> dict[str, Tensor]:
        """Return the processor's tensors for the pictures, in order; none for no pictures."""
        if not pictures:
            return {}
        if training and self._augment is not None:
            seeds = torch.randint(2**31, (len(pictures),)).tolist()  # torch's state is restored when a tuning goes on
            images = [self._augment(self._opened(p), random.Random(s)) for p, s in zip(pictures, seeds, strict=True)]
            return dict(self._prepare(images=images, return_tensors="pt"))
        found = [self._prepared(p) for p in pictures]
        return {key: torch.cat([f[key] for f in found]) for key in found[0]}

    def _prepared(self, picture: Media) -> dict[str, Tensor]:
        def make() -> tuple[Any, int]:
            made = dict(self._prepare(images=[media.open_image(picture.source)], return_tensors="pt"))
            return made, sum(t.nbytes for t in made.values())

        return cast(dict[str, Tensor], self._remembered(f"prepared/{picture.digest or picture.source}", make))

    def _opened(self, picture: Media) -> Image.Image:
        def make() -> tuple[Any, int]:
            image = media.open_image(picture.source)
            size = getattr(self._prepare, "size", None) or {}
            longest = max((v for v in dict(size).values() if v), default=0)
            image = media.fit(image, 2 * longest) if longest else image
            return image, image.width * image.height * 3

        return cast(Image.Image, self._remembered(f"opened/{picture.digest or picture.source}", make))

    def _remembered(self, key: str, make: Callable[[], tuple[Any, int]]) -> Any:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        made, size = make()
        self._kept[key] = (made, size)
        self._bytes += size
        while self._bytes > self._keep_bytes and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1][1]
        return made


def split(rows: Sequence[Encoded], tokens: int, call: int = 128) -> list[list[Encoded]]:
    """Cut rows into micro-batches of at most `tokens` padded tokens (or one row), at the least cost.

    The cost of a micro-batch is its padded tokens and `call` more, for what a pass costs whatever its size: so rows
    of like length go together, and a long row goes alone where padding the others would cost more than a pass.
    """
    ordered = sorted(rows, key=lambda r: -len(r.ids))
    lengths = [len(r.ids) for r in ordered]
    cost, cut = [0], [0]  # of the first i rows: the least cost, and where the last micro-batch of that begins
    for end in range(1, len(ordered) + 1):
        best = (cost[end - 1] + lengths[end - 1] + call, end - 1)
        for start in range(end - 2, -1, -1):
            padded = (end - start) * lengths[start]
            if padded > tokens:
                break
            best = min(best, (cost[start] + padded + call, start))
        cost.append(best[0])
        cut.append(best[1])
    chunks, end = [], len(ordered)
    while end:
        chunks.append(ordered[cut[end] : end])
        end = cut[end]
    return chunks[::-1]


def collate(rows: Sequence[Encoded], pad_id: int, device: torch.device, pixels: dict[str, Tensor]) -> Batch:
    """Return the rows as one padded micro-batch on the device.  A row's first token is never predicted."""
    longest = max(len(r.ids) for r in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    picks: list[int] = []
    targets: list[int] = []
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids, dtype=torch.long)
        start = max(row.start, 1)
        picks.extend(range(i * longest + start - 1, i * longest + len(row.ids) - 1))
        targets.extend(row.ids[start:])
    moved = {key: value.to(device) for key, value in pixels.items()}
    return Batch(ids.to(device), torch.tensor(picks, device=device), torch.tensor(targets, device=device), moved)


class EpochOrder:
    """A batch sampler: which rows make each step of an epoch, a pure function of lengths, batch, seed and epoch.

    Grouped, rows are shuffled, sorted by length within windows of some batches, cut, and the batches shuffled again, so
    that a step holds rows of like length.  Every row comes once an epoch; the last batch of an epoch may be short.
    """

    WINDOW = 16

    def __init__(self, lengths: Sequence[int], batch: int, seed: int, grouped: bool) -> None:
        self.lengths = lengths
        self.batch = batch
        self.seed = seed
        self.grouped = grouped
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order: list[int] = torch.randperm(len(self.lengths), generator=generator).tolist()
        if not self.grouped:
            yield from (order[i : i + self.batch] for i in range(0, len(order), self.batch))
            return
        window = self.WINDOW * self.batch
        batches: list[list[int]] = []
        for i in range(0, len(order), window):
            near = sorted(order[i : i + window], key=lambda row: -self.lengths[row])
            batches.extend(near[j : j + self.batch] for j in range(0, len(near), self.batch))
        yield from (batches[i] for i in torch.randperm(len(batches), generator=generator).tolist())
