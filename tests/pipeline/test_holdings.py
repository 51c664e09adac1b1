"""What a dry run says of memory and disk: measured where a model is here, by its name where not, else unknown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lookwise
from lookwise.cli import main

TINY = Path(lookwise.__file__).parent / "models" / "tiny"


def said(capsys: pytest.CaptureFixture[str], *settings: str) -> dict[str, str]:
    sets = [
        word for one in (*settings, "samples_train=4", "samples_val=2", "samples_test=2") for word in ("--set", one)
    ]
    assert main(["run", "demo", "--dry-run", *sets]) == 0
    return {line[:13].strip(): line[13:] for line in capsys.readouterr().out.splitlines()}


def test_models_that_are_here_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys)
    assert re.fullmatch(r"\d+\.\d MB of weights at a time: tiny:captioner \(here\)", found["memory"])
    names = ("captioner", "reader-s", *(f"judge-{letter}" for letter in "abcde"))
    size = sum(path.stat().st_size for name in names for path in (TINY / name).glob("*.safetensors"))
    assert found["disk"] == f"{size / 1e6:.1f} MB of models"


def test_a_smaller_number_takes_less_memory_and_as_much_disk(capsys: pytest.CaptureFixture[str]) -> None:
    whole, half = said(capsys, "dtype=float32"), said(capsys, "dtype=bfloat16")
    first, second = (float(one["memory"].split()[0]) for one in (whole, half))
    assert second == pytest.approx(first / 2, abs=0.06)
    assert whole["disk"] == half["disk"]


@pytest.mark.parametrize(
    ("reader", "memory", "disk"),
    [
        ("hf:org/Reader-7B-Instruct", "about 14 GB of weights", "about 14 GB of models, 14 GB of it to fetch"),
        ("hf:org/reader-1.5b-v0.3", "about 3.0 GB of weights", "about 3.0 GB of models, 3.0 GB of it to fetch"),
        ("hf:org/Reader", "at least 2.", "; not here, and of unknown size: hf:org/Reader"),
        ("hf:org/8bit-Reader-4bx", "at least 2.", "of unknown size: hf:org/8bit-Reader-4bx"),
    ],
)
def test_of_models_that_are_not_here_the_name_tells_the_size(
    capsys: pytest.CaptureFixture[str], reader: str, memory: str, disk: str
) -> None:
    found = said(capsys, f"reader={reader}", "dtype=bfloat16")
    assert found["memory"].startswith(memory)
    assert disk in found["disk"]
