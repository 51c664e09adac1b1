"""Which models can be tuned, read from their files before anything loads.

In: a spec, and whether the examples show pictures.  Out: nothing, or a ModelError that names the cure.  Plain Python.
Pictures need a family whose every picture becomes equally many tokens, which collate.py and examples.py build on.
"""

from __future__ import annotations

from pathlib import Path

from lookwise.errors import ModelError
from lookwise.models.hf.families import VISION, family_of
from lookwise.models.place import locate

__all__ = ["SEEN", "check_base", "check_tunable"]

SEEN = ("llava",)
"""Families that are tuned with pictures: LLaVA-1.5 and LLaVA-NeXT-Interleave checkpoints are of this one."""


def check_base(spec: str, *, pictures: bool, remote_code: bool = False) -> None:
    """Raise ModelError for a base that cannot be tuned; a hub name that is not here is judged when it is fetched."""
    if spec.partition(":")[0] not in ("tiny", "hf"):
        raise ModelError(f"model {spec!r} has no weights here to tune; name a tiny: or hf: model, or do not tune it")
    place = locate(spec, fetch=False, remote_code=remote_code)
    if place is None:
        return
    if place.adapter is not None:
        raise ModelError(f"model {spec!r} is an adapter on a base; tune from the base itself")
    check_tunable(place.folder, spec, pictures=pictures, remote_code=remote_code)


def check_tunable(folder: Path, spec: str, *, pictures: bool, remote_code: bool = False) -> None:
    """Raise ModelError for a checkpoint that cannot be tuned, from the configuration in its folder."""
    family = family_of(folder, spec, remote_code=remote_code)
    if family in VISION and family not in SEEN:
        raise ModelError(
            f"model {spec!r} is of the family {family!r}, which is asked here but not tuned; take a llava checkpoint, "
            "or set readers: zero-shot (verifying: zero-shot for a verifier)"
        )
    if pictures and family not in SEEN:
        raise ModelError(f"model {spec!r} reads text only, but would be tuned with pictures; name a llava model")
