"""Where a checkpoint's files are, and a digest of those that change its answers.

In: a spec of the schemes "tiny:" and "hf:", with or without "+adapter".  Out: a `Place` (folders on disk), or a
ModelError in one sentence; a digest over weights, configuration, tokenizer, template and adapter.  Plain Python:
nothing is loaded.  Cards and readme files are not digested, and neither are paths.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from lookwise.errors import ModelError, nearest
from lookwise.models.hf.families import family_of

__all__ = ["Place", "bundled", "digest", "locate", "text_digest", "text_files"]

_TINY = Path(__file__).parent / "tiny"
_TEXT = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "chat_template*",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
)
"""What turns a conversation into a model's input."""

_CONTENT = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", *_TEXT)
"""What answers depend on in a checkpoint's folder, as patterns of file names."""

_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint on disk: the spec that named it, its folder, and its adapter's folder."""

    spec: str
    folder: Path
    adapter: Path | None = None


def bundled() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.parent.name for path in _TINY.glob("*/config.json"))


def locate(spec: str, *, fetch: bool) -> Place | None:
    """Return where a spec's files are.

    A hub name that is not on this machine is fetched if `fetch`, else None is returned: nothing more can be said of it
    before it is opened.
    """
    scheme, _, rest = spec.partition(":")
    base, adapter = _split(rest)
    if adapter is not None:
        _check_adapter(adapter, spec)
    folder = _tiny(base, spec) if scheme == "tiny" else _folder(base, spec, fetch)
    if folder is None:
        return None
    family_of(folder, spec)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"model {spec!r}: {folder} holds no *.safetensors weights; save the model in that format")
    return Place(spec, folder, adapter)


def digest(place: Place) -> str:
    """Return 16 hex digits over every file that an answer depends on."""
    return _digest((place.folder, _CONTENT), (place.adapter, _ADAPTER))


def text_digest(place: Place) -> str:
    """Return 16 hex digits over the files of its tokenizer, template and processor alone."""
    return _digest((place.folder, _TEXT))


def text_files(place: Place) -> list[Path]:
    """Return the files of its tokenizer, template and processor."""
    return sorted({path for pattern in _TEXT for path in place.folder.glob(pattern) if path.is_file()})


def _digest(*parts: tuple[Path | None, tuple[str, ...]]) -> str:
    total = hashlib.sha256()
    for folder, patterns in parts:
        if folder is None:
            continue
        names = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
        for path in sorted(names, key=lambda p: p.name):
            stat = path.stat()
            total.update(f"{path.name}\x1f{_file(str(path), stat.st_size, stat.st_mtime_ns)}\x1e".encode())
        total.update(b"\x1d")
    return total.hexdigest()[:16]


def _split(rest: str) -> tuple[str, Path | None]:
    """Return base and adapter of "base+adapter"; a folder whose own name holds a plus sign is a base."""
    base, plus, adapter = rest.partition("+")
    if not plus or Path(rest).is_dir():
        return rest, None
    return base, Path(adapter).expanduser()


def _check_adapter(folder: Path, spec: str) -> None:
    for name in _ADAPTER:
        if not (folder / name).is_file():
            raise ModelError(f"model {spec!r}: {folder} is no adapter, since it holds no {name}; tune one first")


def _tiny(name: str, spec: str) -> Path:
    if name not in bundled():
        raise ModelError(f"no model {spec!r} comes with the package; {nearest(name, bundled())}")
    return _TINY / name


def _folder(name: str, spec: str, fetch: bool) -> Path | None:
    """Return a local folder, or the cached or fetched folder of a hub name."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if name.startswith((".", "/", "~")) or name.count("/") != 1 or not all(name.split("/")):
        raise ModelError(f"model {spec!r}: no folder {name!r}; expected a checkpoint's folder or a hub name org/name")
    return _hub(name, spec, fetch)


def _hub(name: str, spec: str, fetch: bool) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = list(_CONTENT)
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True))
    except HFValidationError as error:
        raise ModelError(f"model {spec!r}: {error}; expected a folder or a hub name org/name") from None
    except LocalEntryNotFoundError:
        if not fetch:
            return None
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"model {spec!r} is no folder and could not be fetched ({reason}); give a folder") from None


@functools.lru_cache(maxsize=1024)
def _file(path: str, size: int, changed: int) -> str:
    """Return a file's sha256; remembered while its size and time of change stay the same."""
    del size, changed
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
