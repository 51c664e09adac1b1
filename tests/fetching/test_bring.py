"""`lookwise data fetch`: from a hub on loopback and from archives; what it says first, keeps, and goes on with."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer

from lookwise.cli import main

ROWS = json.dumps([{"task": "x"}]).encode()


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            made.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


MMLA = {
    "MELD/test.tsv": b"id\ttext\tlabel\n",
    "MELD/train.tsv": b"id\ttext\tlabel\n1\ta\tjoy\n",
    "MELD/MELD_video.tar.gz": tar({"MELD_1.mp4": b"\0" * 50}),
    "MOSI/test.tsv": b"id\ttext\tlabel\n",
    "tool.py": b"raise SystemExit",
}


@pytest.fixture
def hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    name, files = getattr(request, "param", ("NingLab/MMECInstruct", {"dataset.json": ROWS, "README.md": b"#"}))
    made = HubServer(name, files)
    monkeypatch.setenv("HF_ENDPOINT", made.base)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    yield made
    made.close()


def manifest(folder: Path) -> Any:
    return json.loads((folder / "fetched.json").read_text(encoding="utf-8"))


def test_a_set_is_described_then_fetched_then_left_alone(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    assert main(["data", "fetch", "MMECInstruct", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.index("licence  cc-by-4.0") < said.index("the hub says: licence cc-by-4.0") < said.index("1 of 2")
    assert "size     308 MB" in said
    assert "gate     none known" in said
    assert f"lookwise run caslie-m --set data={folder}" in said
    assert (folder / "dataset.json").read_bytes() == ROWS
    files = {f["path"]: f for f in manifest(folder)["files"]}
    assert files["dataset.json"]["bytes"] == len(ROWS)
    assert len(files["dataset.json"]["sha256"]) == 64
    assert manifest(folder)["source"] == {"hub": "NingLab/MMECInstruct", "revision": "a" * 40}
    bodies = {k: n for k, n in hub.visits.items() if k.startswith("GET /datasets")}
    assert main(["data", "fetch", "mmecinstruct", str(folder)]) == 0
    assert {k: n for k, n in hub.visits.items() if k.startswith("GET /datasets")} == bodies


@pytest.mark.parametrize("hub", [("THUIAR/MMLA-Datasets", MMLA)], indirect=True)
def test_archives_on_the_hub_are_unpacked_beside_their_texts(hub: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / "mmla"
    assert main(["data", "fetch", "mmla", str(folder), "--only", "*.tsv"]) == 0
    assert not (folder / "MELD" / "MELD_1.mp4").exists()
    assert main(["data", "fetch", "mmla", str(folder)]) == 0
    assert (folder / "MELD" / "MELD_1.mp4").read_bytes() == b"\0" * 50
    assert not (folder / "tool.py").exists()
    assert not (folder / ".unpacking").exists()
    sources = {f["path"]: f["from"] for f in manifest(folder)["files"]}
    assert sources["MELD/MELD_1.mp4"] == "MELD/MELD_video.tar.gz"
    assert hub.visits[f"GET /datasets/THUIAR/MMLA-Datasets/resolve/{'a' * 40}/MELD/train.tsv"] == 1


MMIE = {
    "data.json": b"[]",
    "overview.json": b"[]",
    "images.tar.gz": tar({"images/1.png": b"\1" * 30, "images/2.png": b"\2" * 30}),
    "evaluate.py": b"raise SystemExit",
}


@pytest.mark.parametrize("hub", [("MMIE/MMIE", MMIE)], indirect=True)
def test_mmie_comes_from_behind_its_gate_with_its_images_beside_its_questions(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mmie"
    hub.gated = True
    assert main(["data", "fetch", "MMIE", str(folder)]) == 1
    told = capsys.readouterr()
    assert told.out.index("gate     conditions to accept") < told.out.index("the hub says: licence cc-by-4.0")
    assert "accept its conditions on its page on the hub, then log in" in told.err
    hub.gated = False
    assert main(["data", "fetch", "mmie", str(folder)]) == 0
    assert (folder / "images" / "2.png").read_bytes() == b"\2" * 30
    assert {f["path"] for f in manifest(folder)["files"]} == {*MMIE, "images/1.png", "images/2.png"} - {"evaluate.py"}
    assert "next     lookwise score FILE --benchmark mmie" in capsys.readouterr().out


def test_what_arrives_damaged_is_not_kept(hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.damaged.add("dataset.json")
    assert main(["data", "fetch", "mmecinstruct", str(tmp_path / "d")]) == 1
    assert "arrived damaged" in capsys.readouterr().err
    assert not (tmp_path / "d" / "dataset.json").exists()
    hub.damaged.clear()
    assert main(["data", "fetch", "mmecinstruct", str(tmp_path / "d")]) == 0
    assert (tmp_path / "d" / "dataset.json").read_bytes() == ROWS


def test_a_gate_and_a_missing_network_are_said_with_their_cure(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.gated = True
    assert main(["data", "fetch", "mmecinstruct", str(tmp_path / "d")]) == 1
    told = capsys.readouterr()
    assert "gate auto approval" in told.out
    assert "accept its conditions" in told.err
    assert main(["data", "fetch", "ecommmmu", str(tmp_path / "e")]) == 1
    assert "knows no data set NingLab/EcomMMMU" in capsys.readouterr().err
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["data", "fetch", "mmecinstruct", str(tmp_path / "d")]) == 1
    told = capsys.readouterr()
    assert "cannot be reached (no network?); try again later, or get an archive elsewhere" in told.err
    assert "licence  cc-by-4.0" in told.out, "what it is can be read without a network"


@pytest.mark.parametrize("hub", [("NingLab/MMECInstruct", {"../dataset.json": ROWS})], indirect=True)
def test_a_hub_that_names_files_outside_the_folder_is_refused(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "fetch", "mmecinstruct", str(tmp_path / "d")]) == 1
    assert "leads out of its folder" in capsys.readouterr().err
    assert not (tmp_path / "dataset.json").exists()


@pytest.mark.parametrize("form", ["zip", "tar", "json"])
def test_an_archive_of_the_users_own(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / ("dataset.json" if form == "json" else f"set.{form}")
    if form == "zip":
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("MMECInstruct/dataset.json", ROWS)
    else:
        archive.write_bytes(ROWS if form == "json" else tar({"MMECInstruct/dataset.json": ROWS}))
    folder = tmp_path / "d"
    for _ in range(2):
        assert main(["data", "fetch", "mmecinstruct", str(folder), "--archive", str(archive)]) == 0
        place = folder if form == "json" else folder / "MMECInstruct"
        assert f"--set data={place}" in capsys.readouterr().out
    assert (place / "dataset.json").read_bytes() == ROWS
    assert manifest(folder)["source"]["archive"] == archive.name
    assert main(["data", "fetch", "ecommmmu", str(folder), "--archive", str(archive)]) == 1
    assert "holds 'mmecinstruct' already" in capsys.readouterr().err


def test_nothing_of_an_evil_archive_stays_and_nothing_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, archive = tmp_path / "d", tmp_path / "a.tar.gz"
    archive.write_bytes(tar({"good.json": b"1", "../evil": b"x"}))
    words = ["data", "fetch", "mmecinstruct", str(folder), "--archive", str(archive)]
    assert main(words) == 1
    assert "leads out of its folder" in capsys.readouterr().err
    assert [p.name for p in folder.iterdir() if p.name != ".lock"] == []
    assert not (tmp_path / "evil").exists()
    (folder / "dataset.json").write_bytes(b"mine")
    archive.write_bytes(tar({"dataset.json": ROWS}))
    assert main(words) == 1
    assert "there already with another content" in capsys.readouterr().err
    assert (folder / "dataset.json").read_bytes() == b"mine"
    assert main([*words[:4], "--archive", str(tmp_path / "none.zip")]) == 1
    assert "no such file" in capsys.readouterr().err
    assert main(["data", "fetch", "mmecinstruc", str(folder)]) == 2
    assert "did you mean 'mmecinstruct'?" in capsys.readouterr().err
