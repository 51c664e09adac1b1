"""What transformers and PEFT raise for a checkpoint that is incomplete or of another version, as one sentence.

In: an exception.  Out: a ModelError that names the model and the part that failed.
"""

from __future__ import annotations

import re

from safetensors import SafetensorError

from lookwise.errors import ModelError

__all__ = ["FAULTS", "OWN_CODE_CURE", "cannot"]

FAULTS = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError, SafetensorError)
"""All of these have been seen for damaged or foreign files."""

OWN_CODE_CURE = "its own Python may be made for another version: serve the model and name its address (docs/models.md)"


def cannot(spec: str, what: str, error: Exception, cure: str = "save the checkpoint again") -> ModelError:
    """Return the error for a part ("weights") that cannot be loaded."""
    reason = re.sub(r"\s+", " ", str(error))[:200] or type(error).__name__
    return ModelError(f"model {spec!r}: its {what} cannot be loaded ({reason}); {cure}")
