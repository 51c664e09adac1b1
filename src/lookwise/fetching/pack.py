"""A frozen pack: the pictures of a set of addresses as tar files, with digests, for another team's shelf.

    PACK/pack-00000.tar …   pictures under their sha256, sorted; equal pictures give equal bytes
    PACK/manifest.json      what each tar holds, what became of each address, and `subset`, the digest of all of that

In: a shelf and its addresses, or a pack and a shelf.  Out: a `Pack`; two teams with the same `subset` score the same
pictures.  What a pack misses stays missing wherever it is read: those addresses are settled.  A pack is a stranger's
file, so no tar header is interpreted: each must be, byte for byte, the one that the manifest's name and size make.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from lookwise.errors import DataError
from lookwise.fetching.limits import Limits
from lookwise.fetching.shelf import Fetched, Shelf, is_digest
from lookwise.runs.files import write_bytes_atomic

__all__ = ["Pack", "frozen_subset", "read_pack", "subset_of", "write_pack"]

_FORMAT = 1
_SHARD = 512 * 2**20
_CHUNK = 2**20
_END = b"\0" * 1024
_REASON = 200


@dataclass(frozen=True, slots=True)
class Pack:
    """What a pack holds: `subset` is the digest of which address has which picture, or none."""

    subset: str
    addresses: int
    missing: int
    pictures: int


def write_pack(shelf: Shelf, urls: Iterable[str], folder: Path, shard_bytes: int = _SHARD) -> Pack:
    """Freeze what a shelf has of addresses; what it misses is settled there too, so that both sides keep the same."""
    if (folder / "manifest.json").exists():
        raise DataError(f"{folder} holds a pack already; choose another folder, or delete it")
    with shelf.open():
        outcomes = [_known(shelf, url) for url in sorted(set(urls))]
        sizes = {f.digest: f.size for f in outcomes if f.digest is not None}
        folder.mkdir(parents=True, exist_ok=True)
        shards = []
        for number, group in enumerate(_groups(sorted(sizes.items()), shard_bytes)):
            name = f"pack-{number:05d}.tar"
            shards.append({"name": name, "sha256": _write_shard(folder / name, group, shelf), "pictures": group})
        manifest = {
            "format": _FORMAT,
            "subset": subset_of(outcomes),
            "shards": shards,
            "addresses": [{"url": f.url, "sha256": f.digest, "reason": f.reason} for f in outcomes],
        }
        write_bytes_atomic(folder / "manifest.json", json.dumps(manifest).encode("ascii"))
        shelf.record(replace(f, final=True) for f in outcomes if not f.final)
    return _pack(outcomes)


def read_pack(folder: Path, shelf: Shelf, limits: Limits | None = None) -> Pack:
    """Put a pack's pictures on a shelf, each checked, and settle its addresses there: all of the pack, or nothing."""
    if not (folder / "manifest.json").is_file():
        raise DataError(f"{folder} is no pack: it has no manifest.json; give the folder that holds one")
    shards, sizes, outcomes = _manifest(folder, limits or Limits())
    with shelf.open():
        drafts = {}
        for name, sha256, pictures in shards:
            drafts.update(_read_shard(folder / name, sha256, {digest: sizes[digest] for digest in pictures}, shelf))
        for digest, draft in drafts.items():
            shelf.keep(draft, digest)
        shelf.record(outcomes)
    return _pack(outcomes)


def frozen_subset(folder: Path) -> str:
    """Return the `subset` of a pack, its manifest checked and its shards not read."""
    return subset_of(_manifest(folder, Limits())[2])


def _known(shelf: Shelf, url: str) -> Fetched:
    found = shelf.known.get(url)
    if found is None or (found.digest is not None and not shelf.holds(found)):
        raise DataError(f"{url!r} has not been fetched into {shelf.folder}; fetch all addresses, then freeze them")
    return found


def _pack(outcomes: list[Fetched]) -> Pack:
    pictures = {f.digest for f in outcomes if f.digest is not None}
    return Pack(subset_of(outcomes), len(outcomes), sum(f.digest is None for f in outcomes), len(pictures))


def subset_of(outcomes: Iterable[Fetched]) -> str:
    """Return the digest of which address has which picture; reasons are not in it, as they may differ."""
    lines = sorted(f"{f.digest or '-'} {f.url}\n" for f in outcomes)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _groups(pictures: list[tuple[str, int]], most: int) -> Iterator[list[tuple[str, int]]]:
    """Yield pictures in groups of about so many bytes, at least one in each."""
    group: list[tuple[str, int]] = []
    total = 0
    for digest, size in pictures:
        if group and total + size > most:
            yield group
            group, total = [], 0
        group.append((digest, size))
        total += size
    if group:
        yield group


