"""Open a model by its spec, or say at once why it cannot be opened.

    open_model("tiny:reader-s")            a model that comes with the package
    open_model("hf:/path/to/checkpoint")   a folder in the Hugging Face format, or "hf:org/name"
    open_model("tiny:reader-s+/path/to/a") either of them with a LoRA adapter
    open_model("scripted:yes")             a model without weights
    open_model("http://host:8000/v1#name") a model behind a chat server; "https://…" as well (models/http)

One literal table of schemes.  `check_spec` and `fingerprint` load neither torch nor weights, so that a recipe is
refused, or a finished stage found finished, in no time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from lookwise.errors import ModelError, nearest
from lookwise.model import Model
from lookwise.models.hf.decoding import decoding_in
from lookwise.models.hf.families import Abilities, Needs, abilities_of, family_of, lacks
from lookwise.models.http.budget import Budget
from lookwise.models.http.spec import parse, read_key
from lookwise.models.place import Place, digest, locate
from lookwise.models.scripted import check_scripted, open_scripted

__all__ = [
    "ModelOptions",
    "Needs",
    "check_spec",
    "fingerprint",
    "is_remote",
    "needs_a_picture",
    "open_model",
    "takes_pictures",
]

Dtype = Literal["float32", "bfloat16", "float16", "int8", "nf4"]

_ENGINE = "hf/2"
"""Changes whenever the same weights would answer differently: prompt building, reading of options, stopping."""

_DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16", "float16", "int8", "nf4")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is opened.

    `device` is "auto" (CUDA where there is one), "cpu" or "cuda[:n]"; `dtype` "auto" is float32 on a CPU and on CUDA
    bfloat16, or float16 where the device does not compute in that; "int8" and "nf4" hold matrices in 8 and 4 bits and
    compute in these (needs bitsandbytes).  `batch_tokens` is the padded size of a batch; None lets the model choose.
    For a model behind a server, `concurrency` is how many requests may be under way at most, and `budget` what may be
    spent.  `remote_code` is the user's permission to run the Python that comes with this very checkpoint.  `needs` is
    what its requests will hold: a checkpoint that cannot be given that is refused before its weights are fetched.
    """

    device: str = "auto"
    dtype: str = "auto"
    batch_tokens: int | None = None
    concurrency: int = 64
    budget: Budget | None = None
    remote_code: bool = False
    needs: tuple[Needs, ...] = ()


def open_model(spec: str, options: ModelOptions | None = None) -> Model:
    """Return an open model."""
    return _scheme(spec).open(spec, options or ModelOptions())


def check_spec(spec: str, *, pictures: bool = False, needs: Needs | None = None, remote_code: bool = False) -> None:
    """Raise ModelError when a spec names nothing that can be opened, or a text model that would be given `pictures`.

    `needs` says more exactly what its requests will hold, for families that take one picture, or no clips, and for
    checkpoints that want text written in a way that is not done here; `remote_code` is as in `ModelOptions`.  A hub
    name that is not on this machine passes: it is judged when it is opened, before its weights are fetched.
    """
    scheme = _scheme(spec)
    scheme.check(spec, remote_code, () if needs is None else (needs,))
    can = scheme.can(spec, remote_code) if pictures else None
    if can is not None and can.pictures == "none":
        raise ModelError(f"model {spec!r} reads text only, but would be given pictures; name a llava model")


def takes_pictures(spec: str) -> bool | None:
    """Return whether a model takes pictures; None where that is not known before it is opened."""
    can = _scheme(spec).can(spec, False)
    return None if can is None else can.pictures != "none"


def needs_a_picture(spec: str) -> bool:
    """Return whether a model, one that is here, takes exactly one picture with each request."""
    can = _scheme(spec).can(spec, False)
    return can is not None and can.pictures == "one"


def fingerprint(spec: str, options: ModelOptions | None = None) -> str:
    """Return what `open_model(spec, options).fingerprint` will be, without loading weights."""
    return _scheme(spec).fingerprint(spec, options or ModelOptions())


def is_remote(spec: str) -> bool:
    """Return whether a spec names a model behind a server."""
    return spec.partition(":")[0] in ("http", "https")


class _Scheme(NamedTuple):
    """What can be done with the specs of one scheme; a bool says whether a checkpoint's own Python may be run."""

    open: Callable[[str, ModelOptions], Model]
    check: Callable[[str, bool, tuple[Needs, ...]], None]
    can: Callable[[str, bool], Abilities | None]
    fingerprint: Callable[[str, ModelOptions], str]


def _scheme(spec: str) -> _Scheme:
    name, colon, rest = spec.partition(":")
    if not colon or not rest:
        known = ", ".join(f"{scheme}:…" for scheme in _SCHEMES)
        raise ModelError(f"model {spec!r}: expected a scheme and a name, such as tiny:reader-s; schemes: {known}")
    if name not in _SCHEMES:
        raise ModelError(f"model {spec!r}: unknown scheme {name!r}; {nearest(name, _SCHEMES)}")
    return _SCHEMES[name]


