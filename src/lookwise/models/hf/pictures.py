"""Pictures and clips as features for the decoder: each different one once, however often it is asked about.

In: media (by digest).  Out: a `Sight` for each, or the reason why a picture cannot be used.  Pixels may be prepared in
another thread.  Both are kept up to a fixed number of bytes.  It knows no conversation and no family (eyes.py does).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import torch
from PIL import Image
from torch import Tensor

from lookwise.media import PictureError, image_size, open_image
from lookwise.message import Media
from lookwise.models.frames import frames
from lookwise.models.hf.eyes import CLIP_FRAMES, Eyes, Pixels, Sight

__all__ = ["Glance", "Pictures"]

_FEATURE_BYTES = 256 * 2**20
_PIXEL_BYTES = 512 * 2**20
_AT_ONCE = 32
"""Pictures that pass through the vision tower together."""

T = TypeVar("T")

Glance = tuple[Media, bool]
"""A medium, and whether it is the only picture of its prompt, which some families look at otherwise."""


class Pictures:
    """What a vision-language model has seen."""

    def __init__(self, eyes: Eyes, device: torch.device) -> None:
        self._eyes, self._device = eyes, device
        self._lock = threading.Lock()
        self._pixels: _Kept[Pixels | PictureError] = _Kept(_PIXEL_BYTES)
        self._features: _Kept[Sight] = _Kept(_FEATURE_BYTES)
        self._most: dict[str, int] = {}

    def prepare(self, glances: Iterable[Glance]) -> None:
        """Open and scale pictures ahead of time; a picture that cannot be used is remembered as such."""
        for glance in glances:
            key = self._key(glance)
            with self._lock:
                known = key in self._pixels or key in self._features
            if not known:
                self._open(glance)

    def tokens(self, medium: Media) -> int:
        """Return how many tokens a medium becomes; where its shape decides, how many it can become at most."""
        counted = self._eyes.counted(medium.kind, None)
        if counted is not None:
            return counted if medium.kind == "video" else self._eyes.counted("image", _size(medium)) or counted
        if medium.kind not in self._most:
            blanks = [Image.new("RGB", shape) for shape in self._eyes.shapes]
            if medium.kind == "video":
                pixels = [self._eyes.clip([blank] * CLIP_FRAMES) for blank in blanks]
            else:
                pixels = [self._eyes.picture(blank) for blank in blanks]
            self._most[medium.kind] = max(self._look([one])[0].tokens for one in pixels)
        return self._most[medium.kind]

    def features(self, glances: Sequence[Glance]) -> dict[Glance, Sight | PictureError]:
        """Return what every different medium among these becomes, or why it cannot be used."""
        found: dict[str, Sight | PictureError] = {}
        missing: dict[str, tuple[Pixels, bool]] = {}
        for glance in dict.fromkeys(glances):
            key = self._key(glance)
            if key in found or key in missing:
                continue
            with self._lock:
                seen = self._features.get(key)
            if seen is not None:
                found[key] = seen
                continue
            pixels = self._take(glance)
            if isinstance(pixels, PictureError):
                found[key] = pixels
            else:
                missing[key] = (pixels, glance[1])
        found |= self._compute(missing)
        return {glance: found[self._key(glance)] for glance in glances}

    def _compute(self, missing: dict[str, tuple[Pixels, bool]]) -> dict[str, Sight]:
        """Return features by key; pictures whose pixels have one shape go through the tower together."""
        groups: dict[tuple[object, ...], list[str]] = {}
        for key, (pixels, alone) in missing.items():
            shape = tuple((name, tuple(tensor.shape)) for name, tensor in sorted(pixels.items()))
            groups.setdefault((alone, *shape), []).append(key)
        fresh: dict[str, Sight] = {}
        for keys in groups.values():
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                looked = self._look([missing[key][0] for key in some], alone=missing[some[0]][1])
                for key, sight in zip(some, looked, strict=True):
                    # copies: a slice would keep the whole group in memory
                    fresh[key] = Sight(tuple(part.clone() for part in sight.parts), sight.grid, sight.used)
                    with self._lock:
                        self._features.put(key, fresh[key], sight.bytes)
        return fresh

    def _look(self, pixels: Sequence[Pixels], *, alone: bool = True) -> Sequence[Sight]:
        """Return what pictures whose pixels have one shape become."""
        return self._eyes.look(pixels, alone=alone, device=self._device)

    def _key(self, glance: Glance) -> str:
        medium, alone = glance
        name = medium.digest or f"path:{medium.source}"
        company = "" if alone or not self._eyes.minds_company else " among others"
        return f"{medium.kind}{company} {name}"

    def _take(self, glance: Glance) -> Pixels | PictureError:
        with self._lock:
            found = self._pixels.pop(self._key(glance))
        return self._open(glance) if found is None else found

    def _open(self, glance: Glance) -> Pixels | PictureError:
        medium, alone = glance
        pixels: Pixels | PictureError
        try:
            if medium.kind == "video":
                pixels = self._eyes.clip(frames(medium.source, CLIP_FRAMES))
            else:
                pixels = self._eyes.picture(open_image(medium.source), alone=alone)
        except PictureError as error:
            pixels = error
        with self._lock:
            self._pixels.put(
                self._key(glance), pixels, 0 if isinstance(pixels, PictureError) else _bytes(*pixels.values())
            )
        return pixels


class _Kept(Generic[T]):
    """Values by key, those used longest ago dropped beyond a number of bytes."""

    def __init__(self, most: int) -> None:
        self._most, self._bytes = most, 0
        self._values: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> T | None:
        """Return a value, now the most recently used, or None."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def pop(self, key: str) -> T | None:
        """Return a value and forget it, or None."""
        value, size = self._values.pop(key, (None, 0))
        self._bytes -= size
        return value

    def put(self, key: str, value: T, size: int) -> None:
        """Keep a value of so many bytes."""
        self.pop(key)
        self._values[key] = (value, size)
        self._bytes += size
        while self._bytes > self._most and len(self._values) > 1:
            self._bytes -= self._values.popitem(last=False)[1][1]


def _size(medium: Media) -> tuple[int, int] | None:
    try:
        return image_size(medium.source)
    except PictureError:  # told when it is looked at
        return None


def _bytes(*tensors: Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
