"""Pictures as features for the decoder: each different picture once, however often it is asked about.

In: media (by digest).  Out: a feature tensor [tokens, width] for each, or the reason why a picture cannot be used.
Pixels may be prepared in another thread.  Both are kept up to a fixed number of bytes.  It knows no conversation.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import torch
from PIL import Image
from torch import Tensor

from lookwise.media import PictureError, open_image
from lookwise.message import Media

__all__ = ["Pictures"]

_FEATURE_BYTES = 256 * 2**20
_PIXEL_BYTES = 512 * 2**20
_AT_ONCE = 32
"""Pictures that pass through the vision tower together."""

T = TypeVar("T")
Pixels = dict[str, Tensor]


class Pictures:
    """The eyes of a vision-language model: its image processor, tower and projector."""

    def __init__(self, model: Any, image_processor: Any, device: torch.device) -> None:
        self._model, self._processor, self._device = model, image_processor, device
        self._dtype = model.get_input_embeddings().weight.dtype
        self._lock = threading.Lock()
        self._pixels: _Kept[Pixels | PictureError] = _Kept(_PIXEL_BYTES)
        self._features: _Kept[Tensor] = _Kept(_FEATURE_BYTES)
        self._most: int | None = None

    def prepare(self, media: Iterable[Media]) -> None:
        """Open and scale pictures ahead of time; a picture that cannot be used is remembered as such."""
        for medium in media:
            with self._lock:
                known = _key(medium) in self._features or _key(medium) in self._pixels
            if not known:
                self._open(medium)

    def tokens(self) -> int:
        """Return how many tokens a picture becomes, or for a model where that depends on its shape, at most becomes."""
        if self._most is None:
            grid = getattr(self._model.config, "image_grid_pinpoints", None) or [(64, 64)]
            blanks = [Image.new("RGB", (int(width), int(height))) for height, width in grid]
            self._most = max(int(self._look([self._process(blank)])[0].shape[0]) for blank in blanks)
        return self._most

    def features(self, media: Sequence[Media]) -> dict[Media, Tensor | PictureError]:
        """Return the features of every different picture among these, or why it has none."""
        found: dict[Media, Tensor | PictureError] = {}
        missing: dict[str, tuple[Media, Pixels]] = {}
        for medium in dict.fromkeys(media):
            with self._lock:
                seen = self._features.get(_key(medium))
            if seen is not None:
                found[medium] = seen
                continue
            pixels = self._take(medium)
            if isinstance(pixels, PictureError):
                found[medium] = pixels
            else:
                missing.setdefault(_key(medium), (medium, pixels))
        fresh = self._compute(missing)
        for medium in media:
            if medium not in found:
                found[medium] = fresh[_key(medium)]
        return found

    def _compute(self, missing: dict[str, tuple[Media, Pixels]]) -> dict[str, Tensor]:
        """Return features by key; pictures whose pixels have one shape go through the tower together."""
        groups: dict[tuple[object, ...], list[str]] = {}
        for key, (_, pixels) in missing.items():
            shape = tuple((name, tuple(tensor.shape)) for name, tensor in sorted(pixels.items()))
            groups.setdefault(shape, []).append(key)
        fresh: dict[str, Tensor] = {}
        for keys in groups.values():
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                for key, tensor in zip(some, self._look([missing[key][1] for key in some]), strict=True):
                    fresh[key] = tensor.clone()  # a slice would keep the whole group in memory
                    with self._lock:
                        self._features.put(key, fresh[key], _bytes(tensor))
        return fresh

    def _look(self, pixels: Sequence[Pixels]) -> Sequence[Tensor]:
        """Return the features of pictures whose pixels have one shape."""
        inputs = {name: torch.cat([one[name] for one in pixels]).to(self._device) for name in pixels[0]}
        inputs["pixel_values"] = inputs["pixel_values"].to(self._dtype)
        features: Sequence[Tensor] = self._model.get_image_features(**inputs, return_dict=True).pooler_output
        return features

    def _take(self, medium: Media) -> Pixels | PictureError:
        with self._lock:
            found = self._pixels.pop(_key(medium))
        return self._open(medium) if found is None else found

    def _open(self, medium: Media) -> Pixels | PictureError:
        pixels: Pixels | PictureError
        try:
            pixels = self._process(open_image(medium.source))
        except PictureError as error:
            pixels = error
        with self._lock:
            self._pixels.put(_key(medium), pixels, 0 if isinstance(pixels, PictureError) else _bytes(*pixels.values()))
        return pixels

    def _process(self, image: Image.Image) -> Pixels:
        """Return what the tower is given for one picture: pixel values, and sizes where the family wants them."""
        found = self._processor(images=[image], return_tensors="pt")
        names = ("pixel_values", "image_sizes") if self._model.config.model_type != "llava" else ("pixel_values",)
        return {name: found[name] for name in names}


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


def _key(medium: Media) -> str:
    return medium.digest or f"path:{medium.source}"


def _bytes(*tensors: Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