def _open_checkpoint(spec: str, options: ModelOptions) -> Model:
    device, dtype = _settle(options)
    place = _fetched(spec, options)
    from lookwise.models.hf.model import HFModel

    return HFModel(place, _name(digest(place), dtype), device, dtype, options.batch_tokens)


def _check_checkpoint(spec: str, remote_code: bool, needs: tuple[Needs, ...]) -> None:
    locate(spec, fetch=False, remote_code=remote_code, judge=partial(_judge, spec, remote_code, needs))


def _judge(spec: str, remote_code: bool, needs: tuple[Needs, ...], folder: Path) -> None:
    """Raise ModelError when the checkpoint of this configuration cannot be given what its requests will hold."""
    family = family_of(folder, spec, remote_code=remote_code)
    can = abilities_of(folder, spec, remote_code=remote_code)
    reason = next((found for need in needs if (found := lacks(can, need)) is not None), None)
    if reason is not None:
        raise ModelError(f"model {spec!r} {reason}")
    if family != "blip-2" and any(need.writes for need in needs):  # whose own generate goes by other settings
        decoding_in(folder, spec).check(spec)


def _checkpoint_can(spec: str, remote_code: bool) -> Abilities | None:
    place = locate(spec, fetch=False, remote_code=remote_code)
    return None if place is None else abilities_of(place.folder, spec, remote_code=remote_code)


def _checkpoint_fingerprint(spec: str, options: ModelOptions) -> str:
    return _name(digest(_fetched(spec, options)), _settle(options)[1])


def _fetched(spec: str, options: ModelOptions) -> Place:
    judge = partial(_judge, spec, options.remote_code, options.needs)
    place = locate(spec, fetch=True, remote_code=options.remote_code, judge=judge)
    if place is None:
        raise ModelError(f"model {spec!r} could not be found; give a checkpoint's folder")
    return place


def _name(files: str, dtype: str) -> str:
    return hashlib.sha256(f"{_ENGINE}\x1f{files}\x1f{dtype}".encode()).hexdigest()[:16]


def _settle(options: ModelOptions) -> tuple[str, Dtype]:
    """Return device and dtype with "auto" decided; torch is asked only where there is a driver to ask for."""
    device = options.device
    if device == "auto":
        device = "cuda" if _has_cuda() else "cpu"
    if options.dtype == "auto":
        return device, "float32" if device == "cpu" else _half()
    for dtype in _DTYPES:
        if options.dtype == dtype:
            return device, dtype
    raise ModelError(f"dtype {options.dtype!r} is not possible; {nearest(options.dtype, ['auto', *_DTYPES])}")


def _half() -> Dtype:
    """Return the 16 bits that this machine's CUDA device computes in; without one, opening says what is wrong."""
    if not _has_driver():
        return "bfloat16"
    from lookwise.models.hf.device import cuda_computes_bfloat16

    return "bfloat16" if cuda_computes_bfloat16() else "float16"


def _has_driver() -> bool:
    return any(Path(p).exists() for p in ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"))


def _has_cuda() -> bool:
    if not _has_driver():
        return False
    from lookwise.models.hf.device import cuda_works

    return cuda_works()


def _open_scripted(spec: str, options: ModelOptions) -> Model:
    del options
    return open_scripted(spec.partition(":")[2])


def _scripted_fingerprint(spec: str, options: ModelOptions) -> str:
    return _open_scripted(spec, options).fingerprint


def _open_remote(spec: str, options: ModelOptions) -> Model:
    endpoint = parse(spec)
    key = read_key(endpoint)
    from lookwise.models.http.model import HttpModel

    return HttpModel(endpoint, key, concurrency=options.concurrency, budget=options.budget)


def _check_remote(spec: str, remote_code: bool, needs: tuple[Needs, ...]) -> None:
    del remote_code, needs  # a server's own flag is the permission there
    read_key(parse(spec))


def _remote_fingerprint(spec: str, options: ModelOptions) -> str:
    del options
    return parse(spec).fingerprint


_ALL = Abilities("many", clips=True)
_CHECKPOINT = _Scheme(_open_checkpoint, _check_checkpoint, _checkpoint_can, _checkpoint_fingerprint)
_REMOTE = _Scheme(_open_remote, _check_remote, lambda spec, code: None, _remote_fingerprint)
_SCHEMES: Mapping[str, _Scheme] = {
    "tiny": _CHECKPOINT,
    "hf": _CHECKPOINT,
    "scripted": _Scheme(
        _open_scripted,
        lambda spec, code, needs: check_scripted(spec.partition(":")[2]),
        lambda spec, code: _ALL,
        _scripted_fingerprint,
    ),
    "http": _REMOTE,
    "https": _REMOTE,
}