def _header(digest: str, size: int) -> bytes:
    """Return the tar header of a picture: nothing in it but its name and size."""
    entry = tarfile.TarInfo(digest)
    entry.size = size
    return entry.tobuf(tarfile.USTAR_FORMAT)


def _write_shard(path: Path, pictures: list[tuple[str, int]], shelf: Shelf) -> str:
    """Write a tar, each picture's bytes checked against its name; return the tar's digest."""
    total = hashlib.sha256()
    with path.open("wb") as out:
        for digest, size in pictures:
            seen = hashlib.sha256()
            _put(out, total, _header(digest, size))
            with shelf.path(digest).open("rb") as file:
                while chunk := file.read(_CHUNK):
                    seen.update(chunk)
                    _put(out, total, chunk)
            if seen.hexdigest() != digest:
                raise DataError(f"{shelf.path(digest)} is not what was fetched; delete it and fetch again")
            _put(out, total, b"\0" * (-size % 512))
        _put(out, total, _END)
    return total.hexdigest()


def _put(out: BinaryIO, total: Any, content: bytes) -> None:
    out.write(content)
    total.update(content)


def _read_shard(path: Path, sha256: str, sizes: Mapping[str, int], shelf: Shelf) -> dict[str, Path]:
    """Return the drafts of a tar's pictures; DataError unless it is, byte for byte, what its manifest says."""
    total, drafts = hashlib.sha256(), {}
    try:
        with path.open("rb") as file:
            for digest, size in sizes.items():
                _expect(path, file, total, _header(digest, size))
                drafts[digest] = shelf.draft()
                if _copy(file, drafts[digest], size, total) != digest:
                    raise _damaged(path)
                _expect(path, file, total, b"\0" * (-size % 512))
            _expect(path, file, total, _END)
            if file.read(1) or total.hexdigest() != sha256:
                raise _damaged(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); copy the whole pack") from error
    return drafts


def _copy(file: BinaryIO, draft: Path, size: int, total: Any) -> str:
    """Copy a picture's bytes out of a tar; return the digest of what was there."""
    seen = hashlib.sha256()
    with draft.open("wb") as out:
        while size > 0 and (chunk := file.read(min(_CHUNK, size))):
            seen.update(chunk)
            _put(out, total, chunk)
            size -= len(chunk)
    return seen.hexdigest()


def _expect(path: Path, file: BinaryIO, total: Any, content: bytes) -> None:
    found = file.read(len(content))
    total.update(found)
    if found != content:
        raise _damaged(path)


def _damaged(path: Path) -> DataError:
    return DataError(f"{path} is not what its manifest says; get the pack again")


Shards = list[tuple[str, str, list[str]]]


def _manifest(folder: Path, limits: Limits) -> tuple[Shards, dict[str, int], list[Fetched]]:
    """Return a manifest's shards, the sizes of its pictures and its addresses' outcomes, checked in shape and sum."""
    path = folder / "manifest.json"
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON; get the pack again") from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise DataError(f"{path} is no manifest of format {_FORMAT}; was it written by a later version?")
    try:
        listed = [(s["name"], s["sha256"], [(d, n) for d, n in s["pictures"]]) for s in found["shards"]]
        sizes = {digest: size for _, _, pictures in listed for digest, size in pictures}
        outcomes = [_outcome(entry, sizes) for entry in found["addresses"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is no manifest of a pack; get the pack again") from error
    names = [name for name, _, _ in listed]
    order = [digest for _, _, pictures in listed for digest, _ in pictures]
    sound = (
        names == [f"pack-{i:05d}.tar" for i in range(len(names))]
        and all(is_digest(digest) for digest in order)
        and all(a < b for a, b in pairwise(order))
        and all(type(size) is int and 0 < size <= limits.bytes for size in sizes.values())
        and {f.digest for f in outcomes if f.digest is not None} == set(sizes)
        and len({f.url for f in outcomes}) == len(outcomes)
        and subset_of(outcomes) == found.get("subset")
    )
    if not sound:
        raise DataError(f"{path} contradicts itself, or names pictures of more than {limits.bytes:,} bytes")
    return [(name, sha256, [d for d, _ in pictures]) for name, sha256, pictures in listed], sizes, outcomes


def _outcome(entry: Mapping[str, Any], sizes: Mapping[str, int]) -> Fetched:
    """Return what a manifest says of an address; settled, whatever it is."""
    url, digest, reason = entry["url"], entry["sha256"], entry["reason"]
    if not isinstance(url, str) or (digest is None) != isinstance(reason, str):
        raise ValueError(entry)
    if digest is not None:
        return Fetched(url, digest, sizes[digest], None, True)
    return Fetched(url, None, 0, " ".join(reason.split())[:_REASON], True)
