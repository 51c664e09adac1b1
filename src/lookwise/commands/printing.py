"""The one place that writes a command's result to standard output."""

from __future__ import annotations

import json
import sys
from typing import Any

__all__ = ["say", "say_json"]


def say(line: str = "") -> None:
    """Write one line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say_json(value: Any) -> None:
    """Write a value as JSON; NaN is refused (it must have become null before)."""
    say(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))
