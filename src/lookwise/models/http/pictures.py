"""Pictures and clips as the addresses that a chat request carries.

In: a `Media`.  Out: data URIs (JPEG, upright, at most so many pixels on the longest side), or the web address itself
where the medium is one; for a clip those of a few frames, evenly spaced.  PictureError says why one cannot be used.  It
knows nothing of requests.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookwise import media
from lookwise.message import Media

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["addresses"]

_QUALITY = 95
"""JPEG quality: what the server's model sees should be what a local one would."""
_MOST_FRAMES = 100_000


def addresses(medium: Media, longest: int, frames: int) -> list[str]:
    """Return what stands for a medium in a request: one address for a picture, one per frame for a clip."""
    if medium.kind == "image":
        if media.is_url(medium.source):
            return [medium.source]
        return [media.data_uri(medium.source, longest=longest, quality=_QUALITY)]
    path = media.locate(medium.source)
    shown = _animation(path, frames)
    if shown is None:
        shown = _clip(path, medium.source, frames)
    return [_uri(media.fit(frame, longest)) for frame in shown]


def _spaced(count: int, wanted: int) -> list[int]:
    """Return up to `wanted` positions among `count`, each in the middle of its stretch."""
    some = min(count, wanted)
    return [(2 * i + 1) * count // (2 * some) for i in range(some)]


def _animation(path: Path, wanted: int) -> list[Image] | None:
    """Return frames of an animated picture (GIF, WebP, APNG), None where the file is no picture at all."""
    from PIL import Image, ImageSequence, UnidentifiedImageError

    try:
        media.open_image(path)  # all checks of size and soundness, on its first frame
        with Image.open(path) as image:
            count = min(int(getattr(image, "n_frames", 1)), _MOST_FRAMES)
            keep = set(_spaced(count, wanted))
            return [f.convert("RGB") for i, f in enumerate(ImageSequence.Iterator(image)) if i in keep]
    except (media.PictureError, UnidentifiedImageError):
        return None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise media.PictureError(str(path), f"damaged animation ({type(error).__name__})") from error


def _clip(path: Path, source: str, wanted: int) -> list[Image]:
    """Return frames of a video file; needs PyAV."""
    if importlib.util.find_spec("av") is None:
        raise media.PictureError(source, "a video, which needs the package av; install av, or give frames as pictures")
    av: Any = importlib.import_module("av")
    try:
        count = sum(1 for _ in _decoded(av, path))
        keep = set(_spaced(count, wanted))
        shown: list[Image] = [f.to_image() for i, f in enumerate(_decoded(av, path)) if i in keep]
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise media.PictureError(source, f"damaged video ({type(error).__name__})") from error
    if not shown:
        raise media.PictureError(source, "a video without pictures")
    return shown


def _decoded(av: Any, path: Path) -> Iterator[Any]:
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i >= _MOST_FRAMES:
                return
            yield frame


def _uri(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
