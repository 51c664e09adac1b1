"""Pictures on disk: find them safely, open them as RGB, say why one cannot be used, shrink and embed them.

In: a path (absolute, or relative to a root that it may not leave).  Out: a digest, an RGB `PIL.Image`, or a
`PictureError` whose `reason` is one line without any path, so that rows written on two machines agree.  Every Pillow
warning and every exception that a damaged file can provoke ends here.  It fetches no URLs, and knows nothing about
models or samples.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import logging
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from lookwise.errors import DataError

__all__ = [
    "MAX_PIXELS",
    "PictureError",
    "check_image",
    "data_uri",
    "digest",
    "fit",
    "image_size",
    "is_url",
    "jpeg_uri",
    "locate",
    "open_image",
]

MAX_PIXELS = 64_000_000
"""Default limit on width x height, read from the header before any pixel is decoded (as RGB: 192 MB)."""

_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO")
"""What is opened: pictures that Pillow decodes itself.  EPS, for one, is not here, since it starts another program."""

_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    ArithmeticError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise on damaged bytes."""

_SILENT_LOADS = ("JPEG", "MPO", "WEBP")
"""Formats whose decoding, once the header is read, warns of nothing: several threads may decode them at once."""

_ORIENTATION = 0x0112
_HEADER_LOCK = threading.Lock()


class PictureError(DataError):
    """A picture that cannot be used; `reason` is the cause in one line, without the path."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"picture {source!r}: {reason}; expected a readable image file")
        self.source = source
        self.reason = reason


def is_url(source: str) -> bool:
    """Return whether a media source is a web address (which has to be fetched first) and not a path."""
    return source.lower().startswith(("http://", "https://"))


def locate(source: str | Path, root: Path | None = None) -> Path:
    """Return the regular file that `source` names; with a `root` it must lie inside it, symbolic links followed."""
    name = str(source)
    if is_url(name):
        raise PictureError(name, "a web address that has not been fetched")
    try:
        path = (Path(name) if root is None else root / name).resolve()
        inside = root is None or path.is_relative_to(root.resolve())
        found, regular = path.exists(), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise PictureError(name, f"not a usable path ({_cause(error)})") from error
    if not inside:
        raise PictureError(name, "its path leads out of the folder of its table")
    if not name or (found and not regular):
        raise PictureError(name, "not a file but a folder or device" if name else "empty path")
    if not found:
        raise PictureError(name, "no such file")
    return path


def digest(path: str | Path) -> str:
    """Return the sha256 of a file's bytes, in hex."""
    try:
        with locate(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PictureError(str(path), f"cannot be read ({_cause(error)})") from error


def open_image(source: str | Path, root: Path | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return a picture as RGB: upright by its EXIF, on white where transparent, an animation's first frame."""
    path = locate(source, root)
    try:
        with path.open("rb") as file:
            return _decode(file, str(source), max_pixels)
    except PictureError:
        raise
    except _DAMAGE as error:
        raise PictureError(str(source), _cause(error)) from error


def image_size(source: str | Path, root: Path | None = None) -> tuple[int, int]:
    """Return a picture's width and height as its header states them; nothing is decoded."""
    path = locate(source, root)
    try:
        with path.open("rb") as file, _quiet(), Image.open(file, formats=_formats()) as image:
            return image.size
    except _DAMAGE as error:
        raise PictureError(str(source), _cause(error)) from error


def check_image(path: str | Path, root: Path | None = None, max_pixels: int = MAX_PIXELS) -> str | None:
    """Return why a picture cannot be used, or None when it can; decodes it whole."""
    try:
        open_image(path, root, max_pixels)
    except PictureError as error:
        return error.reason
    return None


def fit(image: Image.Image, longest: int) -> Image.Image:
    """Return the picture with its longest side at most `longest` pixels; its shape is kept and it is never enlarged."""
    width, height = image.size
    scale = longest / max(width, height)
    if scale >= 1:
        return image
    return image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BICUBIC)


def data_uri(path: str | Path, root: Path | None = None, longest: int | None = None, quality: int = 85) -> str:
    """Return a picture as a JPEG data URI, its longest side at most `longest` pixels."""
    return jpeg_uri(open_image(path, root), longest, quality)


def jpeg_uri(image: Image.Image, longest: int | None = None, quality: int = 85) -> str:
    """Return an opened picture as a JPEG data URI, its longest side at most `longest` pixels."""
    if longest is not None:
        image = fit(image, longest)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _decode(file: io.BufferedReader, source: str, max_pixels: int) -> Image.Image:
    """Read the header, refuse what is too large, then decode and bring to upright RGB."""
    if not file.peek(1):
        raise PictureError(source, "zero bytes")
    with _quiet():
        image = Image.open(file, formats=_formats())
    if image.width * image.height > max_pixels:
        reason = f"{image.width} x {image.height} pixels, more than the limit of {max_pixels}"
        raise PictureError(source, reason)
    if image.format in _SILENT_LOADS:
        image.load()
    with _quiet():
        image.load()
        orientation = image.getexif().get(_ORIENTATION, 1)
        rgb = _to_rgb(image)
        if orientation != 1:
            rgb.getexif()[_ORIENTATION] = orientation
            rgb = ImageOps.exif_transpose(rgb)
    return rgb


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings in.  One thread at a time, since Python's warning filters belong to the whole process."""
    with _HEADER_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@functools.cache
def _formats() -> tuple[str, ...]:
    """Return the formats of `_FORMATS` that this build of Pillow can open."""
    Image.init()
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # else its errors go to the user's terminal
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded picture as a plain RGB image of 8 bits a channel."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    rgb = image.convert("RGB") if image.mode != "RGB" else image.copy()
    rgb.info = {}
    return rgb


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale a deep grey image to 8 bits: 16 bits by 257, anything else from its own darkest to its lightest."""
    deep = image.convert("F")
    low, high = (float(value) for value in deep.getextrema())  # type: ignore[arg-type]
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("pixel values that are not finite")
    if image.mode != "F" and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    span = (high - low) or 1.0
    return deep.point(lambda value: value * (255.0 / span) - low * 255.0 / span).convert("L")


def _cause(error: BaseException) -> str:
    """Return an exception as one line that is the same on every machine: no path, no memory address."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format, or its header is damaged"
    if isinstance(error, Image.DecompressionBombError):
        return "far more pixels than the limit (a decompression bomb?)"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = " ".join(str(error).split())[:160]
    return f"damaged image ({text or type(error).__name__})"
