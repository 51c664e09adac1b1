"""A run's own words: new rows are answered in them, an interrupted run goes on in them, and no others slip in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from own_table import OWN
from PIL import Image

from lookwise.cli import main
from lookwise.rows import Caption
from lookwise.runs.store import read_rows


@pytest.fixture
def table(tmp_path: Path) -> Path:
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    (tmp_path / "things.csv").write_text("title,photo,answer,part\nmug,red.png,yes,test\n", encoding="utf-8")
    (tmp_path / "new.csv").write_text("title,photo\nkettle,red.png\n", encoding="utf-8")
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    words = tmp_path / "words" / "caption"
    words.mkdir(parents=True)
    (words / "own.txt").write_text("Only the colour of {title}, please.\n", encoding="utf-8")
    return tmp_path


def new_captions(run: Path) -> list[str | None]:
    return [row.text for row in read_rows(next((run / "predict").iterdir()) / "rows" / "captions", Caption)]


def test_new_rows_are_asked_in_the_words_of_the_run(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, words = table / "run", table / "words"
    assert main(["run", str(table / "own.yaml"), "--out", str(run), "--prompts", str(words)]) == 0
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["prompt_folder"] == str(words)
    ask = ["predict", str(run), str(table / "new.csv"), "--policy", "captions:vote"]
    assert main(ask) == 0
    assert new_captions(run) == ["Only the colour of kettle, please."]
    shutil.rmtree(run / "predict")
    (table / "words").rename(table / "elsewhere")
    assert main(ask) == 1
    error = capsys.readouterr().err
    assert "was asked own/caption in other words; give the folder that holds them, --prompts DIR" in error
    assert f"(it was {words})" in error
    assert main([*ask[:-1], "none"]) == 0, "under this policy nothing is asked in those words"
    shutil.rmtree(run / "predict")
    assert main([*ask, "--prompts", str(table / "elsewhere")]) == 0
    assert new_captions(run) == ["Only the colour of kettle, please."]
    shutil.rmtree(run / "predict")
    (table / "elsewhere" / "caption" / "own.txt").write_text("Only the size of {title}, please.\n", encoding="utf-8")
    assert main([*ask, "--prompts", str(table / "elsewhere")]) == 1
    assert not (run / "predict").exists()


def test_words_that_changed_with_the_package_are_refused(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = table / "run"
    assert main(["run", str(table / "own.yaml"), "--out", str(run)]) == 0
    path = run / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["prompts"]["own/answer"]["sha256"] = "0" * 16
    path.write_text(json.dumps({**record, "lookwise": "0.0.9"}), encoding="utf-8")
    assert main(["predict", str(run), str(table / "new.csv")]) == 1
    assert "own words of lookwise 0.0.9: leave --prompts out, install that version" in capsys.readouterr().err


def test_an_interrupted_run_goes_on_in_its_words_or_not_at_all(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, words = table / "run", ["--prompts", str(table / "words")]
    ask = ["run", str(table / "own.yaml"), "--out", str(run)]
    assert main([*ask, *words, "--until", "captions"]) == 0
    assert main(ask) == 1
    assert "in other words" in capsys.readouterr().err
    assert main([*ask, *words]) == 0
    assert read_rows(run / "rows" / "captions", Caption)[0].text == "Only the colour of mug, please."
