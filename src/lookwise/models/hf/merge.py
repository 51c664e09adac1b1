"""A checkpoint with its adapter merged, written as a checkpoint of its own.

In: a `Place`, and an empty folder.  Out: the folder, which plain transformers opens: configuration, safetensors in
float32, tokenizer, template and processor, and the checkpoint's own Python where that may be run: without it other
code would answer.  Merging that would change answers is refused: load.py tells.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from lookwise.errors import ModelError
from lookwise.models.hf.load import load_network
from lookwise.models.place import Place, code_files, text_files

__all__ = ["save_merged"]


def save_merged(place: Place, folder: Path) -> None:
    """Write the checkpoint; it is loaded in float32 on the CPU, whatever it is asked on."""
    model = load_network(place, torch.device("cpu"), "float32").model
    if any(".lora_" in name for name, _ in model.named_parameters()):
        raise ModelError(
            f"model {place.spec!r}: merging its adapter would change its answers; take the adapter alone (--adapter)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    bars: Any = logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        model.save_pretrained(str(folder))
    finally:
        if shown:
            bars.enable_progress_bar()
    for file in text_files(place):
        shutil.copyfile(file, folder / file.name)
    for file in code_files(place):
        copy = folder / file.relative_to(place.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
