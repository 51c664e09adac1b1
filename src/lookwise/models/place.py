"""Where a checkpoint's files are, and a digest of those that change its answers.

In: a spec of the schemes "tiny:" and "hf:", with or without "+adapter", and whether its own Python may be run.  Out: a
`Place` (folders on disk), or a ModelError in one sentence; a digest over weights, configuration, tokenizer, template,
adapter, and the Python files where they may be run.  Plain Python: nothing is loaded.  Cards, readme files and second
copies of the weights are not digested, and neither are paths.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lookwise.errors import ModelError, nearest
from lookwise.models import hub
from lookwise.models.hf.families import code_of, family_of
from lookwise.models.weights import INDEX, SINGLE, Held, held_in_file, weight_names

__all__ = [
    "Place",
    "Preview",
    "bundled",
    "code_files",
    "digest",
    "locate",
    "preview",
    "text_digest",
    "text_files",
    "weight_files",
]

Judge = Callable[[Path], None]
"""Raises ModelError for a checkpoint that will not do, from its folder's configuration alone."""

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

_FIRST = ("config.json", "generation_config.json", INDEX)
"""What is fetched first, so that what cannot be asked is not fetched whole."""
_CONTENT = (*_FIRST[:2], *_TEXT)
"""What answers depend on in a checkpoint's folder beside its weights, as patterns of file names."""

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


def locate(spec: str, *, fetch: bool, remote_code: bool = False, judge: Judge | None = None) -> Place | None:
    """Return where a spec's files are; with `remote_code`, Python files among them may be run.

    A hub name that is not on this machine is fetched if `fetch`, else None is returned: nothing more can be said of it
    before it is opened.  `judge` is asked as soon as the base's configuration is here, before its weights are fetched.
    """
    scheme, _, rest = spec.partition(":")
    base, named = _split(rest)
    adapter = None if named is None else _adapter(named, spec, fetch)
    folder = _tiny(base, spec) if scheme == "tiny" else _folder(base, spec, fetch, remote_code, judge)
    if folder is None or (named is not None and adapter is None):
        return None
    family_of(folder, spec, remote_code=remote_code)
    if judge is not None:
        judge(folder)
    _check_weights(folder, spec)
    return Place(spec, folder, adapter, remote_code and _own_code(folder, spec))


@dataclass(frozen=True, slots=True)
class Preview:
    """What is known of a hub name before its weights are fetched: its configuration's folder, what weights it has."""

    spec: str
    folder: Path
    held: tuple[Held, ...]


def preview(spec: str) -> Preview:
    """Ask the hub for a configuration, and for the headers of the weights; ModelError where it cannot be reached."""
    base, named = _split(spec.partition(":")[2])
    place = locate(spec if named is None else spec.removesuffix(f"+{named}"), fetch=False)
    folder = hub.fetched(base, spec, _FIRST) if place is None else place.folder
    family_of(folder, spec)
    found = list(hub.held_at_hub(base, spec)) if place is None else _held(weight_files(place))
    if named is not None:
        adapter = _adapter(named, spec, fetch=False)
        found += hub.held_at_hub(named, spec, _ADAPTER[1]) if adapter is None else _held([adapter / _ADAPTER[1]])
    return Preview(spec, folder, tuple(found))


def _held(files: list[Path]) -> list[Held]:
    return [held for path in files for held in held_in_file(path)]


def _check_weights(folder: Path, spec: str) -> None:
    names = weight_names(folder, spec)
    if not names:
        raise ModelError(
            f"model {spec!r}: {folder} holds no *.safetensors weights by the names that are read ({SINGLE}, or {INDEX} "
            "and the files it names); save the model in that format"
        )
    lost = next((name for name in names if not (folder / name).is_file()), None)
    if lost is not None:
        raise ModelError(f"model {spec!r}: {folder} holds no {lost}, which its {INDEX} names; fetch it again")


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
    parts = [(place.folder, [*_found(place.folder, _CONTENT), *weight_files(place), *code_files(place)])]
    if place.adapter is not None:
        parts.append((place.adapter, _found(place.adapter, _ADAPTER)))
    return _digest(*parts)


