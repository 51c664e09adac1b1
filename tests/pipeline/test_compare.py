"""Two runs against each other: a user's own task too, and nothing that could not be scored passes for a difference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookwise.cli import main

OWN = """
table: things.csv
question: Which fits?
text: [title]
options: {column: choices}
gold: answer
recipe: {readers: zero-shot, reader: "scripted:first", policies: [none], resamples: 20}
"""


def table(folder: Path, rows: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "own.yaml").write_text(OWN, encoding="utf-8")
    (folder / "things.csv").write_text("\n".join(["title,choices,answer,split", *rows]), encoding="utf-8")
    return folder / "own.yaml"


def test_runs_of_a_table_are_compared_by_its_own_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"thing {i},red|blue,{answer}," for i, answer in enumerate(["red", "blue"] * 20)]
    own = table(tmp_path, rows)
    for name in "ab":
        assert main(["run", str(own), "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["task"], found["value"], found["p"]) == ("own/own", 0, None)
    assert found["n"] > 5
    other = table(tmp_path / "other", [row.replace("red|blue", "red|green|blue") for row in rows])
    assert main(["run", str(other), "--out", str(tmp_path / "c")]) == 0
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "c")]) == 1
    assert "made on different data" in capsys.readouterr().err


def test_nothing_scored_is_no_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = table(tmp_path, [f"thing {i},red|blue,," for i in range(4)])
    for name in "ab":
        assert main(["run", str(own), "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["value"], found["low"], found["n"]) == (None, None, 0)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert "none n=0" in line
    assert "*" not in line
    assert main(["compare", str(tmp_path / "none"), str(tmp_path / "b")]) == 1


@pytest.mark.parametrize("record", ["[1, 2]", '{"state": 3}', "{}", '{"state": "running"}'])
def test_a_record_of_another_shape_is_named(record: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(record)
        (tmp_path / name / "recipe.yaml").write_text("name: demo\n")
    for command in (["compare", *(str(tmp_path / n) for n in "ab")], ["predict", str(tmp_path / "a"), "x.csv"]):
        assert main(command) == 1
        said = capsys.readouterr().err
        assert "unexpected" not in said
        assert "no record of a run" in said or "no finished" in said or "not a finished run" in said
    assert main(["gate", str(tmp_path / "a"), str(tmp_path / "g")]) == 1
    assert "unexpected" not in capsys.readouterr().err


def test_the_subsets_of_a_benchmark_are_compared_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = "prompts: tiny\nreaders: zero-shot\ndata: bazaar\nbenchmark: ecommmmu\npolicies: [none]\n"
    for name, reader in (("a", "first"), ("b", "no")):
        recipe = tmp_path / f"{name}.yaml"
        recipe.write_text(
            f"name: {name}\ntasks: [answerability_prediction]\nreader: 'scripted:{reader}'\n"
            f"{made}resamples: 20\nsamples_test: 60\n"
        )
        assert main(["run", str(recipe), "--out", str(tmp_path / name)]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    whole, part = (
        [row for row in found if row["split"] == "test" and bool(row["subset"]) == one] for one in (False, True)
    )
    assert len(whole) == len(part) == 1
    assert 0 < part[0]["n"] < whole[0]["n"]
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert f"test, {part[0]['subset']} " in capsys.readouterr().out
