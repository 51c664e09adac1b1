"""The tables on terminals of several widths: nothing is cut off, nothing is lost."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from lookwise.errors import RunError
from lookwise.report.tables import score_tables
from lookwise.report.terminal import score_parts, show

TASKS = ("answerability_prediction", "category_classification", "product_relation_prediction", "sentiment_analysis")


def printed(folder: Path, width: int) -> str:
    out = io.StringIO()
    show(folder, Console(file=out, width=width, highlight=False))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120, 132])
def test_everything_fits(run_folder: Path, width: int) -> None:
    text = printed(run_folder, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in text
    for words in (
        "in domain",
        "out of domain",
        "majority class",
        "ceiling, pictures",
        "tuned on captions:vote",
        ".600*±.04",
    ):
        assert words in text, words
    assert ".500!±.04" in text
    (vote,) = [line for line in lines if line.startswith("  captions:vote") and "*" in line][:1]
    assert vote.split()[-2:] == ["50%", "6"]
    assert "tiny:captioner" in text
    assert "decided" not in text.split("calls")[0]


def test_no_colour_codes_without_a_terminal(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(run_folder)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "captions:vote" in text
    assert max(map(len, text.splitlines())) <= 132


def test_markup_in_names_is_text(run_folder: Path, tmp_path: Path) -> None:
    for name in ("run.json", "calls.json"):
        (tmp_path / name).write_text((run_folder / name).read_text())
    (tmp_path / "calls.json").write_text(json.dumps({"[red]stage[/nothing]": {"[bold]m": {"asked": 1}}}))
    (tmp_path / "scores.json").write_text((run_folder / "scores.json").read_text().replace("captions:vote", "[blink]x"))
    text = printed(tmp_path, 120)
    assert "[blink]x" in text
    assert "[red]stage[/nothing], [bold]m" in text


@pytest.mark.parametrize(("width", "parts"), [(132, 1), (100, 2), (80, 3)])
def test_wide_tables_are_cut_by_columns(run_folder: Path, width: int, parts: int) -> None:
    scores = [r for r in json.loads((run_folder / "scores.json").read_text()) if r["split"] == "test"]
    first = [r for r in scores if r["task"].endswith("sentiment_analysis")]
    seven = [{**r, "task": f"mmecinstruct/{name}"} for name in (*TASKS, "toys", "shoes", "lamps") for r in first]
    (table,) = score_tables(seven)
    found = list(score_parts(table, width))
    assert len(found) == parts
    assert sum(len(part.columns) - 4 for part in found) == 7
    out = Console(file=io.StringIO(), width=width)
    assert all(out.measure(part).minimum <= width for part in found)
    assert [str(part.title).endswith("continued") for part in found] == [False] + [True] * (parts - 1)


def test_what_is_no_run_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run folder"):
        show(tmp_path)
    (tmp_path / "run.json").write_text('{"state": "failed: no memory"}')
    with pytest.raises(RunError, match=r"no scores yet.*no memory"):
        show(tmp_path)
    (tmp_path / "scores.json").write_text("[")
    with pytest.raises(RunError, match="not readable JSON"):
        show(tmp_path)
    (tmp_path / "scores.json").write_text("{}")
    with pytest.raises(RunError, match="expected a JSON list"):
        show(tmp_path)
