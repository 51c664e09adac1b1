"""A user's table whose photos are candidates: judged one by one, shown by number, and its gate taken home."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from factory import llava
from own_table import TABLE
from PIL import Image

from lookwise.cli import main
from lookwise.rows import Evidence, Utility
from lookwise.runs.store import read_rows
from lookwise.sample import Sample

POLICIES = ("visuals:always", "visuals:all", "visuals:predicted/highest", "visuals:predicted/threshold")
SETTINGS = """
candidates: photo
{table}
  prompts: tiny
  reader: {reader}
  readers: zero-shot
  verifying: zero-shot
  policies: [none, captions:always, {policies}, "visuals:oracle/measured"]
  resamples: 20
"""
COLOURS = ("red", "blue", "green")


def table(folder: Path, reader: str, candidates: bool = True) -> Path:
    """Write nine things of three photos each: four to learn from, three of validation, two to test."""
    folder.mkdir()
    for colour in COLOURS:
        Image.new("RGB", (32, 32), colour).save(folder / f"{colour}.png")
    photos = ";".join(f"{colour}.png" for colour in COLOURS)
    parts = ["train"] * 4 + ["val"] * 3 + ["test"] * 2
    rows = [f"thing {i},{photos},{'yes' if i % 2 else 'no'},{part}" for i, part in enumerate(parts)]
    (folder / "things.csv").write_text("\n".join(["title,photo,answer,part", *rows]), encoding="utf-8")
    text = SETTINGS.format(table=TABLE.strip(), reader=reader, policies=", ".join(f'"{p}"' for p in POLICIES))
    path = folder / "own.yaml"
    path.write_text(text if candidates else text.replace("candidates: photo\n", ""), encoding="utf-8")
    return path


def shown(run: Path, policy: str) -> Counter[int]:
    found = read_rows(run / "rows" / "evidence", Evidence)
    return Counter(r.candidate or 0 for r in found if r.policy == policy and r.kind == "image")


def ran(folder: Path, reader: str, candidates: bool = True) -> Path:
    out = folder / "run"
    assert main(["run", str(table(folder / "given", reader, candidates)), "--out", str(out)]) == 0
    return out


def test_each_photo_is_a_candidate_of_the_slot(tmp_path: Path) -> None:
    run = ran(tmp_path, "scripted:first")
    for sample in read_rows(run / "rows" / "samples", Sample):
        assert [(v.slot, v.candidate, Path(v.media.source).stem) for v in sample.visuals] == [
            ("photo", i, colour) for i, colour in enumerate(COLOURS)
        ]
    predicted, measured = (read_rows(run / "rows" / name, Utility) for name in ("predicted", "measured"))
    assert Counter(r.candidate for r in measured) == dict.fromkeys(range(3), 5), "validation and test"
    assert Counter(r.candidate for r in predicted) == dict.fromkeys(range(3), 5)
    assert shown(run, "visuals:always") == {0: 2}
    assert shown(run, "visuals:all") == {0: 2, 1: 2, 2: 2}
    assert sum(shown(run, "visuals:predicted/highest").values()) == 2
    captions = {r.candidate for r in read_rows(run / "rows" / "evidence", Evidence) if r.kind == "caption"}
    assert captions == {0}, "the main picture alone is captioned"


def test_without_the_word_every_photo_has_a_slot_of_its_own(tmp_path: Path) -> None:
    run = ran(tmp_path, "scripted:first", candidates=False)
    sample = read_rows(run / "rows" / "samples", Sample)[0]
    assert [(v.slot, v.candidate) for v in sample.visuals] == [(f"photo[{i}]", 0) for i in range(3)]
    assert shown(run, "visuals:always") == shown(run, "visuals:predicted/highest") == {0: 6}, "all of them, as one"


def without_table(gate: Path) -> None:
    record = json.loads((gate / "gate.json").read_text(encoding="utf-8"))
    (gate / "gate.json").write_text(json.dumps({k: v for k, v in record.items() if k != "table"}), encoding="utf-8")


@pytest.mark.slow
def test_a_gate_of_a_table_is_taken_home_and_asked_about_new_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, gate = ran(tmp_path, f"hf:{llava(tmp_path / 'model')}"), tmp_path / "gate"
    assert main(["gate", str(run), str(gate)]) == 0
    new = tmp_path / "given" / "new.csv"
    new.write_text("title,photo\nthing 8,red.png;blue.png;green.png\nbare,\nworse,../red.png\n", encoding="utf-8")
    out = tmp_path / "said.csv"
    assert main(["predict", str(gate), str(new), "--out", str(out)]) == 0
    with out.open(encoding="utf-8") as file:
        judged, bare, worse = csv.DictReader(file)
    known = {
        r.candidate: r.probability for r in read_rows(run / "rows" / "predicted", Utility) if r.sample_id == "own/9"
    }
    assert len(known) == 3
    assert float(judged["probability"]) == pytest.approx(max(known.values()), abs=1e-6), "as the run judged this row"
    assert known[int(judged["candidate"])] == max(known.values())
    assert bare["reason"] == "no candidate that all of its products have"
    assert "leads out of the table's folder" in worse["reason"]
    new.write_text("name,photo\nthing 8,red.png\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["predict", str(gate), str(new)]) == 1
    assert "has no column 'title'" in capsys.readouterr().err
    without_table(gate)
    assert main(["predict", str(gate), str(new)]) == 1
    assert "export it again with `lookwise gate RUN DIR`" in capsys.readouterr().err
