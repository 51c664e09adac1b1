"""Runs whose samples name pictures by web address: fetched once from a real server, or a reason, or handed on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from picture_server import Page, PictureServer, picture
from web_run import RECIPE, dataset

from lookwise.cli import main
from lookwise.fetching import Fetched
from lookwise.rows import Caption, Prediction
from lookwise.runs.store import read_rows
from lookwise.sample import Sample
from lookwise.stages.fetch import Absent

COLOURS = ("red", "blue", "green", "white", "black", "pink")


@pytest.fixture
def server() -> Iterator[PictureServer]:
    """Serve a picture of its own colour under /0.png to /4.png; /5.png is gone."""
    made = PictureServer(lambda path, visit: page(path))
    yield made
    made.close()


def page(path: str) -> Page:
    number = int(path.strip("/").partition(".")[0])
    return Page(status=404) if number == 5 else Page(picture(COLOURS[number % 5]))


@pytest.fixture
def start(tmp_path: Path, server: PictureServer) -> Callable[..., list[str]]:
    """Return a function from a run's name and settings to the words of its command."""
    data = dataset(tmp_path / "data", [f"{server.base}/{i}.png" for i in range(6)])
    recipe = tmp_path / "web.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")

    def command(name: str, *settings: str) -> list[str]:
        words = ["run", str(recipe), "--out", str(tmp_path / name)]
        return [*words, *(word for one in (f"data={data}", *settings) for word in ("--set", one))]

    return command


def absent(run: Path) -> list[tuple[str, str]]:
    rows = read_rows(run / "rows" / "absences", Absent)
    return [(row.url.rpartition("/")[2], row.reason) for row in rows]


def summary(run: Path) -> Any:
    return json.loads((run / "pictures.json").read_text(encoding="utf-8"))


