"""What a checkpoint's generation_config.json asks of greedy writing: what is done here, and what is refused by name.

In: the settings, as transformers holds them or as the file has them.  Out: `Decoding`.  transformers applies these to
greedy decoding too, so that leaving one out would write another text than the model's own `generate`.  Plain Python: a
recipe is checked with it before torch is loaded.  What shapes a draw (temperature, top_p, top_k, do_sample) is the
request's own business, and so is the length; ranking is by the plain log-probabilities and knows nothing of this.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookwise.errors import ModelError

__all__ = ["Decoding", "decoding_in", "decoding_of"]

_REFUSED: Mapping[str, tuple[Any, ...]] = {
    "bad_words_ids": ([],),
    "begin_suppress_tokens": ([],),
    "constraints": ([],),
    "dola_layers": (),
    "encoder_no_repeat_ngram_size": (0,),
    "encoder_repetition_penalty": (1,),
    "exponential_decay_length_penalty": (),
    "force_words_ids": ([],),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "guidance_scale": (1,),
    "max_time": (),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "no_repeat_ngram_size": (0,),
    "num_beam_groups": (1,),
    "num_beams": (1,),
    "penalty_alpha": (0,),
    "sequence_bias": ({}, []),
    "stop_strings": ([], ""),
    "suppress_tokens": ([],),
    "token_healing": (False,),
    "watermarking_config": (),
}
"""Settings that change what greedy decoding writes and that are not done here, each with what leaves it out."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How a checkpoint wants its text written: the penalty on tokens seen before (1: none), and what is not done."""

    repetition_penalty: float = 1.0
    refused: tuple[str, ...] = ()

    def check(self, spec: str) -> None:
        """Raise ModelError, naming the settings, when text of this model cannot be written as it wants."""
        if self.refused:
            raise ModelError(
                f"model {spec!r}: its generation_config.json sets {', '.join(self.refused)}, which changes what it "
                "writes and is not done here; take that out of a copy of the checkpoint, rank options instead, or "
                "serve it and name its address (docs/models.md)"
            )


def decoding_of(settings: Mapping[str, Any], spec: str) -> Decoding:
    """Return the decoding that some settings want; ModelError for a penalty that is no positive number."""
    found = settings.get("repetition_penalty")
    penalty = 1.0 if found is None else found
    if isinstance(penalty, bool) or not isinstance(penalty, int | float) or not 0 < penalty < math.inf:
        raise ModelError(
            f"model {spec!r}: its generation_config.json has a repetition_penalty of {penalty!r}; give a number above 0"
        )
    refused = (n for n, without in _REFUSED.items() if settings.get(n) is not None and settings[n] not in without)
    return Decoding(float(penalty), tuple(refused))


def decoding_in(folder: Path, spec: str) -> Decoding:
    """Return the decoding that a checkpoint's file wants; a file that does not read is said when weights are loaded."""
    path = folder / "generation_config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        settings = {}
    return decoding_of(settings if isinstance(settings, dict) else {}, spec)
