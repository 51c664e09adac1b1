"""LoRA on all projections and the head: which modules, how it is put on, how it is written.

In: an open transformers model and `TuneSettings`.  Out: the same model under PEFT, how many modules of each name were
adapted, and an adapter folder that plain PEFT reads.  A name that matches nothing is an error that lists what there is.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lookwise.errors import ModelError
from lookwise.training.heads import untie
from lookwise.training.settings import TuneSettings

if TYPE_CHECKING:
    from peft import PeftModel

__all__ = ["PROJECTIONS", "adapt", "places", "save_adapter"]

PROJECTIONS = (
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    "qkv_proj", "gate_up_proj",
)  # fmt: skip
"""Attention and feed-forward projections of Llama, Mistral, Qwen2; the fused names are Phi3's."""


def places(model: Any, settings: TuneSettings, name: str) -> list[str]:
    """Return the full names of the modules to adapt, in the model's order."""
    linears = [path for path, module in model.named_modules() if isinstance(module, nn.Linear)]
    head = next((p for p, m in model.named_modules() if m is model.get_output_embeddings()), None)
    eyes = ("vision_tower", "multi_modal_projector")
    tongue = [p for p in linears if p != head and not _inside(p, eyes)]
    wanted = settings.targets or PROJECTIONS
    chosen = {p for p in tongue if p.rsplit(".", 1)[-1] in wanted}
    there = sorted({p.rsplit(".", 1)[-1] for p in tongue})
    missing = [w for w in settings.targets if w not in there]
    if missing:
        raise ModelError(f"{name}: no linear module is called {missing[0]!r}; there are: {', '.join(there)}")
    if not chosen:
        raise ModelError(
            f"{name}: none of its linear modules is a known projection; name targets among: {', '.join(there)}"
        )
    if settings.head:
        if head is None:
            raise ModelError(f"{name} has no language-model head to adapt; set head=False")
        chosen.add(head)
    for wish, part in ((settings.tower, eyes[0]), (settings.projector, eyes[1])):
        found = [p for p in linears if _inside(p, (part,))]
        if wish and not found:
            raise ModelError(f"{name} has no linear modules in {part}; leave its option off for a model without eyes")
        chosen.update(found if wish else ())
    return [p for p in (*linears, *([head] if head and head not in linears else [])) if p in chosen]


def adapt(model: Any, settings: TuneSettings, name: str) -> tuple[PeftModel, dict[str, int], bool]:
    """Return the model under a fresh adapter, how many modules of each name it has, and whether the head was untied."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if settings.quantized:
        prepare: Any = prepare_model_for_kbit_training  # not typed there
        model = prepare(model, use_gradient_checkpointing=False)
    chosen = places(model, settings, name)
    untied = untie(model) if settings.head else False
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=_pattern(model, chosen),
        task_type="CAUSAL_LM",
        bias="none",
    )
    torch.manual_seed(settings.seed)
    adapted = get_peft_model(model, config)
    counts = Counter(path.rsplit(".", 1)[-1] for path in chosen)
    done = {path for path, module in model.named_modules() if hasattr(module, "lora_A")}
    if done != set(chosen):
        raise ModelError(f"{name}: the adapter reached {len(done)} modules where {len(chosen)} were meant")
    return adapted, dict(counts), untied


def save_adapter(model: PeftModel, folder: Path, base: str) -> None:
    """Write adapter_model.safetensors and adapter_config.json: no copy of the head, and the same bytes every time."""
    config = model.peft_config["default"]
    config.base_model_name_or_path = base
    config.inference_mode = True
    model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's card template; ours is card.md
    path = folder / "adapter_config.json"
    written: dict[str, Any] = json.loads(path.read_text())
    for key in ("target_modules", "modules_to_save"):
        if isinstance(written.get(key), list):
            written[key] = sorted(written[key])
    path.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")


def _inside(path: str, parts: tuple[str, ...]) -> bool:
    return any(part in parts for part in path.split("."))


def _pattern(model: nn.Module, chosen: list[str]) -> list[str]:
    """Return last names where they mean exactly the chosen modules, and full names otherwise (a tower has some too)."""
    last = {path.rsplit(".", 1)[-1] for path in chosen}
    meant = {path for path, module in model.named_modules() if path.rsplit(".", 1)[-1] in last}
    return sorted(last) if meant == set(chosen) else chosen