def test_each_picture_is_fetched_once_and_a_dead_one_is_a_row_with_its_reason(
    start: Callable[..., list[str]], server: PictureServer, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert main(start("run", "policies=[none, captions:always, visuals:always]")) == 0
    assert server.visits == {f"/{i}.png": 1 for i in range(6)}
    captions = read_rows(run / "rows" / "captions", Caption)
    assert [row.reason for row in captions] == [None] * 5 + ["404 not found"]
    assert absent(run) == [("5.png", "404 not found")]
    shown = [row for row in read_rows(run / "rows" / "predictions", Prediction) if row.policy == "visuals:always"]
    assert [row.reason for row in shown] == [None] * 5 + ["404 not found"], "no other picture is put in its place"
    samples = read_rows(run / "rows" / "samples", Sample)
    assert all(s.visuals[0].media.source.startswith(server.base) for s in samples), "a sample never changes"
    assert summary(run)["reasons"] == {"404 not found": 1}
    told = json.loads((run / "run.json").read_text(encoding="utf-8"))["pictures"]
    assert (told["addresses"], told["fetched"], told["missing"]) == (6, 5, 1)
    assert (run / "report.html").read_text(encoding="utf-8").count("data:image/jpeg;base64,/9j") == 5
    assert main(start("run", "policies=[none, captions:always, visuals:always]")) == 0
    assert max(server.visits.values()) == 1


def test_a_shelf_is_shared_by_runs_and_planned_with(
    start: Callable[..., list[str]], server: PictureServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = f"shelf={tmp_path / 'shelf'}"
    assert main([*start("a", shelf), "--dry-run"]) == 0
    assert f"6 web addresses, 0 fetched before, the others once into {tmp_path / 'shelf'}" in capsys.readouterr().out
    assert not (tmp_path / "shelf").exists()
    assert server.visits == {}
    for name in ("a", "b"):
        assert main([*start(name, shelf), "--until", "captions"]) == 0
    assert set(server.visits.values()) == {1}
    assert main([*start("c", shelf), "--dry-run"]) == 0
    assert "6 web addresses, 6 fetched before" in capsys.readouterr().out
    assert (tmp_path / "a" / "rows/captions/part-00000.parquet").read_bytes() == (
        tmp_path / "b" / "rows/captions/part-00000.parquet"
    ).read_bytes()


def test_passing_trouble_is_tried_anew_until_a_later_step_has_begun(
    start: Callable[..., list[str]], tmp_path: Path
) -> None:
    busy = Page(status=429, headers={"Retry-After": "3600"})
    well: list[bool] = []
    server = PictureServer(lambda path, visit: busy if path == "/2.png" and not well else page(path))
    try:
        data = f"data={dataset(tmp_path / 'busy', [f'{server.base}/{i}.png' for i in range(6)])}"
        early, late = start("early", data), start("late", data)
        assert main([*early, "--until", "pictures"]) == 0
        assert main([*late, "--until", "captions"]) == 0
        assert [url for url, _ in absent(tmp_path / "early")] == ["2.png", "5.png"]
        well.append(True)
        before = dict(server.visits)
        assert main([*early, "--until", "pictures"]) == 0
        assert absent(tmp_path / "early") == [("5.png", "404 not found")]
        assert summary(tmp_path / "early")["missing"] == 1
        assert server.visits == {**before, "/2.png": before["/2.png"] + 1}, "what is gone, or there, is not asked again"
        before = dict(server.visits)
        for words in (late, early, start("whole", data, f"shelf={tmp_path / 'early' / 'fetched'}")):
            assert main(words) == 0
        assert server.visits == before, "the captions of a run that has begun stay those of what it had"
    finally:
        server.close()
    assert "2.png" in [url for url, _ in absent(tmp_path / "late")]
    rows = [(tmp_path / name / "rows/captions/part-00000.parquet").read_bytes() for name in ("early", "whole", "late")]
    assert rows[0] == rows[1] != rows[2], "as if nothing had been missing"


def test_what_nobody_looks_at_is_not_fetched(
    start: Callable[..., list[str]], server: PictureServer, tmp_path: Path
) -> None:
    assert main([*start("run", "policies=[none]"), "--until", "evidence"]) == 0
    assert server.visits == {}
    assert absent(tmp_path / "run") == []
    assert main([*start("never", "fetching=never"), "--until", "captions"]) == 0
    assert server.visits == {}
    assert {reason for _, reason in absent(tmp_path / "never")} == {
        "a web address; the recipe fetches none (fetching: never)"
    }


def test_private_addresses_need_permission(
    start: Callable[..., list[str]], server: PictureServer, tmp_path: Path
) -> None:
    assert main([*start("run", "fetch_private=false"), "--until", "captions"]) == 0
    assert server.visits == {}
    assert {reason for _, reason in absent(tmp_path / "run")} == {
        "it leads to a private address, which needs permission"
    }


def test_only_the_candidates_that_a_policy_shows_are_fetched(server: PictureServer, tmp_path: Path) -> None:
    given = {"query": "red kettle", "product title": "kettle"}
    row = {
        "task": "multiclass_product_classification",
        "split": "test",
        "instruction": "Choose.",
        "input": json.dumps(given),
        "output": "B",
        "images": [[f"{server.base}/{i}{j}.png" for j in range(8)] for i in (1,)],
        "is_vc": False,
    }
    (tmp_path / "EcomMMMU.json").write_text(json.dumps([row]), encoding="utf-8")
    recipe = tmp_path / "ecom.yaml"
    text = RECIPE.replace("source: mmecinstruct", f"source: ecommmmu\ndata: {tmp_path}")
    text = text.replace("category_classification", "multiclass_product_classification")
    recipe.write_text(text.replace("captions:always", "visuals:always"), encoding="utf-8")
    assert main(["run", str(recipe), "--out", str(tmp_path / "first"), "--until", "pictures"]) == 0
    assert server.visits == {"/10.png": 1}
    more = ["--set", "policies=[none, visuals:oracle/measured]"]
    assert main(["run", str(recipe), "--out", str(tmp_path / "all"), "--until", "predictions", *more]) == 0
    assert server.visits == {"/10.png": 2, **{f"/1{j}.png": 1 for j in range(1, 8)}}


def test_a_frozen_pack_gives_another_team_the_same_pictures(
    start: Callable[..., list[str]], server: PictureServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = tmp_path / "pack"
    assert main(start("ours", f"freeze={pack}")) == 0
    visits = dict(server.visits)
    server.close()
    dataset(tmp_path / "more", [f"{server.base}/{i}.png" for i in range(7)])
    assert main([*start("theirs", f"pack={pack}", f"data={tmp_path / 'more'}"), "--until", "captions"]) == 0
    assert main([*start("same", f"pack={pack}")]) == 0
    assert dict(server.visits) == visits
    assert absent(tmp_path / "theirs") == [("5.png", "404 not found"), ("6.png", "not in the frozen pack")]
    assert summary(tmp_path / "same")["subset"] == summary(tmp_path / "ours")["subset"] is not None
    ours, same = (json.loads((tmp_path / n / "scores.json").read_text(encoding="utf-8")) for n in ("ours", "same"))
    assert ours == same
    (tmp_path / "empty").mkdir()
    assert main([*start("other", f"pack={tmp_path / 'empty'}")]) == 1
    assert "holds no manifest.json" in capsys.readouterr().err


def test_a_pack_that_was_written_before_a_kill_is_kept_and_another_one_refused(
    start: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = start("run", f"freeze={tmp_path / 'pack'}")
    assert main([*words, "--until", "pictures"]) == 0
    (tmp_path / "run" / "rows" / "pictures" / "manifest.json").unlink()  # as if killed just before it was written
    assert main([*words, "--until", "captions"]) == 0
    few = ["--set", "samples_test=2"]
    assert main([*start("few", f"freeze={tmp_path / 'pack'}"), *few, "--until", "captions"]) == 1
    assert "holds a pack of other pictures" in capsys.readouterr().err


def test_addresses_are_handed_to_a_server_when_the_recipe_says_so(
    start: Callable[..., list[str]], server: PictureServer, tmp_path: Path
) -> None:
    chat = ChatServer()
    try:
        remote = (f"captioner={chat.base}#eye", "fetching=pass")
        assert main([*start("passed", *remote), "--until", "captions"]) == 0
        sent = [part for asked in chat.asked for part in asked.body["messages"][0]["content"]]
        told = [part["image_url"]["url"] for part in sent if part["type"] == "image_url"]
        assert sorted(told) == [f"{server.base}/{i}.png" for i in range(6)]
        assert server.visits == {}
        assert read_rows(tmp_path / "passed" / "rows" / "pictures", Fetched) == []
        both = "policies=[none, captions:always, visuals:always]"
        assert main([*start("local", *remote, both), "--until", "captions"]) == 0
        assert set(server.visits.values()) == {1}, "a reader in this process looks, so they are fetched"
        assert chat.asked[-1].body["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/jpeg")
    finally:
        chat.close()


@pytest.mark.slow
def test_a_killed_fetch_goes_on_and_fetches_nothing_twice(start: Callable[..., list[str]], tmp_path: Path) -> None:
    slow = PictureServer(lambda path, visit: Page(picture(size=(len(path), 9)), delay=0.05))
    try:
        dataset(tmp_path / "data", [f"{slow.base}/{i}.png" for i in range(60)])
        words = [*start("run", "fetch_per_host=2"), "--until", "captions"]
        process = subprocess.Popen([sys.executable, "-m", "lookwise", *words], env=os.environ.copy())
        journal = tmp_path / "run" / "fetched" / "fetched.jsonl"
        until = time.monotonic() + 60
        while time.monotonic() < until and not (journal.is_file() and journal.read_bytes().count(b"\n") >= 10):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        time.sleep(0.2)
        before = journal.read_bytes().count(b"\n")
        assert 10 <= before < 60
        assert main(words) == 0
        twice = [path for path, count in slow.visits.items() if count > 1]
        assert len(twice) <= 2, "those that were under way, whose pictures never were on disk"
        assert slow.visits.total() == 60 + len(twice)
        assert [row.reason for row in read_rows(tmp_path / "run" / "rows" / "captions", Caption)] == [None] * 60
    finally:
        slow.close()
