"""How a model is tuned: every number that changes the result, with the paper's values as defaults.

Values only; no torch.  A value out of range is a RecipeError that names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lookwise.errors import RecipeError

__all__ = ["Quantized", "TuneSettings"]

Scheduler = Literal["cosine", "linear", "constant", "constant_with_warmup"]
Quantized = Literal["", "nf4", "int8"]


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """Settings of one tuning.

    `rank`, `alpha`, `dropout` are LoRA's; `head` adds the language-model head to the adapted layers, `targets` replaces
    the usual projections by named ones (last parts of module names), `projector` and `tower` add those of a
    vision-language model.  `whole` trains every parameter instead of an adapter.  `batch` is the effective batch in
    rows whatever fits in memory: it is cut into micro-batches of at most `micro_tokens` padded tokens (None: chosen for
    the device, halved when memory runs out).  `warmup` is a share of all steps.  The accuracy is taken every
    `evaluate_every` steps (None: at the end of every epoch) and always at the last step; the state is saved after every
    evaluation, every `save_every` steps and every `save_seconds` seconds.  Rows longer than `max_tokens` tokens (None:
    what the model can take) are left out and counted.

    `gradient_checkpointing` computes every layer but the last a second time instead of keeping its activations: the
    same gradients in less memory, at about a third more time.  `quantized` holds the base's matrices in 4 bits ("nf4",
    QLoRA) or 8 ("int8").  `shard` cuts the base's frozen decoder layers over the processes of a tuning (shards.py).
    `remote_code` is the user's permission to run the base's own Python.
    """

    rank: int = 16
    alpha: int = 16
    dropout: float = 0.0
    learning_rate: float = 1e-4
    batch: int = 128
    epochs: float = 3.0
    warmup: float = 0.05
    scheduler: Scheduler = "cosine"
    seed: int = 0
    head: bool = True
    targets: tuple[str, ...] = ()
    projector: bool = False
    tower: bool = False
    whole: bool = False
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    group_by_length: bool = True
    micro_tokens: int | None = None
    max_tokens: int | None = None
    evaluate_every: int | None = None
    save_every: int = 200
    save_seconds: float = 60.0
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    quantized: Quantized = ""
    shard: bool = False
    remote_code: bool = False

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        positive = ("rank", "alpha", "learning_rate", "batch", "epochs", "save_every", "save_seconds")
        for name in (*positive, "micro_tokens", "max_tokens", "evaluate_every"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise RecipeError(f"tuning: {name} is {value}; give a number above 0")
        for name in ("dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f"tuning: {name} is {getattr(self, name)}; give a share in [0, 1)")
        if self.quantized and (self.whole or self.tower or self.projector):
            raise RecipeError("tuning: a quantized base can only be tuned by an adapter on its decoder; leave it whole")
        if self.shard and (self.whole or self.quantized):
            other = "whole" if self.whole else "quantized"
            raise RecipeError(f"tuning: shard cuts a frozen base in full precision, which {other} is not; choose one")
