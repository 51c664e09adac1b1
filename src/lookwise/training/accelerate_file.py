"""What a configuration file of accelerate asks of a tuning; what it asks of DeepSpeed, turned into what is done here.

In: the file's path.  Out: None where accelerate is handed the file as it is; else the settings that it is handed
instead.  Of a frozen base ZeRO-3 holds in each process what FSDP2 does (shards.py): its part of every layer.  What
stages 1 and 2 share out, optimizer state and gradients, is as small as the adapter here and stays whole.  DeepSpeed
itself is neither needed nor started.  It knows no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lookwise.errors import RecipeError

__all__ = ["turned"]

_OWN = ("deepspeed_config", "distributed_type", "fsdp_config")
_ON_DEVICE = ("", "none")


def turned(path: Path) -> dict[str, Any] | None:
    """Return what accelerate is told in place of a file that asks for DeepSpeed, None for any other file.

    Raises RecipeError for a file that cannot be read, and for what is not done here: parameters held outside the
    accelerator, and machines started by DeepSpeed's own launcher.
    """
    settings = _mapping(path, yaml.safe_load)
    if str(settings.get("distributed_type")).upper() != "DEEPSPEED":
        return None
    asked = _part(settings, "deepspeed_config", path)
    launcher = asked.get("deepspeed_multinode_launcher", "standard")
    if settings.get("num_machines", 1) != 1 and launcher != "standard":
        raise RecipeError(
            f"accelerate: {path} has machines started by {launcher}, which is DeepSpeed's; set "
            "deepspeed_multinode_launcher: standard, and run the same command on every machine"
        )
    stage, place = _zero(asked, path)
    if place not in _ON_DEVICE:
        raise RecipeError(
            f"accelerate: {path} holds parameters in {place} memory, which is not done here; use more processes, or "
            "leave accelerate out and set quantized: nf4"
        )
    kept = {key: value for key, value in settings.items() if key not in _OWN}
    if stage == 3:
        return {**kept, "distributed_type": "FSDP", "fsdp_config": {"fsdp_version": 2}}
    return {**kept, "distributed_type": "MULTI_CPU" if settings.get("use_cpu") else "MULTI_GPU"}


def _zero(asked: Mapping[str, Any], path: Path) -> tuple[int, str]:
    """Return the stage of ZeRO, and where it is to hold parameters; they may stand in a file of DeepSpeed's own."""
    stage, place = asked.get("zero_stage", 2), asked.get("offload_param_device") or "none"
    if asked.get("deepspeed_config_file"):
        own = (path.parent / str(asked["deepspeed_config_file"])).expanduser()
        zero = _part(_mapping(own, json.loads), "zero_optimization", own)
        stage, place = zero.get("stage", 0), _part(zero, "offload_param", own).get("device", "none")
    if stage not in (0, 1, 2, 3):
        raise RecipeError(f"accelerate: {path} asks for stage {stage!r} of ZeRO; there are 0 to 3")
    return int(stage), str(place)


def _part(settings: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    found = settings.get(name) or {}
    if not isinstance(found, Mapping):
        raise RecipeError(f"accelerate: {name} in {path} must hold settings by name")
    return found


def _mapping(path: Path, read: Any) -> dict[str, Any]:
    try:
        found = read(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RecipeError(f"accelerate: {path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise RecipeError(f"accelerate: {path} must hold settings by name")
    return found