def text_digest(place: Place) -> str:
    """Return 16 hex digits over the files of its tokenizer, template and processor alone."""
    return _digest((place.folder, [*text_files(place), *code_files(place)]))


def weight_files(place: Place) -> list[Path]:
    """Return the files of a base's weights: those that are loaded, and no second copy beside them."""
    return [place.folder / name for name in weight_names(place.folder, place.spec)]


def text_files(place: Place) -> list[Path]:
    """Return the files of its tokenizer, template and processor."""
    return _found(place.folder, _TEXT)


def code_files(place: Place) -> list[Path]:
    """Return the files of its own Python where that may be run, else none."""
    return _found(place.folder, _CODE) if place.remote_code else []


def _found(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def _digest(*parts: tuple[Path, list[Path]]) -> str:
    total = hashlib.sha256()
    for folder, paths in parts:
        for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in paths):
            stat = path.stat()
            total.update(f"{name}\x1f{_file(str(path), stat.st_size, stat.st_mtime_ns)}\x1e".encode())
        total.update(b"\x1d")
    return total.hexdigest()[:16]


def _split(rest: str) -> tuple[str, str | None]:
    """Return base and adapter of "base+adapter"; a folder whose own name holds a plus sign is a base."""
    base, plus, adapter = rest.partition("+")
    return (rest, None) if not plus or Path(rest).is_dir() else (base, adapter)


def _adapter(name: str, spec: str, fetch: bool) -> Path | None:
    """Return an adapter's local folder, or the cached or fetched folder of a hub name; None for one not here."""
    folder: Path | None = Path(name).expanduser()
    if hub.is_hub_name(name) and not Path(name).is_dir():
        folder = hub.cached(name, spec, _ADAPTER)
        if folder is None or not all((folder / file).is_file() for file in _ADAPTER):
            folder = hub.fetched(name, spec, _ADAPTER) if fetch else None
    lost = next((file for file in _ADAPTER if folder is not None and not (folder / file).is_file()), None)
    if lost is not None:
        raise ModelError(f"model {spec!r}: {folder} is no adapter, since it holds no {lost}; tune one first")
    return folder


def _tiny(name: str, spec: str) -> Path:
    if name not in bundled():
        raise ModelError(f"no model {spec!r} comes with the package; {nearest(name, bundled())}")
    return _TINY / name


def _folder(name: str, spec: str, fetch: bool, remote_code: bool, judge: Judge | None) -> Path | None:
    """Return a local folder, or the cached or fetched folder of a hub name."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if not hub.is_hub_name(name):
        raise ModelError(f"model {spec!r}: no folder {name!r}; expected a checkpoint's folder or a hub name org/name")
    here = hub.cached(name, spec, _FIRST)
    if here is not None and _complete(here, spec, remote_code):
        return here
    return _fetched(name, spec, remote_code, judge) if fetch else None


def _fetched(name: str, spec: str, remote_code: bool, judge: Judge | None) -> Path:
    """Fetch a hub name: its configuration first, so that what cannot be asked is not fetched."""
    first = hub.fetched(name, spec, _FIRST)
    family_of(first, spec, remote_code=remote_code)
    if judge is not None:
        judge(first)
    code = _CODE_AT_HUB if remote_code else ()
    return hub.fetched(name, spec, [*_FIRST, *_TEXT, *(weight_names(first, spec) or (SINGLE,)), *code])


def _complete(folder: Path, spec: str, remote_code: bool) -> bool:
    """Return whether a fetched folder holds all that its own lists name: an interrupted download leaves some of it."""
    if not (folder / "config.json").is_file():
        return False
    try:
        names = weight_names(folder, spec)
    except ModelError:
        return False
    code = {_module(ref) for ref in code_of(folder, spec) if "--" not in ref} if remote_code else set()
    return bool(names) and all((folder / name).is_file() for name in {*names, *code})


@functools.lru_cache(maxsize=1024)
def _file(path: str, size: int, changed: int) -> str:
    """Return a file's sha256; remembered while its size and time of change stay the same."""
    del size, changed
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
