"""Where a checkpoint's files are, and a digest of those that change its answers.

In: a spec of the schemes "tiny:" and "hf:", with or without "+adapter", and whether its own Python may be run.  Out: a
`Place` (folders on disk), or a ModelError in one sentence; a digest over weights, configuration, tokenizer, template,
adapter, and the Python files where they may be run.  Plain Python: nothing is loaded.  Cards and readme files are not
digested, and neither are paths.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from lookwise.errors import ModelError, nearest
from lookwise.models.hf.families import code_of, family_of

__all__ = ["Place", "bundled", "code_files", "digest", "locate", "text_digest", "text_files"]

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

_CODE = ("**/*.py",)
"""A checkpoint's own Python, where it may be run."""
_CODE_AT_HUB = ("*.py",)
"""The same as the hub's client reads patterns: it lets a star stand for folders, too."""
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True, slots=True)
class Place:
    """A checkpoint on disk: the spec that named it, its folder, its adapter's folder, and whether its code is run."""

    spec: str
    folder: Path
    adapter: Path | None = None
    remote_code: bool = False


def bundled() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.parent.name for path in _TINY.glob("*/config.json"))


def locate(spec: str, *, fetch: bool, remote_code: bool = False) -> Place | None:
    """Return where a spec's files are; with `remote_code`, Python files among them may be run.

    A hub name that is not on this machine is fetched if `fetch`, else None is returned: nothing more can be said of it
    before it is opened.
    """
    scheme, _, rest = spec.partition(":")
    base, adapter = _split(rest)
    if adapter is not None:
        _check_adapter(adapter, spec)
    folder = _tiny(base, spec) if scheme == "tiny" else _folder(base, spec, fetch, remote_code)
    if folder is None:
        return None
    family_of(folder, spec, remote_code=remote_code)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"model {spec!r}: {folder} holds no *.safetensors weights; save the model in that format")
    return Place(spec, folder, adapter, remote_code and _own_code(folder, spec))


def _own_code(folder: Path, spec: str) -> bool:
    """Return whether a checkpoint brings code; ModelError when that code is not in its folder."""
    code = code_of(folder, spec)
    away = next((ref for ref in code if "--" in ref or not (folder / _module(ref)).is_file()), None)
    if away is not None:
        raise ModelError(
            f"model {spec!r}: its class {away!r} is not in its folder, where it could be read and its changes noticed; "
            f"copy the Python files to {folder} and name them in auto_map"
        )
    return bool(code)


def _module(reference: str) -> str:
    """Return the file of a class such as "modeling_x.XForCausalLM"."""
    return f"{reference.rpartition('.')[0].replace('.', '/')}.py"


def digest(place: Place) -> str:
    """Return 16 hex digits over every file that an answer depends on."""
    content = (*_CONTENT, *_CODE) if place.remote_code else _CONTENT
    return _digest((place.folder, content), (place.adapter, _ADAPTER))


def text_digest(place: Place) -> str:
    """Return 16 hex digits over the files of its tokenizer, template and processor alone."""
    return _digest((place.folder, (*_TEXT, *_CODE) if place.remote_code else _TEXT))


def text_files(place: Place) -> list[Path]:
    """Return the files of its tokenizer, template and processor."""
    return sorted({path for pattern in _TEXT for path in place.folder.glob(pattern) if path.is_file()})


def code_files(place: Place) -> list[Path]:
    """Return the files of its own Python where that may be run, else none."""
    patterns = _CODE if place.remote_code else ()
    return sorted({path for pattern in patterns for path in place.folder.glob(pattern) if path.is_file()})


def _digest(*parts: tuple[Path | None, tuple[str, ...]]) -> str:
    total = hashlib.sha256()
    for folder, patterns in parts:
        if folder is None:
            continue
        names = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
        for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in names):
            stat = path.stat()
            total.update(f"{name}\x1f{_file(str(path), stat.st_size, stat.st_mtime_ns)}\x1e".encode())
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


def _folder(name: str, spec: str, fetch: bool, remote_code: bool) -> Path | None:
    """Return a local folder, or the cached or fetched folder of a hub name."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if name.startswith((".", "/", "~")) or name.count("/") != 1 or not all(name.split("/")):
        raise ModelError(f"model {spec!r}: no folder {name!r}; expected a checkpoint's folder or a hub name org/name")
    return _hub(name, spec, fetch, remote_code)


def _hub(name: str, spec: str, fetch: bool, remote_code: bool) -> Path | None:
    """Return the folder of a hub name; its configuration comes first, so that what cannot be asked is not fetched."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [*_CONTENT, *(_CODE_AT_HUB if remote_code else ())]
    try:
        here = Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True))
        if _complete(here, remote_code):
            return here
    except HFValidationError as error:
        raise ModelError(f"model {spec!r}: {error}; expected a folder or a hub name org/name") from None
    except LocalEntryNotFoundError:
        pass
    if not fetch:
        return None
    try:
        first = Path(snapshot_download(name, allow_patterns=["config.json"]))
        family_of(first, spec, remote_code=remote_code)
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"model {spec!r} is no folder and could not be fetched ({reason}); give a folder") from None


def _complete(folder: Path, remote_code: bool) -> bool:
    """Return whether a fetched folder holds all that its own lists name: an interrupted download leaves some of it."""
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        return False
    try:
        indexes = [json.loads(p.read_text(encoding="utf-8")) for p in folder.glob("*.safetensors.index.json")]
        shards = {str(shard) for index in indexes for shard in index["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    code = {_module(ref) for ref in code_of(folder, folder.name) if "--" not in ref} if remote_code else set()
    return all((folder / name).is_file() for name in shards | code)


@functools.lru_cache(maxsize=1024)
def _file(path: str, size: int, changed: int) -> str:
    """Return a file's sha256; remembered while its size and time of change stay the same."""
    del size, changed
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
