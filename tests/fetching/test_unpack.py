"""Archives that want out of their folder, and those that are just large or broken."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lookwise.errors import DataError
from lookwise.fetching.unpack import Bounds, Held, unpack

FILES = {"set/a.tsv": b"id\ttext\n", "set/video/b.mp4": b"\0" * 3000}
Made = Callable[[Path], Path]


def tar_of(members: list[tarfile.TarInfo], path: Path, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 3, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.size, found.linkname = kind, size if kind == tarfile.REGTYPE else 0, link
    return found


def zip_of(path: Path, files: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, body in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(entry, body)
    return path


def sound_tar(folder: Path) -> Path:
    with tarfile.open(folder / "a.tar.gz", "w:gz") as tar:
        tar.addfile(member("set", tarfile.DIRTYPE))
        for name, body in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o4777
            tar.addfile(entry, io.BytesIO(body))
    return folder / "a.tar.gz"


@pytest.mark.parametrize("made", [sound_tar, lambda folder: zip_of(folder / "a.zip", FILES)])
def test_files_come_out_whole_with_their_digests(made: Made, tmp_path: Path) -> None:
    held = unpack(made(tmp_path), tmp_path / "out")
    assert held == [Held(name, len(body), hashlib.sha256(body).hexdigest()) for name, body in FILES.items()]
    assert {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()} == set(
        FILES
    )
    assert not (tmp_path / "out" / "set/a.tsv").stat().st_mode & 0o7111, "no rights are taken over"


LONG = "/".join(["d"] * 30)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (member("/etc/x"), "leads out"),
        (member("a/../../x"), "leads out"),
        (member("C:/x"), "leads out"),
        (member("a\\..\\x"), "leads out"),
        (member("a\nb"), "leads out"),
        (member(LONG), "too deep"),
        (member("n" * 300), "too long"),
        (member("l", tarfile.SYMTYPE, link="/etc/passwd"), "a link"),
        (member("l", tarfile.LNKTYPE, link="good"), "a link"),
        (member("d", tarfile.CHRTYPE), "a device"),
        (member("f", tarfile.FIFOTYPE), "no plain file"),
        (member("good"), "'good' twice"),
    ],
)
def test_one_bad_member_refuses_the_whole_archive(bad: tarfile.TarInfo, says: str, tmp_path: Path) -> None:
    path = tar_of([member("good"), bad], tmp_path / "bad.tar.gz")
    with pytest.raises(DataError, match=says):
        unpack(path, tmp_path / "deep" / "out")
    there = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file() or p.is_symlink()}
    assert there <= {"bad.tar.gz", "deep/out/good"}


@pytest.mark.parametrize(
    ("name", "mode", "says"),
    [("../x", 0, "leads out"), ("/x", 0, "leads out"), ("l", 0o120777, "a link"), ("d", 0o020666, "a device")],
)
def test_zips_are_held_to_the_same(name: str, mode: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=says):
        unpack(zip_of(tmp_path / "bad.zip", {name: b"x"}, mode), tmp_path / "out")


def test_bounds_hold_as_bytes_come(tmp_path: Path) -> None:
    bomb = zip_of(tmp_path / "bomb.zip", {"a": b"\0" * 5_000_000})
    assert bomb.stat().st_size < 10_000
    with pytest.raises(DataError, match="more than 1,000,000 bytes"):
        unpack(bomb, tmp_path / "a", Bounds(bytes=1_000_000))
    many = tar_of([member(f"f{i}") for i in range(6)], tmp_path / "many.tar", "w")
    with pytest.raises(DataError, match="more than 5 files"):
        unpack(many, tmp_path / "b", Bounds(files=5))
    with pytest.raises(DataError, match="more than 17 bytes"):
        unpack(many, tmp_path / "c", Bounds(bytes=17))


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 4 * 2**30
    path = tmp_path / "bomb.tar"
    path.write_bytes(member("good").tobuf() + b"abc".ljust(512, b"\0") + header.tobuf() + b"\0" * 4096)
    with pytest.raises(DataError, match="a header of 4,294,967,296 bytes"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_damaged_archives_say_so(cut: float, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as tar:
        for i in range(2):
            entry = tarfile.TarInfo(f"f{i}")
            entry.size = 5000
            tar.addfile(entry, io.BytesIO(random.Random(i).randbytes(5000)))
    whole = (tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(DataError, match=r"damaged|neither a tar nor a zip"):
        unpack(tmp_path / "cut.tar.gz", tmp_path / "out")
    (tmp_path / "page").write_text("<!doctype html>")
    with pytest.raises(DataError, match="neither a tar nor a zip"):
        unpack(tmp_path / "page", tmp_path / "out")
