"""What a tuning computes in, by the device: bfloat16 where that is the device's own, else float32."""

from __future__ import annotations

import pytest
import torch

from lookwise.training.settings import TuneSettings
from lookwise.training.tune import on_device


@pytest.mark.parametrize(("own", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_the_dtype_is_one_that_the_device_computes_in(own: bool, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return own or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    found = on_device(TuneSettings())
    assert (found.device, found.dtype) == ("cuda", dtype)
    assert on_device(TuneSettings(device="cpu")).dtype == "float32"
    assert on_device(TuneSettings(dtype="bfloat16")).dtype == "bfloat16", "what is named is not changed"


def test_without_a_device_it_is_the_cpu_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = on_device(TuneSettings())
    assert (found.device, found.dtype) == ("cpu", "float32")
