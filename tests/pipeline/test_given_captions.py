"""Captions that came with the data: read with their pictures, used where the recipe says so, and no picture fetched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lookwise.cli import main
from lookwise.rows import Ballot, Caption, Evidence
from lookwise.runs.store import read_rows
from lookwise.sample import Sample
from lookwise.sources import mmecinstruct
from lookwise.sources.rejected import Rejected

RECIPE = """
source: mmecinstruct
tasks: [product_relation_prediction]
test_splits: [test]
prompts: mmecinstruct
captioner: data
judges: {a: "scripted:yes"}
reader: scripted:first
readers: zero-shot
policies: [none, captions:vote]
resamples: 20
"""


def dataset(folder: Path, captions: Sequence[object]) -> Path:
    rows = [
        {
            "task": "product_relation_prediction",
            "split": "test",
            "instruction": "Tell.",
            "input": json.dumps({"product 1": f"drill {i}", "product 2": "bits"}),
            "options": json.dumps(["A: one", "B: two", "C: three"]),
            "output": "A",
            "images": json.dumps(["https://pictures.example/1.jpg", "https://pictures.example/2.jpg"]),
            "caption_info": told,
        }
        for i, told in enumerate(captions)
    ]
    path = folder / "dataset.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_captions_stand_with_their_pictures_or_the_row_is_refused(tmp_path: Path) -> None:
    path = dataset(tmp_path, [json.dumps(["red drill", "bits"]), ["red drill", None], None, '["one"]', "{", '[1, "x"]'])
    found = list(mmecinstruct.read(path))
    kept = [row for row in found if isinstance(row, Sample)]
    assert [[v.caption for v in row.visuals] for row in kept] == [["red drill", "bits"], ["red drill", ""], ["", ""]]
    assert {row.instruction for row in kept} == {"Tell."}
    reasons = [row.reason for row in found if isinstance(row, Rejected)]
    assert reasons[0] == "1 captions in caption_info, expected one for each of 2 pictures"
    assert reasons[1].startswith("caption_info is not JSON")
    assert reasons[2] == "caption_info is not a list of texts"


def test_a_run_uses_them_and_asks_for_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = dataset(tmp_path, [["red  drill\n", "a box of bits"], ["red drill", None]])
    (tmp_path / "given.yaml").write_text(RECIPE, encoding="utf-8")
    words = ["run", str(tmp_path / "given.yaml"), "--set", f"data={data}", "--out", str(tmp_path / "run")]
    assert main([*words, "--dry-run"]) == 0
    assert "captions     those that came with the data; ballots by scripted:yes" in capsys.readouterr().out
    assert main(words) == 0
    run = tmp_path / "run"
    assert json.loads((run / "pictures.json").read_text(encoding="utf-8"))["addresses"] == 0
    captions = read_rows(run / "rows" / "captions", Caption)
    assert [(row.text, row.reason, row.model) for row in captions] == [
        ("red drill", None, "data"),
        ("a box of bits", None, "data"),
        ("red drill", None, "data"),
        (None, "no caption came with the data", "data"),
    ]
    assert len(read_rows(run / "rows" / "ballots", Ballot)) == 3
    shown = [row.kind for row in read_rows(run / "rows" / "evidence", Evidence) if row.policy == "captions:vote"]
    assert shown == ["caption", "caption", "caption", "none"]
    assert "captions" not in json.loads((run / "calls.json").read_text(encoding="utf-8"))


def test_caption_files_of_the_published_program_are_read_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = dataset(tmp_path, [None] * 4)
    (tmp_path / "given.yaml").write_text(RECIPE, encoding="utf-8")
    files = tmp_path / "captions"
    words = ["run", str(tmp_path / "given.yaml"), "--set", f"data={data}", "--set", f"caption_files={files}"]
    assert main([*words, "--out", str(tmp_path / "none"), "--until", "captions"]) == 1
    assert "no " + str(files / "product_relation_prediction_test.json") in capsys.readouterr().err
    files.mkdir()
    told = [["a drill", "NA"], [], ["a saw", "bits", "more"]]
    (files / "product_relation_prediction_test.json").write_text(json.dumps(told), encoding="utf-8")
    assert main([*words, "--out", str(tmp_path / "run"), "--until", "captions"]) == 0
    rows = read_rows(tmp_path / "run" / "rows" / "captions", Caption)
    assert [row.text for row in rows] == ["a drill", None, None, None, None, None, None, None]
    assert {row.reason for row in rows if row.text is None} == {"no caption came with the data"}
    alone = ["--set", "captioner=scripted:echo", "--set", "caption_files=''", "--set", "fetching=never"]
    assert main([*words, *alone, "--out", str(tmp_path / "made"), "--until", "captions"]) == 0
    made = tmp_path / "made" / "captions" / "product_relation_prediction_test.json"
    assert json.loads(made.read_text(encoding="utf-8")) == [["NA", "NA"]] * 4, "no picture, no caption"
    assert main([*words, "--set", "captioner=scripted:echo", "--out", str(tmp_path / "no")]) == 1
    assert "caption_files are read by captioner: data" in capsys.readouterr().err
