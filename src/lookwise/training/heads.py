"""The loss on answers only, without logits nobody needs; and the check that a merged head says the same.

In: an open transformers causal or LLaVA-class model (bare or with a LoRA adapter) and `Batch`es.  Out: hidden states,
logits at chosen positions, summed cross-entropy.  The backbone runs once, the states that predict a supervised token
are selected, and only those pass the head *module*, so that an adapter on the head is trained like any other.  In the
last layer, too, only they are computed where places do not depend on one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lookwise.errors import ModelError
from lookwise.models.heads import is_tied, untie
from lookwise.training.collate import Batch
from lookwise.training.fast import last_layer_at

__all__ = ["answer_logits", "answer_loss", "bare", "check_plain_head", "is_tied", "merge_check", "untie"]

MERGE_TOLERANCE = 1e-3
_LOGIT_CHANGES = ("final_logit_softcapping", "logit_scale", "logits_scaling", "output_multiplier_scale")


def bare(model: nn.Module) -> Any:
    """Return the transformers model inside an adapter's wrapper, or the model itself."""
    inner: Any = getattr(model, "base_model", None)
    return inner.model if type(model).__module__.startswith("peft") else model


def check_plain_head(model: Any, name: str) -> None:
    """Refuse models whose forward alters the head's output: selecting states and applying the head would miss that."""
    config = model.config.get_text_config()
    changed = [key for key in _LOGIT_CHANGES if getattr(config, key, None) not in (None, 1.0)]
    if changed or model.get_output_embeddings() is None:
        reason = f"its configuration sets {changed[0]}" if changed else "it has no language-model head"
        raise ModelError(
            f"{name} cannot be tuned here: {reason}; take a Llama, Mistral, Qwen2, Phi3 or LLaVA-class model"
        )


def answer_logits(model: nn.Module, batch: Batch) -> Tensor:
    """Return the logits at the batch's picks, (supervised, vocabulary)."""
    core = bare(model)
    with last_layer_at(core, batch.picks):
        states = core.model(input_ids=batch.ids, use_cache=False, **batch.pixels).last_hidden_state
    chosen = states.reshape(-1, states.shape[-1]).index_select(0, batch.picks)
    logits: Tensor = core.get_output_embeddings()(chosen)
    return logits


def answer_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the cross-entropy summed over the supervised tokens (nats)."""
    return nn.functional.cross_entropy(answer_logits(model, batch).float(), batch.targets, reduction="sum")


@torch.no_grad()
def merge_check(model: Any, batches: Sequence[Batch], name: str) -> float:
    """Merge the adapter into the base, compare logits before and after, and return the largest difference.

    In float32 a difference above 1e-3 is an error: the adapter would then not say the same once merged.  The adapter is
    taken out again afterwards.
    """
    was_training = model.training
    model.eval()
    before = [answer_logits(model, batch).float() for batch in batches]
    model.merge_adapter()
    after = [answer_logits(model, batch).float() for batch in batches]
    model.unmerge_adapter()
    model.train(was_training)
    worst = max((float((a - b).abs().max()) for a, b in zip(after, before, strict=True)), default=0.0)
    exact = next(bare(model).parameters()).dtype is torch.float32
    if exact and not worst <= MERGE_TOLERANCE:
        raise ModelError(
            f"the adapter on {name} changes by {worst:.2g} in its logits when merged (at most {MERGE_TOLERANCE:g} is "
            "expected): the head or another matrix is shared; tune with head=False"
        )
    return worst
