"""`lookwise doctor MODEL`: a family that takes exactly one picture is asked with one, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import families
import pytest

from lookwise.cli import main


def test_a_family_that_wants_a_picture_is_given_a_blank_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blip = next(family for family in families.FAMILIES if family.most == 1)
    folder = families.save(blip, tmp_path / "blip")
    capsys.readouterr()
    assert main(["doctor", f"hf:{folder}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"]["here"] is True
    assert told["model"]["sees_pictures"] is True
    assert told["steadiness"]["picture"] == "blank"
    assert told["steadiness"]["asked"] > told["steadiness"]["failed"]
    assert told["steadiness"]["ranked"] == told["steadiness"]["written"] == 0
    assert main(["doctor", f"hf:{folder}"]) == 0
    assert "a blank picture came with each" in capsys.readouterr().out


def test_a_model_that_reads_text_is_asked_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "tiny:judge-c", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "picture" not in told["steadiness"]
    assert told["steadiness"]["failed"] == 0
    assert told["model"]["weights_bytes"] > 0
