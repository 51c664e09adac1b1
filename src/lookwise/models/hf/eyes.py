"""What each family's image processor and tower make of pictures and clips.

In: a loaded model, its image processors, PIL images.  Out: pixels, and from pixels a `Sight`.  Families that differ
have a function of their own in one table; caching and grouping are pictures.py's.  Image processors run on PIL,
whether torchvision is there or not, so that answers do not depend on it; clips go through them frame by frame for the
same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

__all__ = ["CLIP_FRAMES", "FRAME_BY_FRAME", "Eyes", "Pixels", "Sight"]

CLIP_FRAMES = 8
"""Frames that are taken from a clip, however long it is."""

FRAME_BY_FRAME = ("internvl",)
"""Families to which a clip is a run of pictures, each with its number in words before it."""

Pixels = dict[str, Tensor]

_NAMES: Mapping[str, tuple[str, ...]] = {
    "llava_next": ("pixel_values", "image_sizes"),
    "llava_next_video": ("pixel_values", "image_sizes"),
    "llava_onevision": ("pixel_values", "image_sizes"),
    "mllama": ("pixel_values", "aspect_ratio_ids", "aspect_ratio_mask", "num_tiles"),
    "qwen2_vl": ("pixel_values", "image_grid_thw"),
    "qwen2_5_vl": ("pixel_values", "image_grid_thw"),
}
"""What an image processor gives besides pixel values and a family wants."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A picture or clip as the decoder gets it.

    `parts` [tokens, width] replace one placeholder each; only a clip that is shown frame by frame has several.  `grid`
    is (times, rows, columns) of patches, for families whose positions follow it.  `used` counts the leading tokens that
    hold the picture, where a family pads it (the others are seen by tokens before the picture alone).
    """

    parts: tuple[Tensor, ...]
    grid: tuple[int, int, int] | None = None
    used: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that it becomes."""
        return sum(part.shape[0] for part in self.parts)

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return sum(part.numel() * part.element_size() for part in self.parts)


