"""`lookwise doctor [MODEL]`: what is installed and, for a model, what it is and what it needs.

Whether batch size changes a model's answers, and the memory of caches, come with the larger models.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
from typing import Any

from lookwise import __version__
from lookwise.commands.printing import say, say_json

__all__ = ["doctor"]

_NEEDED = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "pillow", "pyarrow", "rich")
_EXTRAS = ("torchvision", "bitsandbytes", "av", "deepspeed")


def doctor(arguments: argparse.Namespace) -> int:
    """Print the environment, and a model's size where one is named."""
    facts: dict[str, Any] = {
        "lookwise": __version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in _NEEDED},
        "extras": {name: _version(name) for name in _EXTRAS},
        "cuda": _cuda(),
    }
    if arguments.model:
        facts["model"] = _model(arguments.model)
    if arguments.json:
        say_json(facts)
    else:
        for key, value in facts.items():
            say(f"{key:<10} {_plain(value)}")
    return 0


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cuda() -> str | None:
    from lookwise.models.hf.device import cuda_name

    return cuda_name()


def _model(spec: str) -> dict[str, Any]:
    from lookwise.models.open import check_spec, fingerprint, takes_pictures
    from lookwise.models.place import locate

    check_spec(spec)
    place = locate(spec, fetch=False)
    size = sum(f.stat().st_size for f in place.folder.glob("*.safetensors")) if place else None
    return {
        "spec": spec,
        "here": place is not None,
        "weights_bytes": size,
        "sees_pictures": takes_pictures(spec),
        "fingerprint": fingerprint(spec) if place else None,
    }


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {'-' if v is None else v}" for k, v in value.items())
    return "-" if value is None else str(value)
