"""Loads, when it is imported, the libraries that models need: by the process from which others are forked alone.

They take five to ten seconds of a core, which every further process saves.  What cannot be loaded here is left to
whoever needs it, who says what is wrong with it.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

__all__ = ()

_NEEDED = (
    "lookwise.models.hf.model",
    "lookwise.training.opening",
    "lookwise.training.trainer",
    "lookwise.training.lora",
    "peft",
)

for _name in _NEEDED:
    with suppress(Exception):
        import_module(_name)
