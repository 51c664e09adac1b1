"""`lookwise data make` and `data check` for EcomMMMU's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lookwise.bazaar.build import build
from lookwise.cli import main
from lookwise.sources.ecommmmu import FILE


def checked(file: Path, capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["data", "check", str(file), "--json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def test_the_shop_is_made_with_eight_pictures_a_product_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = tmp_path / "shop"
    assert main(["data", "make", "bazaar", str(shop), "--layout", "ecommmmu", "--samples", "1"]) == 0
    assert FILE in capsys.readouterr().out
    summary = checked(shop, capsys)
    assert len(summary["samples"]) == 8 * 3, "every task and split"
    assert set(summary["samples"].values()) == {1}
    assert summary["pictures"] % 8 == 0
    assert (summary["rejected"], summary["broken"], summary["remote"]) == ({}, {}, 0)
    assert main(["data", "check", str(shop)]) == 0
    assert "marked    ecommmmu/" in capsys.readouterr().out, "the vision-salient ones"


def test_a_file_by_another_name_is_known_by_its_rows_and_its_faults_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = build(tmp_path / "shop", 3, {"test": 1}, tasks=["product_substitute_identification"], layout="ecommmmu")
    row = json.loads(made.read_text(encoding="utf-8"))[0]
    assert row["task"] == "production_substitute_identification", "as published"
    remote = {**row, "images": [[f"https://pictures.example/{i}.jpg" for i in range(8)]], "is_vc": True}
    short = {**row, "images": [row["images"][0][:7]]}
    gone = {**row, "images": [["images/gone.png", *row["images"][0][1:]]]}
    file = tmp_path / "shop" / "rows.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in (row, row, remote, short, gone)), encoding="utf-8")
    summary = checked(file, capsys)
    assert summary["samples"] == {"ecommmmu/product_substitute_identification test": 3}
    assert summary["rejected"] == {
        "the same task, input and pictures came before": 1,
        "fewer than 8 pictures of a product": 1,
    }
    assert (summary["pictures"], summary["remote"], summary["remote_exact"]) == (8 + 1 + 8, 8, True)
    assert [Path(source).name for source in summary["broken"]] == ["gone.png"]


def test_a_file_without_a_usable_row_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / FILE
    file.write_text('{"task": "x", "is_vc": false}\n', encoding="utf-8")
    assert checked(file, capsys, code=1)["samples"] == {}
    assert main(["data", "check", str(tmp_path / "missing")]) == 1
    assert "EcomMMMU's layout" in capsys.readouterr().err
