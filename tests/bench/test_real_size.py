"""The bench of models of real size: its shapes are those sizes, and its path runs; its rates want an accelerator."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.parametrize(("name", "billions"), [("captioner", 10.7), ("judge", 7.25), ("reader-13b", 13.0)])
def test_the_shapes_have_the_parameters_of_the_real_models(
    name: str, billions: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    real_size = importlib.import_module("real_size")
    family, config = real_size.configured(name, tmp_path / "model")
    kind = AutoModelForImageTextToText if family.images else AutoModelForCausalLM
    with torch.device("meta"):
        model = kind.from_config(config)
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, rel=0.02)


def rates(*more: str) -> dict[str, str]:
    run = subprocess.run(
        [sys.executable, str(BENCH / "real_size.py"), *more], capture_output=True, text=True, timeout=1800, check=True
    )
    lines = [line.split(maxsplit=1) for line in run.stdout.splitlines()]
    return {name: said for name, said in lines if name in ("captioner", "judge", "reader-7b", "reader-13b")}


@pytest.mark.slow
def test_every_job_runs_at_a_small_size() -> None:
    found = rates("--small", "--device", "cpu")
    assert list(found) == ["captioner", "judge", "reader-7b", "reader-13b"]
    units = ("captions/s", "ballots/s", "tuned tokens/s", "tuned tokens/s")
    for said, unit in zip(found.values(), units, strict=True):
        rate = re.search(rf"([\d.]+) {unit}", said)
        assert rate is not None
        assert float(rate.group(1)) > 0


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("job", "least"), [("captioner", None), ("judge", 0.3), ("reader-7b", 0.2), ("reader-13b", 0.2)]
)
def test_an_accelerator_is_put_to_use(job: str, least: float | None) -> None:
    """Its figures belong into bench/README.md with their date; here only a rate that is plainly wrong fails."""
    said = rates("--only", job)[job]
    share = re.search(r"(\d+)% of the product rate", said)
    assert (share is None) == (least is None)
    assert share is None or least is None or int(share.group(1)) >= 100 * least, said
