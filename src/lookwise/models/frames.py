"""Pictures out of a clip: a few frames, evenly spaced.

In: a path to an animated picture (GIF, WebP, APNG: nothing more is needed) or to a video file (needs PyAV).  Out: RGB
pictures.  PictureError, whose reason holds no path, says why a clip cannot be used.  It knows nothing of models.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookwise import media

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["frames", "spaced"]

_MOST_FRAMES = 100_000


def spaced(count: int, wanted: int) -> list[int]:
    """Return `wanted` positions among `count`, each in the middle of its stretch; short of frames, some come twice."""
    return [(2 * i + 1) * count // (2 * wanted) for i in range(wanted)]


def frames(source: str, wanted: int, *, fill: bool = True) -> list[Image]:
    """Return `wanted` frames of a clip.  One that is shorter gives some twice, or fewer where not to `fill`."""
    path = media.locate(source)
    found = _animation(path, source, wanted, fill)
    return _clip(path, source, wanted, fill) if found is None else found


def _animation(path: Path, source: str, wanted: int, fill: bool) -> list[Image] | None:
    """Return frames of an animated picture, None where the file is no picture at all."""
    from PIL import Image, ImageSequence, UnidentifiedImageError

    try:
        media.open_image(path)  # all checks of size and soundness, on its first frame
    except media.PictureError:
        return None
    try:
        with Image.open(path) as image:
            count = min(int(getattr(image, "n_frames", 1)), _MOST_FRAMES)
            places = spaced(count, wanted if fill else min(count, wanted))
            kept = {i: f.convert("RGB") for i, f in enumerate(ImageSequence.Iterator(image)) if i in places}
        return [kept[i] for i in places]
    except (OSError, ValueError, SyntaxError, KeyError, UnidentifiedImageError) as error:
        raise media.PictureError(source, f"damaged animation ({type(error).__name__})") from error


def _clip(path: Path, source: str, wanted: int, fill: bool) -> list[Image]:
    """Return frames of a video file."""
    if importlib.util.find_spec("av") is None:
        raise media.PictureError(source, "a video, which needs the package av; install av, or give frames as pictures")
    av: Any = importlib.import_module("av")
    try:
        count = sum(1 for _ in _decoded(av, path))
        places = spaced(count, wanted if fill else max(1, min(count, wanted)))
        kept: dict[int, Image] = {i: f.to_image() for i, f in enumerate(_decoded(av, path)) if i in places}
        return [kept[i] for i in places]
    except (av.FFmpegError, OSError, ValueError, IndexError, KeyError) as error:
        raise media.PictureError(source, f"damaged video, or one without pictures ({type(error).__name__})") from error


def _decoded(av: Any, path: Path) -> Iterator[Any]:
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i >= _MOST_FRAMES:
                return
            yield frame
