"""Pictures and clips as the addresses that a chat request carries.

In: a `Media`.  Out: data URIs (JPEG, upright, at most so many pixels on the longest side), or the web address itself
where the medium is one; for a clip those of a few frames, evenly spaced.  PictureError says why one cannot be used.  It
knows nothing of requests.
"""

from __future__ import annotations

from lookwise import media
from lookwise.message import Media
from lookwise.models.frames import frames as frames_of

__all__ = ["addresses"]

_QUALITY = 95
"""JPEG quality: what the server's model sees should be what a local one would."""


def addresses(medium: Media, longest: int, frames: int) -> list[str]:
    """Return what stands for a medium in a request: one address for a picture, one per frame for a clip."""
    if medium.kind == "image":
        if media.is_url(medium.source):
            return [medium.source]
        return [media.data_uri(medium.source, longest=longest, quality=_QUALITY)]
    return [media.jpeg_uri(frame, longest, _QUALITY) for frame in frames_of(medium.source, frames, fill=False)]
