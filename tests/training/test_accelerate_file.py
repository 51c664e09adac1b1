"""What accelerate's files ask for: DeepSpeed's settings become what is done here, or are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lookwise.errors import RecipeError
from lookwise.training.accelerate_file import turned

COMMON: dict[str, Any] = {"compute_environment": "LOCAL_MACHINE", "num_machines": 1, "num_processes": 4}


def written(folder: Path, settings: Any) -> Path:
    path = folder / "accelerate.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def deepspeed(**asked: Any) -> dict[str, Any]:
    return {**COMMON, "distributed_type": "DEEPSPEED", "deepspeed_config": asked}


@pytest.mark.parametrize("kind", ["MULTI_GPU", "FSDP", "NO"])
def test_a_file_without_deepspeed_is_handed_on_as_it_is(tmp_path: Path, kind: str) -> None:
    assert turned(written(tmp_path, {**COMMON, "distributed_type": kind})) is None


def test_stage_three_cuts_the_base_as_fsdp_does(tmp_path: Path) -> None:
    asked = deepspeed(zero_stage=3, offload_param_device="none", zero3_init_flag=True)
    assert turned(written(tmp_path, asked)) == {
        **COMMON,
        "distributed_type": "FSDP",
        "fsdp_config": {"fsdp_version": 2},
    }


@pytest.mark.parametrize(("cpu", "kind"), [(False, "MULTI_GPU"), (True, "MULTI_CPU")])
def test_lower_stages_leave_every_process_the_whole_base(tmp_path: Path, cpu: bool, kind: str) -> None:
    asked = {**deepspeed(zero_stage=2, offload_optimizer_device="cpu"), "use_cpu": cpu}
    assert turned(written(tmp_path, asked)) == {**COMMON, "use_cpu": cpu, "distributed_type": kind}


@pytest.mark.parametrize(("zero", "kind"), [({"stage": 3}, "FSDP"), ({"stage": 1}, "MULTI_GPU"), (None, "MULTI_GPU")])
def test_deepspeeds_own_file_is_read(tmp_path: Path, zero: Any, kind: str) -> None:
    (tmp_path / "ds.json").write_text(json.dumps({"bf16": {"enabled": True}, "zero_optimization": zero}))
    found = turned(written(tmp_path, deepspeed(deepspeed_config_file="ds.json")))
    assert found is not None
    assert found["distributed_type"] == kind


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (deepspeed(zero_stage=3, offload_param_device="cpu"), "holds parameters in cpu memory.*quantized: nf4"),
        (deepspeed(zero_stage=5), "stage 5 of ZeRO"),
        (deepspeed(deepspeed_config_file="gone.json"), "gone.json cannot be read"),
        ({**deepspeed(deepspeed_multinode_launcher="pdsh"), "num_machines": 2}, "started by pdsh.*standard"),
        ({**COMMON, "distributed_type": "DEEPSPEED", "deepspeed_config": [3]}, "deepspeed_config in .* by name"),
        ([1, 2], "must hold settings by name"),
    ],
)
def test_what_is_not_done_here_is_refused_by_name(tmp_path: Path, settings: Any, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        turned(written(tmp_path, settings))


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "accelerate.yaml"
    path.write_text("a: [1, 2\n b: }")
    with pytest.raises(RecipeError, match="cannot be read"):
        turned(path)


def test_offload_in_deepspeeds_own_file_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "ds.json").write_text('{"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme"}}}')
    with pytest.raises(RecipeError, match="in nvme memory"):
        turned(written(tmp_path, deepspeed(deepspeed_config_file="ds.json")))
