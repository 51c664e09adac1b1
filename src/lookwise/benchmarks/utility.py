"""SUMEI's four judgements of a picture (arXiv 2508.15721): the words that a verifier is asked with and trained on.

In: whether the text-only answer and the answer with the picture were right.  Out: the label; its line of the prompt;
and the label that such a line, or its letter, stands for.  Options and training labels are the same words: the
published programs ask with one set of words and train on another.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from lookwise.rows import UtilityLabel

__all__ = ["JUDGEMENTS", "LABELS", "label_of", "line_of", "utility_label"]

LABELS: tuple[UtilityLabel, ...] = get_args(UtilityLabel)
JUDGEMENTS: tuple[str, ...] = tuple(f"{letter}: {label}" for letter, label in zip("ABCD", LABELS, strict=True))
"""What a verifier may answer, in the published order: A helpful, B ineffective, C redundant, D misleading."""

_BY_RIGHTNESS: Mapping[tuple[bool, bool], UtilityLabel] = MappingProxyType(
    {
        (False, True): "helpful",
        (False, False): "ineffective",
        (True, True): "redundant",
        (True, False): "misleading",
    }
)


def utility_label(text_right: bool, visual_right: bool) -> UtilityLabel:
    """Return what a picture was worth: its answer against that from the text alone."""
    return _BY_RIGHTNESS[text_right, visual_right]


def line_of(label: UtilityLabel) -> str:
    """Return the line that stands for a label."""
    return JUDGEMENTS[LABELS.index(label)]


def label_of(reply: str) -> UtilityLabel | None:
    """Return the label that a line, its letter or its word stands for, or None; case and a full stop are forgiven."""
    said = reply.strip().rstrip(".").casefold()
    for label, line in zip(LABELS, JUDGEMENTS, strict=True):
        if said in (label, line.casefold(), line[0].casefold()):
            return label
    return None