class Eyes:
    """The tower, projector and processor of one model."""

    def __init__(self, model: Any, image_processor: Any, clip_processor: Any) -> None:
        self.family = str(model.config.model_type)
        self._model, self._images, self._clips = model, image_processor, clip_processor
        self._dtype = model.get_input_embeddings().weight.dtype

    @property
    def minds_company(self) -> bool:
        """Whether a picture that is the only one of its prompt is looked at otherwise than one among others."""
        return self.family == "llava_onevision"

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Sizes of pictures among which is one that becomes as many tokens as any can."""
        grid = getattr(self._model.config, "image_grid_pinpoints", None)
        if grid:
            return [(int(width), int(height)) for height, width in grid]
        if self.family == "internvl":
            side, most = int(self._images.size["height"]), int(getattr(self._images, "max_patches", 1) or 1)
            return [(side * most, side), (side * max(1, most // 2), side * 2)]
        return [(64, 64)]

    def counted(self, kind: str, size: tuple[int, int] | None) -> int | None:
        """Return how many tokens a picture or clip of a size becomes, where that can be counted without looking.

        Without a size it is the most that any becomes, which may be thousands: far more than most do.
        """
        if not self.family.startswith("qwen2"):
            return None
        merged = int(self._images.merge_size) ** 2
        if kind == "image" and size is not None:
            return int(self._images.get_number_of_image_patches(size[1], size[0])) // merged
        processor, steps = (self._images, 1) if kind == "image" else (self._clips, CLIP_FRAMES // 2)
        return steps * int(processor.size["longest_edge"]) // (int(processor.patch_size) ** 2 * merged)

    def picture(self, image: Image.Image, *, alone: bool = True) -> Pixels:
        """Return a picture's pixels and what must be known of its shape."""
        names = _NAMES.get(self.family, ("pixel_values",))
        if alone or not self.minds_company:
            found = self._images(images=[image], return_tensors="pt")
            return {name: torch.as_tensor(found[name]) for name in names}
        found = self._images(images=[[image, image]], return_tensors="pt")  # a second one is company enough
        return {name: torch.as_tensor(found[name])[:1] for name in names}

    def clip(self, frames: Sequence[Image.Image]) -> Pixels:
        """Return the pixels of a clip's frames."""
        if self.family in FRAME_BY_FRAME:
            found = self._images(images=list(frames), crop_to_patches=False, return_tensors="pt")
            return {"frames": torch.as_tensor(found["pixel_values"])}
        if self.family.startswith("qwen2"):
            return self._paired(frames)
        return {"clip": torch.as_tensor(self._clips(images=list(frames), return_tensors="pt")["pixel_values"])[None]}

    def _paired(self, frames: Sequence[Image.Image]) -> Pixels:
        """Return patches that span two frames each.

        A picture's patches hold it twice, once for each of two moments; here the second moment is the next frame's.
        """
        found = self._clips(images=list(frames), return_tensors="pt")
        moments, edge = int(self._images.temporal_patch_size), int(self._images.patch_size)
        _, rows, columns = (int(n) for n in found["image_grid_thw"][0])
        patches = torch.as_tensor(found["pixel_values"]).view(
            len(frames) // moments, moments, rows * columns, 3, moments, edge, edge
        )
        joined = torch.stack([patches[:, i, :, :, i] for i in range(moments)], dim=3)
        grid = torch.tensor([[len(frames) // moments, rows, columns]])
        return {"clip": joined.reshape(-1, joined[0, 0].numel()), "grid": grid}

    def look(self, pixels: Sequence[Pixels], *, alone: bool, device: torch.device) -> Sequence[Sight]:
        """Return what pictures, or clips, of one shape become; `alone`: each is the only picture of its prompt."""
        inputs = {name: torch.cat([one[name] for one in pixels]).to(device) for name in pixels[0]}
        for name in ("pixel_values", "clip", "frames"):
            if name in inputs:
                inputs[name] = inputs[name].to(self._dtype)
        if "pixel_values" not in inputs:
            return self._look_at_clips(inputs, len(pixels))
        return _LOOKS.get(self.family, _plain)(self._model, inputs, len(pixels), alone)

    def _look_at_clips(self, inputs: Pixels, count: int) -> Sequence[Sight]:
        if "frames" in inputs:
            features = self._model.get_image_features(pixel_values=inputs["frames"], return_dict=True).pooler_output
            return [Sight(tuple(some)) for some in features.chunk(count)]
        if "grid" in inputs:
            found = self._model.get_video_features(inputs["clip"], inputs["grid"], return_dict=True).pooler_output
            return _gridded(found, inputs["grid"])
        found = self._model.get_video_features(pixel_values_videos=inputs["clip"], return_dict=True).pooler_output
        return [Sight((one,)) for one in found]


Look = Callable[[Any, Pixels, int, bool], Sequence[Sight]]


def _plain(model: Any, inputs: Pixels, count: int, alone: bool) -> Sequence[Sight]:
    del count, alone
    return [Sight((one,)) for one in model.get_image_features(**inputs, return_dict=True).pooler_output]


def _onevision(model: Any, inputs: Pixels, count: int, alone: bool) -> Sequence[Sight]:
    if alone:
        return _plain(model, inputs, count, alone)
    # Told that one prompt holds all of them (two at least), the model uses no crop of any.
    found = model.get_image_features(**inputs, batch_num_images=torch.tensor([max(2, count)]), return_dict=True)
    return [Sight((one,)) for one in found.pooler_output]


def _qwen(model: Any, inputs: Pixels, count: int, alone: bool) -> Sequence[Sight]:
    del count, alone
    grid = inputs["image_grid_thw"]
    return _gridded(model.get_image_features(inputs["pixel_values"], grid, return_dict=True).pooler_output, grid)


def _gridded(features: Sequence[Tensor], grid: Tensor) -> Sequence[Sight]:
    shapes = [(int(t), int(h), int(w)) for t, h, w in grid]
    return [Sight((one,), shape) for one, shape in zip(features, shapes, strict=True)]


def _internvl(model: Any, inputs: Pixels, count: int, alone: bool) -> Sequence[Sight]:
    """Crops of one picture follow one another; pictures of one shape have equally many."""
    del alone
    found: Tensor = model.get_image_features(**inputs, return_dict=True).pooler_output
    return [Sight((some.flatten(0, 1),)) for some in found.chunk(count)]


def _mllama(model: Any, inputs: Pixels, count: int, alone: bool) -> Sequence[Sight]:
    """Tiles up to the most that a picture may have; the last ones are empty for most."""
    del alone
    tiles = inputs.pop("num_tiles").reshape(-1).tolist()
    seen = model.model.vision_model(**inputs).last_hidden_state
    states: Tensor = model.model.multi_modal_projector(seen)
    patches = states.shape[-2]
    return [
        Sight((one.reshape(-1, one.shape[-1]),), used=int(t) * patches)
        for one, t in zip(states.reshape(count, -1, *states.shape[-2:]), tiles, strict=True)
    ]


_LOOKS: Mapping[str, Look] = {
    "internvl": _internvl,
    "llava_onevision": _onevision,
    "mllama": _mllama,
    "qwen2_vl": _qwen,
    "qwen2_5_vl": _qwen,
}
