"""A published data set brought into a folder: from the hub, or out of an archive that somebody has.

In: a data set, a folder, perhaps an archive.  Out: its files, and FOLDER/fetched.json, which names each with its sha256
and where it came from.  Killed anywhere, the same call goes on: a file that the manifest names is not brought again, a
half unpacked archive is swept away.  Nothing that lies in the folder already is overwritten by another content.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lookwise.errors import DataError
from lookwise.fetching.hub import Listing, chosen, digest_of, download
from lookwise.fetching.published import Published
from lookwise.fetching.unpack import Bounds, Held, is_archive, unpack
from lookwise.runs.files import write_json_atomic
from lookwise.runs.lock import RunLock

__all__ = ["MANIFEST", "Brought", "from_archive", "from_hub"]

MANIFEST = "fetched.json"
_FORMAT = 1
_DRAFT = ".unpacking"


@dataclass(frozen=True, slots=True)
class Brought:
    """What a folder holds now: files, their bytes, and the main files among them, by their paths."""

    files: int
    bytes: int
    main: tuple[str, ...]


def from_hub(
    one: Published,
    found: Listing,
    folder: Path,
    say: Callable[[str], None],
    only: Sequence[str] = (),
    bounds: Bounds | None = None,
) -> Brought:
    """Bring the files of a data set from the hub (those that `only` names), and unpack the archives among them."""
    files = [file for file in chosen(found, one.files) if not only or file in chosen(found, only)]
    if not files:
        raise DataError(f"{found.repo}: no file matches {', '.join(only or one.files)}; leave --only out to have all")
    with RunLock(folder):
        book = _Book(folder, one, {"hub": found.repo, "revision": found.revision})
        left = [file for file in files if not book.has(file.path)]
        _check_room(folder, sum(file.bytes for file in left))
        for number, file in enumerate(left, start=len(files) - len(left) + 1):
            say(f"{number} of {len(files)}: {file.path}, {file.bytes:,} bytes")
            held = [download(found, file, folder)]
            path = folder / file.path
            if _is_unpacked(path):
                held += _unpacked(path, folder, Path(file.path).parent, bounds)
            book.add(held, file.path)
    return book.sum(one)


def from_archive(one: Published, archive: Path, folder: Path, bounds: Bounds | None = None) -> Brought:
    """Unpack an archive of a data set into a folder; a file that is no archive is copied as it is."""
    if not archive.is_file():
        raise DataError(f"--archive {archive}: no such file; give a tar, a zip, or the data file itself")
    sha256 = digest_of(archive)
    with RunLock(folder):
        book = _Book(folder, one, {"archive": archive.name, "sha256": sha256})
        if not book.has(archive.name):
            held = _unpacked(archive, folder, Path(), bounds) if is_archive(archive) else [_copied(archive, folder)]
            book.add(held, archive.name)
    return book.sum(one)


class _Book:
    """The manifest of a folder: what was brought, file by file."""

    def __init__(self, folder: Path, one: Published, source: dict[str, str]) -> None:
        self._folder = folder
        self._path = folder / MANIFEST
        self._value: dict[str, Any] = self._read(one)
        if self._value.get("source") not in (None, source):
            raise DataError(f"{folder} holds {one.name} from elsewhere ({MANIFEST}); choose another folder")
        self._value |= {"format": _FORMAT, "set": one.name, "licence": one.licence, "source": source}

    def _read(self, one: Published) -> dict[str, Any]:
        if not self._path.is_file():
            return {"done": [], "files": []}
        try:
            found = json.loads(self._path.read_bytes())
            sound = found["format"] == _FORMAT and isinstance(found["files"], list) and isinstance(found["done"], list)
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            found, sound = {}, False
        if not sound:
            raise DataError(f"{self._path} is no manifest of fetched files; choose another folder, or delete it")
        if found.get("set") != one.name:
            raise DataError(f"{self._folder} holds {found.get('set')!r} already; choose another folder for {one.name}")
        return dict(found)

    def has(self, name: str) -> bool:
        """Return whether a file, and what was in it, was brought and still has its size."""
        mine = [f for f in self._value["files"] if f["from"] == name]
        return name in self._value["done"] and all(self._is_there(f) for f in mine)

    def _is_there(self, file: dict[str, Any]) -> bool:
        path = self._folder / str(file["path"])
        return path.is_file() and path.stat().st_size == file["bytes"]

    def add(self, held: Iterable[Held], name: str) -> None:
        """Take note of a file and what was in it, on disk too."""
        kept = [f for f in self._value["files"] if f["from"] != name]
        self._value["files"] = [*kept, *({**asdict(one), "from": name} for one in held)]
        self._value["done"] = [*(n for n in self._value["done"] if n != name), name]
        write_json_atomic(self._path, self._value)

    def sum(self, one: Published) -> Brought:
        """Return what there is."""
        files = self._value["files"]
        main = [f["path"] for f in files if Path(f["path"]).match(one.main)]
        return Brought(len(files), sum(f["bytes"] for f in files), tuple(main))


def _is_unpacked(path: Path) -> bool:
    return path.name.endswith((".tar", ".tar.gz", ".tgz", ".zip"))


def _unpacked(archive: Path, folder: Path, below: Path, bounds: Bounds | None) -> list[Held]:
    """Unpack into a draft, then put each file in its place: all of an archive, or nothing."""
    draft = folder / _DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        held = [Held((below / one.path).as_posix(), one.bytes, one.sha256) for one in unpack(archive, draft, bounds)]
        for one in held:
            _check_free(folder / one.path, one)
        for one in held:
            place = folder / one.path
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(draft / Path(one.path).relative_to(below), place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return held


def _copied(file: Path, folder: Path) -> Held:
    held = Held(file.name, file.stat().st_size, digest_of(file))
    _check_free(folder / file.name, held)
    draft = folder / _DRAFT
    draft.unlink(missing_ok=True)
    shutil.copyfile(file, draft)
    os.replace(draft, folder / file.name)
    return held


def _check_free(place: Path, held: Held) -> None:
    """Refuse to write where something else is."""
    if place.exists() and (not place.is_file() or digest_of(place) != held.sha256):
        raise DataError(f"{place} is there already with another content; choose another folder, or move it away")
    if place.name == MANIFEST:
        raise DataError(f"the archive holds a file named {MANIFEST}, which is ours; unpack it yourself")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(f"{folder} has {free:,} bytes free, but {needed:,} are needed; make room, or name files --only")
