"""What fetching may take, and where it may go: one frozen value, handed down."""

from __future__ import annotations

from dataclasses import dataclass

from lookwise.media import MAX_PIXELS
from lookwise.patience import Patience

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a fetch.

    at_once, per_host   requests under way in all, and to one host
    seconds, connect    one request from its start to the last byte; its connection alone
    bytes, pixels       of one picture; a body is not read further, an image not decoded beyond
    redirects           followed one after another
    wait                the longest that a server may ask to wait; one that asks for more is left for a later call
    lost                requests in a row without an answer after which a host is left for a later call
    private             whether addresses inside one's own network may be asked: loopback, 10.0.0.0/8, fe80::/10 …
    """

    at_once: int = 32
    per_host: int = 4
    seconds: float = 60.0
    connect: float = 10.0
    bytes: int = 32 * 2**20
    pixels: int = MAX_PIXELS
    redirects: int = 5
    wait: float = 120.0
    lost: int = 12
    private: bool = False
    patience: Patience = Patience(attempts=4, first=1.0, longest=30.0)
