"""Archives of strangers, unpacked so that nothing lands outside their folder.

In: a tar (plain, gz, bz2, xz) or zip, an empty folder, bounds.  Out: the files in the folder, each with its size and
sha256; or a `DataError` that names the member and what is wrong with it.  Only plain files and folders are taken: an
archive with an absolute path, a `..`, a link, a device or a name given twice is refused whole.  Sizes are counted as
bytes come, not as a header states them.
"""

from __future__ import annotations

import hashlib
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from lookwise.errors import DataError

__all__ = ["Bounds", "Held", "Refused", "is_archive", "safe_name", "unpack"]

_CHUNK = 2**20
_DEEPEST = 24
_LONGEST = 255
_HEADER = 2**20
"""Bytes of a tar header that extends another: names and the like."""
_EXTENDING = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME)
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, NotImplementedError)
"""What damaged archives raise besides OSError."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may hold: files, and bytes in all once unpacked."""

    files: int = 1_000_000
    bytes: int = 256 * 2**30


@dataclass(frozen=True, slots=True)
class Held:
    """A file that was unpacked: its path inside the folder, bytes, sha256."""

    path: str
    bytes: int
    sha256: str


class Refused(Exception):
    """Why an archive is not unpacked."""


class _Header(tarfile.TarInfo):
    """A tar header whose extensions are of a reasonable size, checked before they are read."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        found = super().frombuf(buf, encoding, errors)
        if found.type in (*_EXTENDING, tarfile.GNUTYPE_LONGLINK) and found.size > _HEADER:
            raise Refused(f"a header of {found.size:,} bytes")
        return found


def is_archive(path: Path) -> bool:
    """Return whether a file is one that `unpack` reads, by its content."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def safe_name(name: str) -> str:
    """Return a member's path inside its folder, or refuse it."""
    parts = PurePosixPath(name).parts
    wrong = (
        not parts
        or name.startswith("/")
        or "\\" in name
        or ".." in parts
        or any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in name)
        or (len(parts[0]) > 1 and parts[0][1] == ":")
    )
    if wrong:
        raise Refused(f"the path {name[:80]!r}, which leads out of its folder or cannot be a file's")
    if len(parts) > _DEEPEST or any(len(part.encode()) > _LONGEST for part in parts):
        raise Refused(f"a path too long or too deep, {name[:80]!r}")
    return "/".join(parts)


def unpack(archive: Path, folder: Path, bounds: Bounds | None = None) -> list[Held]:
    """Unpack an archive into an empty folder; what was written before it was refused is left to the caller."""
    limits = bounds or Bounds()
    held: dict[str, Held] = {}
    total = 0
    try:
        for name, size, content in _members(archive):
            if name in held:
                raise Refused(f"{name[:80]!r} twice")
            if len(held) >= limits.files:
                raise Refused(f"more than {limits.files:,} files")
            held[name] = _write(folder, name, content, limits.bytes - total, limits.bytes)
            total += held[name].bytes
            if held[name].bytes != size:
                raise EOFError(f"{name[:80]!r} ends early")
    except Refused as reason:
        raise DataError(f"{archive} is not unpacked: it holds {reason}; look at where it comes from") from None
    except _DAMAGE as error:
        why = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{archive} is damaged ({why}); get it again") from error
    except OSError as error:
        raise DataError(f"{archive} cannot be unpacked into {folder} ({error.strerror or error})") from error
    return list(held.values())


def _members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield the plain files of an archive with their sizes and content, in its order."""
    if zipfile.is_zipfile(archive):
        yield from _zipped(archive)
    elif tarfile.is_tarfile(archive):
        yield from _tarred(archive)
    else:
        raise Refused("neither a tar nor a zip archive")


def _tarred(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(archive, "r|*", tarinfo=_Header) as tar:
        for member in tar:
            name = safe_name(member.name)
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise Refused(f"{name[:80]!r}, which is a link, a device or no plain file")
            content = tar.extractfile(member)
            if content is not None:
                yield name, member.size, content
            tar.members = []  # type: ignore[attr-defined]  # else a million files are held as a million headers


def _zipped(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as zipped:
        for member in zipped.infolist():
            name = safe_name(member.filename)
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise Refused(f"{name[:80]!r}, which is a link, a device or no plain file")
            if member.flag_bits & 1:
                raise Refused(f"{name[:80]!r}, which is encrypted")
            with zipped.open(member) as content:
                yield name, member.file_size, content


def _write(folder: Path, name: str, content: IO[bytes], left: int, most: int) -> Held:
    """Write one file, as far as the bounds allow."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    seen, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            if size > left:
                raise Refused(f"more than {most:,} bytes")
            seen.update(chunk)
            file.write(chunk)
    return Held(name, size, seen.hexdigest())
