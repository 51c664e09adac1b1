"""The architectures that can be asked, as plain tables: what a checkpoint's config.json may say in `model_type`.

In: a checkpoint's folder.  Out: whether it is known, and whether it sees pictures.  Plain Python: a recipe is checked
with it before torch is loaded.  A family stands here once a test shows that packed scores equal those of the model
called alone (tests/models/test_hf_families.py).
"""

from __future__ import annotations

import json
from pathlib import Path

from lookwise.errors import ModelError, nearest

__all__ = ["TEXT", "VISION", "family_of", "sees_pictures"]

TEXT = ("gemma", "granite", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3")
"""Decoders that read text."""

VISION = ("llava", "llava_next")
"""A vision tower, a projector, and one of the decoders above."""


def family_of(folder: Path, name: str) -> str:
    """Return a checkpoint's family; ModelError, naming the model as `name`, when it is none that can be asked."""
    config = _config(folder, name)
    family = str(config.get("model_type", ""))
    if family not in TEXT and family not in VISION:
        cure = nearest(family, [*TEXT, *VISION])
        raise ModelError(f"model {name!r} is of the family {family!r}, which cannot be asked in this process; {cure}")
    if family in VISION:
        text = config.get("text_config")
        inner = str(text.get("model_type", "llama")) if isinstance(text, dict) else "llama"
        if inner not in TEXT:
            raise ModelError(f"model {name!r}: its decoder is of the family {inner!r}; {nearest(inner, TEXT)}")
    return family


def sees_pictures(folder: Path, name: str) -> bool:
    """Return whether a checkpoint takes pictures."""
    return family_of(folder, name) in VISION


def _config(folder: Path, name: str) -> dict[str, object]:
    path = folder / "config.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ModelError(f"model {name!r}: {folder} holds no config.json; expected a saved checkpoint") from None
    except ValueError:
        raise ModelError(f"model {name!r}: its config.json is not JSON; save the checkpoint again") from None
    if not isinstance(value, dict):
        raise ModelError(f"model {name!r}: its config.json holds no keys; save the checkpoint again")
    return value
