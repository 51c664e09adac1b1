"""Untying a language-model head from the input embedding, so that an adapter on the head can be merged.

In: an open transformers causal or image-text model.  Out: the same model, its head a parameter of its own.  A LoRA on a
head that shares its matrix with the embedding is silently wrong once merged (both are changed), so tuning unties first,
and whoever opens such an adapter unties the base in the same way.  It knows nothing of adapters, files or tokenizers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["is_tied", "untie"]


def is_tied(model: PreTrainedModel) -> bool:
    """Return whether the head and the input embedding are one matrix."""
    open_model: Any = model
    head, embedding = open_model.get_output_embeddings(), open_model.get_input_embeddings()
    return head is not None and head.weight is embedding.weight


def untie(model: PreTrainedModel) -> bool:
    """Give a tied head a copy of its matrix and say so in the configuration; return whether there was anything to do.

    Setting `tie_word_embeddings=False` while loading would leave the head random where the file holds no head, so the
    copy is made after loading.
    """
    import torch

    if not is_tied(model):
        return False
    open_model: Any = model
    head = open_model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=head.weight.requires_grad)
    model.config.tie_word_embeddings = False
    model.config.get_text_config().tie_word_embeddings = False
    return True
