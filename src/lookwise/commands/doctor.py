"""`lookwise doctor [MODEL]`: what is installed and, for a model, what it is, what it needs, how steady it answers.

The memory is said before anything loads or its weights are fetched; then the model is opened and asked the same
questions one by one and in one batch, since a batch that changes answers makes every number depend on the machine.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lookwise import __version__
from lookwise.commands.printing import say, say_json

__all__ = ["doctor"]

_NEEDED = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "pillow", "pyarrow", "rich")
_EXTRAS = ("torchvision", "bitsandbytes", "av", "deepspeed")
_BATCH, _TOKENS = 32, 1024
"""The batch whose memory is told."""
_SIDE = 224
"""Pixels of the blank picture that comes with each question to a family that takes none without one."""


def doctor(arguments: argparse.Namespace) -> int:
    """Print the environment and, of a named model, its size, its memory and whether batches change its answers."""
    facts: dict[str, Any] = {
        "lookwise": __version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "packages": {name: _version(name) for name in _NEEDED},
        "extras": {name: _version(name) for name in _EXTRAS},
        "cuda": _cuda(),
    }
    if arguments.model:
        facts["model"] = _model(arguments.model, arguments.dtype)
    if not arguments.json:
        for key, value in facts.items():
            say(f"{key:<10} {_plain(value)}")
    elif arguments.model and facts["model"].get("weights_bytes") and not facts["model"]["here"]:
        sys.stderr.write(f"model      {_plain(facts['model'])}\n")  # before it is fetched; JSON comes at the end
    if arguments.model and not _paid(arguments.model):
        facts["steadiness"] = _steadiness(arguments.model, arguments.dtype)
        if not arguments.json:
            say(f"{'steadiness':<10} {_told(facts['steadiness'])}")
    if arguments.json:
        say_json(facts)
    return 0


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cuda() -> str | None:
    from lookwise.models.hf.device import cuda_name

    return cuda_name()


def _model(spec: str, dtype: str) -> dict[str, Any]:
    from lookwise.models.hf.families import sees_pictures
    from lookwise.models.open import ModelOptions, check_spec, fingerprint, takes_pictures
    from lookwise.models.place import locate, preview

    check_spec(spec)
    if _paid(spec):
        return _server(spec)
    if spec.partition(":")[0] not in ("hf", "tiny"):
        return {"spec": spec, "here": False, "sees_pictures": takes_pictures(spec)}
    place = locate(spec, fetch=False)
    found = place or preview(spec)
    return {
        "spec": spec,
        "here": place is not None,
        "sees_pictures": sees_pictures(found.folder, spec),
        "fingerprint": fingerprint(spec, ModelOptions(dtype=dtype)) if place else None,
        **_memory(found, dtype),
    }


def _memory(place: Any, dtype: str) -> dict[str, Any]:
    from lookwise.models.need import MATRIX_BYTES, need_of

    number = {"float32": 4, "bfloat16": 2, "float16": 2}.get(dtype, 2 if _cuda() else 4)
    need = need_of(place, number, MATRIX_BYTES.get(dtype))
    return {
        "parameters": need.parameters,
        "weights_bytes": need.weight_bytes,
        "cache_bytes_per_token": need.token_bytes,
        "positions": need.positions,
        f"bytes_with_{_BATCH}_rows_of_{_TOKENS}": need.of_batch(_BATCH, _TOKENS),
    }


def _steadiness(spec: str, dtype: str) -> dict[str, Any]:
    from dataclasses import asdict

    from PIL import Image

    from lookwise.message import Media
    from lookwise.models.open import ModelOptions, needs_a_picture, open_model
    from lookwise.pipeline.flips import flips

    model = open_model(spec, ModelOptions(dtype=dtype))
    try:
        if not needs_a_picture(spec):
            return asdict(flips(model))
        with TemporaryDirectory() as folder:
            blank = Path(folder) / "blank.png"
            Image.new("RGB", (_SIDE, _SIDE), "white").save(blank)
            return asdict(flips(model, Media(str(blank)))) | {"picture": "blank"}
    finally:
        model.close()


def _told(found: dict[str, Any]) -> str:
    if not found["ranked"] and not found["written"]:
        verdict = "batches change no answer"
    else:
        verdict = "BATCHES CHANGE ANSWERS: hold the batch size fixed when you compare runs (or use fp32)"
    return (
        f"{verdict}; of {found['asked']} questions asked alone and in one batch, {found['ranked']} were ranked and "
        f"{found['written']} written otherwise; scores differ by at most {found['furthest']:.1e} nats"
        + ("; a blank picture came with each" if found.get("picture") else "")
        + (f"; {found['failed']} could not be asked" if found["failed"] else "")
    )


def _paid(spec: str) -> bool:
    """Return whether a model is behind a server, where a hundred questions may cost something."""
    from lookwise.models.open import is_remote

    return is_remote(spec)


def _server(spec: str) -> dict[str, Any]:
    """Ask a server one short question, and say how it ranks options."""
    from lookwise.message import user
    from lookwise.model import Rank, Request
    from lookwise.models.open import fingerprint, open_model

    model = open_model(spec)
    try:
        (reply,) = model.answer(
            [Request((user("Is fire hot? Answer with one word, yes or no."),), Rank(("yes", "no")))]
        )
    finally:
        model.close()
    return {
        "spec": spec,
        "fingerprint": fingerprint(spec),
        "answer": reply.text,
        "failure": reply.failure,
        "ranks_by": "log-probabilities of the first token" if reply.scores else "the answer's text",
        "tokens": f"{reply.tokens_in} in, {reply.tokens_out} out",
    }


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_number(v)}" for k, v in value.items())
    return _number(value)


def _number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000:
        return f"{value:,}"
    return "-" if value is None else str(value)
