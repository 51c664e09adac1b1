"""Which samples can be learned from as they are shown: those of which every shown picture can be opened.

In: samples, and the pictures shown of each.  Out: those that can be lessons, and the others counted by reason, which
the adapter's card tells.  No other picture is put in place of a missing one, and a tuning does not end at it, unless
nothing is left: that is told here, with cause and cure.  It opens pictures whole, as the tuning will; it knows no
policy and no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from lookwise.errors import DataError
from lookwise.media import check_image, is_url
from lookwise.message import Media
from lookwise.sample import Sample

__all__ = ["check_lessons", "faults", "lessons"]

_UNFETCHED = "a web address that was not fetched"


def faults(shown: Iterable[Media]) -> dict[str, str]:
    """Return why pictures cannot be opened, by their place; one that can is not there."""
    found = {medium.source: _fault(medium) for medium in dict.fromkeys(shown)}
    return {source: reason for source, reason in found.items() if reason is not None}


def _fault(medium: Media) -> str | None:
    if is_url(medium.source):
        return _UNFETCHED
    return check_image(medium.source) if medium.kind == "image" else None


def lessons(
    samples: Sequence[Sample], pictures: Mapping[str, Sequence[Media]], broken: Mapping[str, str]
) -> tuple[list[Sample], dict[str, int]]:
    """Return the samples whose shown pictures are all there, and how many are not, by reason."""
    kept: list[Sample] = []
    reasons: Counter[str] = Counter()
    for sample in samples:
        reason = next((broken[m.source] for m in pictures.get(sample.id, ()) if m.source in broken), None)
        if reason is None:
            kept.append(sample)
        else:
            reasons[reason] += 1
    return kept, dict(sorted(reasons.items()))


def check_lessons(
    who: str, told: Sequence[object], samples: Sequence[Sample], missing: Mapping[str, int], otherwise: str
) -> None:
    """Raise DataError where a model is left with no lesson of these samples; `otherwise` is how to do without it."""
    if told:
        return
    unseen, cure = sum(missing.values()), "give training rows with gold answers"
    if not samples:
        why = "there are no training samples"
    elif not unseen:
        why = f"none of {len(samples)} training samples has a gold answer"
    else:
        most = max(missing, key=lambda reason: missing[reason])
        rest = ", and the others have no gold answer" if unseen < len(samples) else ""
        why = f"of {len(samples)} training samples {unseen} lack a picture that they are shown with ({most}){rest}"
        cure = "mend those pictures"
    raise DataError(f"{who} has nothing to learn from: {why}; {cure}, or {otherwise}")
