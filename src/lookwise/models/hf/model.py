"""A checkpoint as a `Model`: asked in batches, each request ranked or continued, one reply each.

In: requests.  Out: replies.  A request that cannot be answered (a picture that does not open, a prompt beyond what the
model can hold, options without tokens) gets a reply with the reason; what no request of this model can ever be
(pictures for a text model, writing in a way that is not done here) is a ModelError.  It knows neither stages nor the
reply store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lookwise.errors import ModelError
from lookwise.media import PictureError
from lookwise.message import Media
from lookwise.model import Generate, Rank, Reply, Request
from lookwise.models.hf.cross import Look
from lookwise.models.hf.device import batch_tokens, memory_guard, pick_device
from lookwise.models.hf.encode import Encoded, Encoder, OptionError
from lookwise.models.hf.eyes import Eyes, Sight
from lookwise.models.hf.generate import generate
from lookwise.models.hf.layout import Row, Tree
from lookwise.models.hf.load import load_network
from lookwise.models.hf.network import Network
from lookwise.models.hf.own_code import own_network
from lookwise.models.hf.pictures import Glance, Pictures
from lookwise.models.hf.positions import SPREAD, Positions
from lookwise.models.hf.rank import rank
from lookwise.models.hf.texts import load_texts
from lookwise.models.place import Place
from lookwise.models.wire import media_of

__all__ = ["HFModel"]


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
        self._encoder = Encoder(texts, place.spec)
        loaded = load_network(place, where, dtype)
        network = own_network(loaded.model, where, place.spec) if place.remote_code else Network(loaded.model, where)
        self._network: Network | None = network
        ends = (texts.tokenizer.eos_token_id, self._encoder.end_of_turn)
        self._decoding = loaded.decoding
        self._ends = loaded.ends | {token for token in ends if token is not None}
        self._aside = False
        self._positions: Positions | None = None
        self._pictures: Pictures | None = None
        if texts.image_processor is not None:
            eyes = Eyes(loaded.model, texts.image_processor, texts.clip_processor)
            self._pictures = Pictures(eyes, where)
            self._aside = eyes.family == "mllama"
            self._positions = Positions(loaded.model) if eyes.family in SPREAD else None
        self._batch = batch or batch_tokens(loaded.model, where, network.bytes_per_token)

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
        return len(prompt.ids) + sum(self._pictures.tokens(medium) - 1 for medium in prompt.media)

    def prepare(self, batch: Sequence[Request]) -> None:
        """Open the pictures of a batch to come; may be called from another thread."""
        if self._pictures is not None:
            self._pictures.prepare(g for request in batch for g in _glances(media_of(request.conversation)))

    @torch.inference_mode()
    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """Answer a batch, one reply per request, in order."""
        if self._network is None:
            raise ModelError(f"model {self._name!r} is closed; open it again")
        if any(isinstance(request.want, Generate) for request in batch):
            self._decoding.check(self._name)
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
        glances = [_glances(prompt.media) for prompt in prompts]
        seen = self._features([glance for some in glances for glance in some])
        ready = []
        for i, (prompt, request) in enumerate(zip(prompts, batch, strict=True)):
            sights = [seen[glance] for glance in glances[i]]
            fault = next((sight for sight in sights if isinstance(sight, PictureError)), None)
            if fault is not None:
                replies[i] = Reply(failure=fault.reason)
                continue
            shown = self._expand(prompt, [sight for sight in sights if isinstance(sight, Sight)])
            row = self._row(request, prompt, shown)
            reason = row if isinstance(row, str) else self._too_long(row)
            if reason is not None:
                replies[i] = Reply(failure=reason, tokens_in=len(shown.ids))
            elif isinstance(row, Row):
                ready.append(_Ready(i, row, len(shown.ids)))
        return ready

    def _features(self, glances: Sequence[Glance]) -> dict[Glance, Sight | PictureError]:
        return self._pictures.features(glances) if self._pictures is not None and glances else {}

    def _expand(self, prompt: Encoded, sights: Sequence[Sight]) -> Row:
        """Return the prompt's row, each placeholder repeated once for each token that stands there."""
        if not sights:
            return Row(prompt.ids)
        ids: list[int] = []
        features: list[tuple[int, Tensor]] = []
        parts = iter([(sight, part) for sight in sights for part in sight.parts])
        looks: list[Look] = []
        for token in prompt.ids:
            if token not in self._encoder.places:
                ids.append(token)
                continue
            sight, part = next(parts)
            if self._aside:
                looks.append(Look(len(ids), part, sight.used))
                ids.append(token)
            else:
                features.append((len(ids), part))
                ids += [0] * part.shape[0]  # any token will do: its embedding is replaced
        positions = None
        if self._positions is not None:
            positions = self._positions.of(len(ids), features, prompt.media, sights)
        return Row(ids, None, tuple(features), tuple(looks), positions, prompt.ids)

    def _row(self, request: Request, prompt: Encoded, shown: Row) -> Row | str:
        """Return the row of a request, or why there can be none."""
        if isinstance(request.want, Generate):
            return shown
        try:
            stable, tree = self._encoder.options(prompt, request.want.options)
        except OptionError as error:
            return str(error)
        kept = len(shown.ids) - (len(prompt.ids) - stable)
        positions = None if shown.positions is None else shown.positions[:, :kept]
        return replace(shown, ids=shown.ids[:kept], tree=tree, positions=positions)

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
        penalty = self._decoding.repetition_penalty
        written = generate(network, [r.row for r in ready], wants, self._ends, penalty)
        for one, said in zip(ready, written, strict=True):
            text = self._encoder.decode(said)
            replies[one.index] = Reply(text, (), (), None, one.tokens_in, len(said))


def _glances(media: Sequence[Media]) -> list[Glance]:
    alone = sum(medium.kind == "image" for medium in media) == 1
    return [(medium, alone) for medium in media]
