"""Models without weights: a function from a request to a reply.

In: a script, by function or by name ("scripted:yes").  Out: a `Model` that is deterministic, quick, and counts words
for tokens.  They stand in for real models in tests.  They cannot read a sample.  The generated shop's exact readers
bear names of this scheme in rows, but are computed with the shop (bazaar/ceiling.py); to open one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lookwise.errors import ModelError, nearest
from lookwise.model import Rank, Reply, Request

__all__ = ["SCRIPTS", "Script", "ScriptedModel", "check_scripted", "echo", "first", "open_scripted", "says"]

Script = Callable[[Request], Reply]

_PICTURE_TOKENS = 64


class ScriptedModel:
    """Answers by a script.  `fingerprint` must change with the script's behaviour; by default it is the name."""

    def __init__(
        self, name: str, script: Script, *, fingerprint: str | None = None, batch_tokens: int = 65_536
    ) -> None:
        self._name, self._script, self._batch_tokens = name, script, batch_tokens
        self._fingerprint = fingerprint or f"scripted:{name}"
        self._closed = False

    @property
    def name(self) -> str:
        """The name that it was opened with."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """Identity for the reply key."""
        return self._fingerprint

    @property
    def batch_tokens(self) -> int:
        """Words that a batch may hold."""
        return self._batch_tokens

    def length(self, request: Request) -> int:
        """Return the number of words, a picture counting as 64."""
        return sum(len(m.text.split()) + _PICTURE_TOKENS * len(m.media) for m in request.conversation)

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """Answer each request by the script."""
        if self._closed:
            raise ModelError(f"model {self._name!r} is closed; open it again")
        return [self._script(request) for request in batch]

    def close(self) -> None:
        """Refuse further requests."""
        self._closed = True


def says(text: str) -> Script:
    """Return a script that says `text`; of options it prefers the one that equals it, case aside, else the first."""

    def script(request: Request) -> Reply:
        return _reply(request, text)

    return script


def echo(request: Request) -> Reply:
    """Say the last turn's text again; of options prefer the one that equals it."""
    return _reply(request, request.conversation[-1].text if request.conversation else "")


def first(request: Request) -> Reply:
    """Prefer the first option; without options say the first word of the last turn."""
    return _reply(request, ((request.conversation[-1].text if request.conversation else "").split() or [""])[0])


SCRIPTS: dict[str, Script] = {"yes": says("yes"), "no": says("no"), "echo": echo, "first": first}
"""What may follow "scripted:"."""
_NAMES_IN_ROWS = frozenset({"ceiling-text", "ceiling-pictures", "naive"})
"""The generated shop's exact readers, as rows name them."""


def check_scripted(name: str) -> None:
    """Raise ModelError when there is no such script: with the nearest name, or with where its rows come from."""
    if name in _NAMES_IN_ROWS:
        raise ModelError(
            f"model 'scripted:{name}' names rows and cannot be opened: what exact readers answer is computed when the "
            "generated shop is made, and a run on it scores that by itself (policies ceiling/text, ceiling/pictures, "
            "oracle/truth); name another model"
        )
    if name not in SCRIPTS:
        raise ModelError(f"model 'scripted:{name}': no such script; {nearest(name, SCRIPTS)}")


def open_scripted(name: str) -> ScriptedModel:
    """Return the model "scripted:<name>"."""
    check_scripted(name)
    return ScriptedModel(f"scripted:{name}", SCRIPTS[name], fingerprint=f"scripted:{name}/1")


def _reply(request: Request, text: str) -> Reply:
    words = sum(len(m.text.split()) for m in request.conversation)
    if not isinstance(request.want, Rank):
        said = text.split()
        room = request.want.max_new_tokens
        return Reply(text if len(said) <= room else " ".join(said[:room]), (), (), None, words, min(len(said), room))
    options = request.want.options
    if not options:
        return Reply(failure="no options to rank", tokens_in=words)
    best = next((i for i, option in enumerate(options) if option.casefold() == text.strip().casefold()), 0)
    scores = tuple(0.0 if i == best else -1.0 for i in range(len(options)))
    return Reply(options[best], scores, tuple(len(o.split()) for o in options), None, words, 0)
