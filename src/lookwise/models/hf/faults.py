"""What transformers and PEFT raise for a checkpoint that is incomplete or of another version, as one sentence.

In: an exception.  Out: a ModelError that names the model and the part that failed.
"""

from __future__ import annotations

import re

from safetensors import SafetensorError

from lookwise.errors import ModelError

__all__ = ["FAULTS", "cannot"]

FAULTS = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SafetensorError)
"""All of these have been seen for damaged or foreign files."""


def cannot(spec: str, what: str, error: Exception) -> ModelError:
    """Return the error for a part ("weights") that cannot be loaded."""
    reason = re.sub(r"\s+", " ", str(error))[:200] or type(error).__name__
    return ModelError(f"model {spec!r}: its {what} cannot be loaded ({reason}); save the checkpoint again")
