"""A model on a server, as a user writes it, read strictly: `https://host/v1?key=MY_KEY&longest=768#model-name`.

In: a spec.  Out: an `Endpoint`, or a ModelError in one sentence.  The query's options are ours and are never sent.  A
key is named, never written: `key` is the name of an environment variable, and no message here repeats what a user may
have put in its place.  Nothing is sent from here.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

from lookwise.errors import ModelError, nearest

__all__ = ["Endpoint", "Mode", "Way", "parse", "read_key"]

Way = Literal["auto", "logprobs", "constrained", "text"]
Mode = Literal["chat", "batch"]

T = TypeVar("T", bound=str)

_ENGINE = "http/1"
"""Changes whenever the same server would be asked, or read, otherwise."""
_WAYS: tuple[Way, ...] = ("auto", "logprobs", "constrained", "text")
_MODES: tuple[Mode, ...] = ("chat", "batch")
_OPTIONS = ("key", "rank", "longest", "frames", "timeout", "price", "mode")
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FORM = "expected http://HOST:PORT/v1#MODEL"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and one of its models.

    `rank` is how options are ranked (ranking.py); pictures are sent with their longest side at most `longest` pixels, a
    clip as at most `frames` pictures; one attempt may take `timeout` seconds.  Prices are per million tokens.
    """

    spec: str
    base: str
    model: str
    key: str | None = None
    rank: Way = "auto"
    longest: int = 1024
    frames: int = 8
    timeout: float = 300.0
    price_in: float | None = None
    price_out: float | None = None
    mode: Mode = "chat"

    @property
    def fingerprint(self) -> str:
        """Identity for the reply key: server, model and what changes an answer; never the key, nor pace or price."""
        parts = (_ENGINE, self.base, self.model, self.rank, self.longest, self.frames)
        return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]

    @property
    def local(self) -> bool:
        """Whether the server is on this machine, so that no proxy may come between."""
        return urlsplit(self.base).hostname in _LOOPBACK

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return what so many tokens cost; 0 where no price was given."""
        return (tokens_in * (self.price_in or 0.0) + tokens_out * (self.price_out or 0.0)) / 1e6


def parse(spec: str) -> Endpoint:
    """Return the endpoint that a spec names."""
    try:
        url = urlsplit(spec)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ModelError(f"a model's address cannot be read ({_plain(error)}); {_FORM}") from None
    if url.username is not None or url.password is not None:
        raise ModelError(
            f"model on {host}: a name or password in the address; put the key in an environment variable and name it, "
            "http://HOST/v1?key=VARIABLE#MODEL"
        )
    if url.scheme not in ("http", "https") or not host or any(c.isspace() or not c.isprintable() for c in spec):
        raise ModelError(f"a model's address must be one of http or https, without spaces; {_FORM}")
    base = f"{url.scheme}://{_authority(host, port)}{url.path.rstrip('/')}"
    if not url.fragment:
        raise ModelError(f"model on {base}: no model is named; write it behind a #, {base}#MODEL")
    return _with_options(Endpoint(spec, base, url.fragment), url.query)


def read_key(endpoint: Endpoint) -> str | None:
    """Return the key from the environment, None where the spec names none."""
    if endpoint.key is None:
        return None
    key = os.environ.get(endpoint.key, "").strip()
    if not key:
        raise ModelError(
            f"model on {endpoint.base}: the environment variable {endpoint.key} is not set; export the key"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ModelError(f"model on {endpoint.base}: {endpoint.key} holds characters that no key has; export it anew")
    return key


def _authority(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def _with_options(endpoint: Endpoint, query: str) -> Endpoint:
    where = f"model on {endpoint.base}"
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=20) if query else []
    except ValueError:
        raise ModelError(f"{where}: the options behind ? cannot be read; expected name=value&name=value") from None
    given = dict(pairs)
    for name, _ in pairs:
        if name not in _OPTIONS:
            raise ModelError(f"{where}: unknown option {name!r}; {nearest(name, _OPTIONS)}")
    if len(given) < len(pairs):
        raise ModelError(f"{where}: an option is given twice")
    price = _price(given["price"], where) if "price" in given else (None, None)
    return Endpoint(
        spec=endpoint.spec,
        base=endpoint.base,
        model=endpoint.model,
        key=_key_name(given.get("key"), where),
        rank=_one_of(given.get("rank", "auto"), _WAYS, "rank", where),
        longest=int(_number(given.get("longest", "1024"), "longest", 16, 8192, where)),
        frames=int(_number(given.get("frames", "8"), "frames", 1, 256, where)),
        timeout=_number(given.get("timeout", "300"), "timeout", 0.01, 86_400, where),
        price_in=price[0],
        price_out=price[1],
        mode=_one_of(given.get("mode", "chat"), _MODES, "mode", where),
    )


def _key_name(name: str | None, where: str) -> str | None:
    if name is not None and not _NAME.fullmatch(name):
        raise ModelError(
            f"{where}: key= takes the name of an environment variable in capitals, such as key=MY_KEY; "
            "a key itself never belongs in a recipe"
        )
    return name


def _one_of(value: str, known: tuple[T, ...], name: str, where: str) -> T:
    for one in known:
        if value == one:
            return one
    raise ModelError(f"{where}: {name}={value!r} is not possible; {nearest(value, known)}")


def _number(text: str, name: str, low: float, high: float, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise ModelError(f"{where}: {name}={text!r}; expected a number from {low} to {high}")
    return value


def _price(text: str, where: str) -> tuple[float, float]:
    into, _, out = text.partition("/")
    return _number(into, "price", 0, 1e9, where), _number(out or into, "price", 0, 1e9, where)


def _plain(error: Exception) -> str:
    """Return why urlsplit refused, without the address: its messages quote parts of it."""
    return "a bad port" if "port" in str(error).lower() else "not an address"
