"""A whole model from scratch in one call: a captioner (tower first, then everything), a text model.

In: examples, a shape, a seed, a folder.  Out: a plain transformers checkpoint there, its card written last.
Killed at any moment, the same call goes on from the last checkpoint; a finished folder returns at once.  It knows no
data set: what is learned, and from what, is the caller's business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lookwise.training.collate import Augment
from lookwise.training.examples import Example
from lookwise.training.scratch import ConvEyes, Eyes, build_tokenizer, new_llava, new_reader, train_whole
from lookwise.training.tower import Seen, TowerSettings, train_tower
from lookwise.training.trainer import quiet
from lookwise.training.tune import Display, TuneSettings

__all__ = ["CaptionerShape", "ReaderShape", "fresh_captioner", "fresh_reader"]


@dataclass(frozen=True, slots=True)
class ReaderShape:
    """A Llama's sizes, and how long and fast it learns.

    `spread` is the standard deviation of its first weights: with the usual 0.02 a Llama this narrow stays at chance for
    hundreds of steps, because next to nothing comes out of its attention.
    """

    width: int = 96
    layers: int = 3
    heads: int = 4
    epochs: float = 4.0
    batch: int = 32
    learning_rate: float = 3e-3
    spread: float = 0.1

    def scaled(self, effort: float) -> ReaderShape:
        """Return the shape with its epochs multiplied."""
        return replace(self, epochs=self.epochs * effort)

    def steps(self, examples: int) -> int:
        """Return how many steps so many examples make."""
        return math.ceil(self.epochs * math.ceil(examples / self.batch))


@dataclass(frozen=True, slots=True)
class CaptionerShape:
    """A tower's and a Llama's sizes; epochs and rates of the tower alone, then of the Llama that listens to it."""

    eyes: Eyes | ConvEyes = field(default_factory=Eyes)
    width: int = 128
    layers: int = 2
    heads: int = 4
    tower_epochs: int = 30
    epochs: float = 12.0
    batch: int = 64
    tower_rate: float = 2e-3
    learning_rate: float = 1e-3
    spread: float = 0.1

    def scaled(self, effort: float) -> CaptionerShape:
        """Return the shape with its epochs multiplied; the tower keeps at least one."""
        return replace(self, epochs=self.epochs * effort, tower_epochs=max(1, round(self.tower_epochs * effort)))

    def steps(self, examples: int) -> int:
        """Return how many steps so many examples make, the tower alone not counted."""
        return math.ceil(self.epochs * math.ceil(examples / self.batch))


def fresh_captioner(
    out: Path,
    train: Sequence[Example],
    seen: Sequence[Seen],
    shape: CaptionerShape,
    seed: int,
    *,
    checked: Sequence[Seen] = (),
    augment: Augment | None = None,
    card: Mapping[str, Any] | None = None,
    display: Display | None = None,
) -> Path:
    """Train a LLaVA-class captioner: its tower to tell the classes of `seen`, then the rest of it to write `train`.

    The tower is kept as it is then: that is faster, and learning from captions cannot spoil what it sees.  The share of
    `checked` that the tower alone names right, per label set, goes onto the card.
    """
    with quiet():
        tokenizer = build_tokenizer(_texts(train), min_count=1)
        model, processor = new_llava(
            tokenizer, shape.eyes, shape.width, shape.layers, shape.heads, seed, spread=shape.spread
        )
        alone = TowerSettings(shape.tower_epochs, shape.batch, shape.tower_rate, seed=seed)
        with _Epochs(display, f"tower {out.name}") as watch:
            right = train_tower(model, processor, seen, checked, out / "tower", alone, augment, watch)
    settings = TuneSettings(
        learning_rate=shape.learning_rate, batch=shape.batch, epochs=shape.epochs, weight_decay=0.05, seed=seed
    )
    facts = {**(card or {}), "shape": asdict(shape), "tower_accuracy": list(right)}
    return train_whole(model, processor, train, (), out, settings, facts, display, augment=augment, tower=False)


def fresh_reader(
    out: Path,
    train: Sequence[Example],
    val: Sequence[Example],
    shape: ReaderShape,
    seed: int,
    *,
    card: Mapping[str, Any] | None = None,
    display: Display | None = None,
) -> Path:
    """Train a text model; `val` chooses its best epoch."""
    tokenizer = build_tokenizer(_texts(train), min_count=2)
    model = new_reader(tokenizer, shape.width, shape.layers, shape.heads, seed, positions=512, spread=shape.spread)
    settings = TuneSettings(
        learning_rate=shape.learning_rate, batch=shape.batch, epochs=shape.epochs, weight_decay=0.01, seed=seed
    )
    facts = {**(card or {}), "shape": asdict(shape)}
    return train_whole(model, tokenizer, train, val, out, settings, facts, display)


def _texts(examples: Sequence[Example]) -> list[str]:
    prompts = dict.fromkeys(message.text for e in examples for message in e.conversation)
    return [*prompts, *(answer for e in examples for answer in (e.answer, *e.options))]


class _Epochs:
    """Shows a tower's epochs on a display, as steps."""

    def __init__(self, display: Display | None, title: str) -> None:
        self._display, self._title, self._done = display, title, -1

    def __enter__(self) -> _Epochs:
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None and self._done >= 0:
            self._display.end()

    def __call__(self, epoch: int, epochs: int, loss: float) -> None:
        if self._display is None:
            return
        if self._done < 0:
            self._display.begin(self._title, epochs)
            self._display.advance(stored=epoch - 1)
        self._display.advance(sent=1)
        self._done = epoch
