"""A checkpoint as a `Model`: asked in batches, each request ranked or continued, one reply each.

In: requests.  Out: replies.  A request that cannot be answered (a picture that does not open, a prompt beyond what the
model can hold, options without tokens) gets a reply with the reason; what no request of this model can ever be
(pictures for a text model) is a ModelError.  It knows neither stages nor the reply store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lookwise.errors import ModelError
from lookwise.media import PictureError
from lookwise.message import Media
from lookwise.model import Generate, Rank, Reply, Request
from lookwise.models.hf.device import batch_tokens, memory_guard, pick_device
from lookwise.models.hf.encode import Encoded, Encoder, OptionError
from lookwise.models.hf.generate import generate
from lookwise.models.hf.layout import Row, Tree
from lookwise.models.hf.load import load_network
from lookwise.models.hf.network import Network
from lookwise.models.hf.pictures import Pictures
from lookwise.models.hf.rank import rank
from lookwise.models.hf.texts import load_texts
from lookwise.models.place import Place
from lookwise.models.wire import media_of

__all__ = ["HFModel"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request that can be computed: its place in the batch, its row, its prompt's length in tokens."""

    index: int
    row: Row
    tokens_in: int


class HFModel:
    """An open checkpoint.  Opened by models/open.py, which knows its fingerprint."""

    def __init__(self, place: Place, fingerprint: str, device: str, dtype: str, batch: int | None) -> None:
        self._name, self._fingerprint = place.spec, fingerprint
        where = pick_device(device, place.spec)
        texts = load_texts(place)
        image_token = None if texts.processor is None else int(texts.processor.image_token_id)
        self._encoder = Encoder(texts, place.spec, image_token)
        loaded = load_network(place, where, _DTYPES[dtype])
        self._network: Network | None = Network(loaded.model, where)
        ends = (texts.tokenizer.eos_token_id, self._encoder.end_of_turn)
        self._ends = loaded.ends | {token for token in ends if token is not None}
        processor = None if texts.processor is None else texts.processor.image_processor
        self._pictures = None if processor is None else Pictures(loaded.model, processor, where)
        self._batch = batch or batch_tokens(loaded.model, where, self._network.bytes_per_token)

    @property
    def name(self) -> str:
        """The spec it was opened with."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """Identity for the reply key."""
        return self._fingerprint

    @property
    def batch_tokens(self) -> int:
        """Padded tokens that a batch may hold."""
        return self._batch

    @torch.inference_mode()
    def length(self, request: Request) -> int:
        """Return the prompt's tokens; a picture counts as what it becomes (at most, where its shape decides)."""
        prompt = self._encoder.encode(request.conversation)
        if not prompt.media or self._pictures is None:
            return len(prompt.ids)
        return len(prompt.ids) + len(prompt.media) * (self._pictures.tokens() - 1)

    def prepare(self, batch: Sequence[Request]) -> None:
        """Open the pictures of a batch to come; may be called from another thread."""
        if self._pictures is not None:
            self._pictures.prepare(m for request in batch for m in media_of(request.conversation) if m.kind == "image")

    @torch.inference_mode()
    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """Answer a batch, one reply per request, in order."""
        if self._network is None:
            raise ModelError(f"model {self._name!r} is closed; open it again")
        with memory_guard(self._name):
            replies: list[Reply | None] = [None] * len(batch)
            ready = self._ready(batch, replies)
            self._rank(self._network, batch, [r for r in ready if isinstance(batch[r.index].want, Rank)], replies)
            self._write(self._network, batch, [r for r in ready if isinstance(batch[r.index].want, Generate)], replies)
        missing = [i for i, reply in enumerate(replies) if reply is None]
        if missing:
            raise RuntimeError(f"requests {missing} got no reply")
        return [reply for reply in replies if reply is not None]

    def close(self) -> None:
        """Free the memory of weights, features and pixels."""
        self._network = self._pictures = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _ready(self, batch: Sequence[Request], replies: list[Reply | None]) -> list[_Ready]:
        """Return what can be computed; the others get their reply here."""
        prompts = [self._encoder.encode(request.conversation) for request in batch]
        seen = self._features([m for prompt in prompts for m in prompt.media])
        ready = []
        for i, (prompt, request) in enumerate(zip(prompts, batch, strict=True)):
            fault = next((f for f in (seen[m] for m in prompt.media) if isinstance(f, PictureError)), None)
            if fault is not None:
                replies[i] = Reply(failure=fault.reason)
                continue
            ids, features = self._expand(prompt, seen)
            row = self._row(request, prompt, ids, features)
            reason = row if isinstance(row, str) else self._too_long(row)
            if reason is not None:
                replies[i] = Reply(failure=reason, tokens_in=len(ids))
            elif isinstance(row, Row):
                ready.append(_Ready(i, row, len(ids)))
        return ready

    def _features(self, media: Sequence[Media]) -> dict[Media, Tensor | PictureError]:
        return self._pictures.features(media) if self._pictures is not None and media else {}

    def _expand(
        self, prompt: Encoded, seen: dict[Media, Tensor | PictureError]
    ) -> tuple[Sequence[int], tuple[tuple[int, Tensor], ...]]:
        """Return the prompt with each placeholder repeated once for each of its picture's features."""
        if not prompt.media:
            return prompt.ids, ()
        ids: list[int] = []
        features: list[tuple[int, Tensor]] = []
        media = iter(prompt.media)
        for token in prompt.ids:
            if token != self._encoder.image_token:
                ids.append(token)
                continue
            tensor = seen[next(media)]
            if isinstance(tensor, Tensor):
                features.append((len(ids), tensor))
                ids += [0] * tensor.shape[0]  # any token will do: its embedding is replaced
        return ids, tuple(features)

    def _row(
        self, request: Request, prompt: Encoded, ids: Sequence[int], features: tuple[tuple[int, Tensor], ...]
    ) -> Row | str:
        """Return the row of a request, or why there can be none."""
        if isinstance(request.want, Generate):
            return Row(ids, None, features)
        try:
            stable, tree = self._encoder.options(prompt, request.want.options)
        except OptionError as error:
            return str(error)
        cut = len(prompt.ids) - stable
        return Row(ids[: len(ids) - cut] if cut else ids, tree, features)

    def _too_long(self, row: Row) -> str | None:
        most = self._network.most_tokens if self._network else 0
        needed = len(row.ids) + (max(row.tree.depths(), default=0) if row.tree else 1)
        return f"prompt of {len(row.ids)} tokens; the model holds {most}" if needed > most else None

    def _rank(
        self, network: Network, batch: Sequence[Request], ready: Sequence[_Ready], replies: list[Reply | None]
    ) -> None:
        for one, scores in zip(ready, rank(network, [r.row for r in ready]), strict=True):
            want = batch[one.index].want
            tree = one.row.tree or Tree.of(())
            if isinstance(want, Rank):
                best = want.options[max(range(len(scores)), key=scores.__getitem__)]
                sizes = tuple(len(path) for path in tree.paths)
                replies[one.index] = Reply(best, tuple(scores), sizes, None, one.tokens_in, 0)

    def _write(
        self, network: Network, batch: Sequence[Request], ready: Sequence[_Ready], replies: list[Reply | None]
    ) -> None:
        wants = [w for w in (batch[one.index].want for one in ready) if isinstance(w, Generate)]
        if not wants:
            return
        for one, said in zip(ready, generate(network, [r.row for r in ready], wants, self._ends), strict=True):
            text = self._encoder.decode(said)
            replies[one.index] = Reply(text, (), (), None, one.tokens_in, len(said))
