"""Pictures by web address become files: which addresses samples need, and the samples with what was got.

In: samples, and what became of their addresses (fetching).  Out: addresses; samples whose pictures are paths with
digests; a row for every picture that is missing.  A dead address stays in its place with its reason: no other picture
is ever put there, and no sample is dropped.  Clips are not fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lookwise.fetching.shelf import Fetched, Shelf
from lookwise.media import is_url
from lookwise.sample import Sample, Visual

__all__ = ["Absent", "absences", "addresses", "is_fetchable", "with_files"]

_CLIP = "a clip by web address; clips are not fetched"
_UNASKED = "a web address that has not been fetched"


@dataclass(frozen=True, slots=True)
class Absent:
    """A picture of a sample that is not there, and why."""

    sample_id: str
    slot: str
    candidate: int
    url: str
    reason: str


def addresses(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return the addresses of the samples' pictures, each once, in the order in which they are met."""
    return tuple(dict.fromkeys(v.media.source for s in samples for v in s.visuals if is_fetchable(v)))


def with_files(samples: Iterable[Sample], fetched: Mapping[str, Fetched], shelf: Shelf) -> list[Sample]:
    """Return the samples with the files that were got in place of their addresses; the rest as it is."""
    return [replace(s, visuals=tuple(_with_file(v, fetched, shelf) for v in s.visuals)) for s in samples]


def absences(samples: Iterable[Sample], fetched: Mapping[str, Fetched]) -> list[Absent]:
    """Return a row for every visual by web address that has no file, in the order of the samples."""
    return [
        Absent(s.id, v.slot, v.candidate, v.media.source, reason)
        for s in samples
        for v in s.visuals
        if (reason := _reason(v, fetched)) is not None
    ]


def is_fetchable(visual: Visual) -> bool:
    """Return whether a visual is a picture by web address."""
    return visual.media.kind == "image" and is_url(visual.media.source)


def _with_file(visual: Visual, fetched: Mapping[str, Fetched], shelf: Shelf) -> Visual:
    found = fetched.get(visual.media.source) if is_fetchable(visual) else None
    if found is None or found.digest is None:
        return visual
    return replace(visual, media=replace(visual.media, source=str(shelf.path(found.digest)), digest=found.digest))


def _reason(visual: Visual, fetched: Mapping[str, Fetched]) -> str | None:
    if not is_url(visual.media.source):
        return None
    if visual.media.kind != "image":
        return _CLIP
    found = fetched.get(visual.media.source)
    return _UNASKED if found is None else found.reason
