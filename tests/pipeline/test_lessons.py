"""Samples as lessons: a picture that cannot be opened leaves its sample out, counted, and never ends a tuning."""

from __future__ import annotations

from pathlib import Path

import pytest
from factory import llava
from picture_server import picture
from taught_recipe import TAUGHT

from lookwise.cli import main
from lookwise.message import Media
from lookwise.pipeline.lessons import faults, lessons
from lookwise.runs.files import read_json
from lookwise.sample import Sample


def test_whatever_is_wrong_with_a_picture_its_sample_is_left_out_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(picture())
    (tmp_path / "cut.png").write_bytes(picture()[:40])
    shown = {
        "good": [Media(str(tmp_path / "good.png"))],
        "cut": [Media(str(tmp_path / "good.png")), Media(str(tmp_path / "cut.png"))],
        "gone": [Media(str(tmp_path / "gone.png"))],
        "far": [Media("https://pictures.example/1.png")],
        "clip": [Media(str(tmp_path / "clip.mp4"), "video")],
    }
    samples = [Sample(name, "b", "b/t", "train", ()) for name in (*shown, "nothing shown")]
    broken = faults(medium for media in shown.values() for medium in media)
    kept, reasons = lessons(samples, shown, broken)
    assert [s.id for s in kept] == ["good", "clip", "nothing shown"]
    assert reasons.pop("a web address that was not fetched") == 1
    assert len(reasons) == sum(reasons.values()) == 2
    assert not any(str(tmp_path) in reason for reason in reasons)


_ASSESSED = {
    "assessor_tuned": "true",
    "verifying": "zero-shot",
    "policies": "[none, visuals:always, visuals:predicted]",
    "tune_on": "[visuals:always]",
}


@pytest.mark.slow
def test_broken_pictures_end_no_tuning(tmp_path: Path) -> None:
    recipe = tmp_path / "broken.yaml"
    recipe.write_text(TAUGHT.format(model=llava(tmp_path / "model")), encoding="utf-8")
    settings = [part for name, value in _ASSESSED.items() for part in ("--set", f"{name}={value}")]
    command = ["run", str(recipe), *settings]
    run = tmp_path / "run"
    assert main([*command, "--out", str(run), "--until", "samples"]) == 0
    listed = read_json(run / "data" / "EcomMMMU.json")
    first = next(row for row in listed if row["split"] == "train")["images"][0][0]
    (run / "data" / first).write_bytes(b"cut off")
    assert main([*command, "--out", str(run)]) == 0
    for adapter in ("visuals-always", "assessor"):
        card = read_json(run / "adapters" / adapter / "card.json")
        assert sum(card["recipe"]["missing_pictures"].values()) == 1
