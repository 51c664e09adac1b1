"""The command line from outside: exit statuses, one-line errors, lists."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lookwise.cli import main, parser


def test_lists_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    assert len([line for line in capsys.readouterr().out.splitlines() if line.startswith("mmecinstruct/")]) == 7
    assert main(["recipes", "--json"]) == 0
    assert {r["name"] for r in json.loads(capsys.readouterr().out)} >= {"demo", "caslie-m"}
    assert main(["models"]) == 0
    assert "hf:" in capsys.readouterr().out


def test_a_prompt_says_whose_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "show", "cc", "answer"]) == 0
    ours = capsys.readouterr().out
    assert ours.startswith("# mmecinstruct/")
    mine = tmp_path / "answer" / "category_classification.txt"
    mine.parent.mkdir()
    mine.write_text("{title}? {options}", encoding="utf-8")
    assert main(["prompts", "show", "cc", "answer", "--prompts", str(tmp_path)]) == 0
    assert "(yours)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "status", "says"),
    [
        ("prompts show cc answers", 2, "did you mean 'answer'"),
        ("prompts show ccc answer", 2, "unknown task"),
        ("run nothing-here", 1, "no recipe"),
        ("run demo --until capshuns", 2, "did you mean 'captions'"),
        ("report nowhere", 1, "not a run folder"),
        ("predict nowhere table.csv", 1, "not a run folder"),
        ("score nowhere.json --benchmark mmie", 1, "no file or folder"),
        ("data check nowhere", 1, "no file"),
        ("doctor tiny:nothing", 1, "nothing"),
        ("data make bazaar /dev/null/x --samples 1", 1, "give a place that can be"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_cure(
    line: str,
    status: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == status
    error = capsys.readouterr().err
    assert error.startswith("lookwise: ")
    assert says in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("run nothing-here", "RecipeError", "no recipe"),
        ("data make bazaar /dev/null/x --samples 1", "NotADirectoryError", "/dev/null"),
    ],
)
def test_debug_shows_where_an_error_was_raised(line: str, kind: str, says: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lookwise", "--debug", *line.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last)")
    last = done.stderr.splitlines()[-1]
    assert kind in last
    assert says in last


@pytest.mark.parametrize("line", ["", "rum", "run", "demo --quik", "run demo --limit 0", "run demo --until a --only b"])
def test_wrong_usage_exits_2(line: str) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(line.split())
    assert caught.value.code == 2


def test_score_prints_the_promised_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.json").write_text(json.dumps(["A", "b", "C?"]), encoding="utf-8")
    (tmp_path / "g.json").write_text(json.dumps(["A", "B", "A"]), encoding="utf-8")
    line = ["score", str(tmp_path / "p.json"), "--benchmark", "mmecinstruct", "--task", "prp", "--gold"]
    assert main([*line, str(tmp_path / "g.json"), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert set(value) == {"benchmark", "task", "rule", "n", "failed", "answers", "metrics"}
    assert value["answers"] == ["A", "B", "C"]
    assert value["metrics"]["accuracy"] == pytest.approx(2 / 3)
    assert main([*line, str(tmp_path / "nothing.json")]) == 1
