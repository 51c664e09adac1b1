"""Pixels of the published processors, which need torchvision, beside ours; prints one JSON line a family.

A program of its own, since torchvision must be imported before transformers is, and a build for another torch lacks its
compiled operators: their names are registered here, which is all that scaling pictures needs.  Its argument is a folder
to work in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

PROCESSORS = {
    "LLaVA-OneVision": "LlavaOnevisionVideoProcessor",
    "LLaVA-NeXT-Video": "LlavaNextVideoVideoProcessor",
    "Qwen2-VL": "Qwen2VLVideoProcessor",
    "Qwen2.5-VL": "Qwen2VLVideoProcessor",
    "InternVL": "InternVLVideoProcessor",
}
SHAPED = ("size", "crop_size", "image_grid_pinpoints", "max_image_tiles", "patch_size", "merge_size")
CROPS = ("crop_to_patches", "min_patches", "max_patches")


def named_operators() -> torch.library.Library | None:
    """Register the names that torchvision looks for, unless it brings them."""
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def apart(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float]:
    """Return the largest and the mean difference of two tensors of one size."""
    gaps = (one.flatten() - other.flatten()).abs()
    return float(gaps.max()), float(gaps.mean())


def difference(family: Any, folder: Path) -> dict[str, Any]:
    """Return the largest and the mean difference of a pixel, in a picture and in a clip."""
    import families
    import numpy as np
    import transformers
    from PIL import Image

    from lookwise.models.open import open_model

    eyes: Any = open_model(f"hf:{families.save(family, folder)}")._pictures._eyes  # type: ignore[attr-defined]
    image = Image.linear_gradient("L").rotate(30).resize((40, 90)).convert("RGB")
    ours = family.images()
    settings = {name: value for name, value in ours.to_dict().items() if name in SHAPED + CROPS}
    theirs = getattr(transformers, type(ours).__name__.removesuffix("Pil"))(**settings)
    pixels = torch.as_tensor(theirs(images=[image], return_tensors="pt")["pixel_values"])
    found = {"family": family.name, "picture": apart(eyes.picture(image)["pixel_values"], pixels)}
    if family.name in PROCESSORS:
        shots = [image.rotate(20 * i) for i in range(8)]
        known = families.clip_settings(family) if family.name.startswith("LLaVA") else settings
        kept = {name: known[name] for name in (*SHAPED, "do_resize", "do_center_crop") if known.get(name) is not None}
        watch = getattr(transformers, PROCESSORS[family.name])(**kept)
        frames = [np.stack([np.array(shot) for shot in shots])]
        clip = watch(videos=frames, return_tensors="pt", do_sample_frames=False)["pixel_values_videos"]
        mine = eyes.clip(shots)
        found["clip"] = apart(mine.get("clip", mine.get("frames")), clip)
    return found


def main() -> None:
    """Compare every family that sees."""
    library = named_operators()
    import families
    import torchvision  # noqa: F401 - before transformers

    for family in families.FAMILIES:
        if family.images is not None:
            print(json.dumps(difference(family, Path(sys.argv[1]) / family.name.replace(" ", "-"))))
    del library


if __name__ == "__main__":
    main()
