"""New rows whose pictures are web addresses: `lookwise predict` fetches them as the run fetched its own."""

from __future__ import annotations

import json
from pathlib import Path

from picture_server import Page, PictureServer, picture
from web_run import RECIPE, dataset

from lookwise.cli import main
from lookwise.fetching import Fetched
from lookwise.rows import Caption
from lookwise.runs.store import read_rows


def test_pictures_of_new_rows_are_fetched_or_have_a_reason(tmp_path: Path) -> None:
    recipe = tmp_path / "web.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    run = tmp_path / "run"
    server = PictureServer(lambda path, visit: Page(status=404) if "gone" in path else Page(picture("red")))
    try:
        data = dataset(tmp_path / "data", [f"{server.base}/0.png"])
        assert main(["run", str(recipe), "--out", str(run), "--set", f"data={data.parent}"]) == 0
        new = dataset(tmp_path / "new", [f"{server.base}/new.png", f"{server.base}/gone.png"])
        out = tmp_path / "answers.jsonl"
        assert main(["predict", str(run), str(new), "--policy", "captions:always", "--out", str(out)]) == 0
    finally:
        server.close()
    said = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["answer"] for row in said] == ["A", "A"], "a dead picture is no dead row"
    assert [row["shown"] for row in said] == ["product[0]", ""]
    (work,) = (run / "predict").iterdir()
    fetched = {row.url: row for row in read_rows(work / "rows" / "pictures", Fetched)}
    assert fetched[f"{server.base}/new.png"].digest is not None
    assert "404" in str(fetched[f"{server.base}/gone.png"].reason)
    captions = read_rows(work / "rows" / "captions", Caption)
    assert [caption.text is not None for caption in captions] == [True, False]
