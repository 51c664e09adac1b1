"""EcomMMMU (arXiv 2508.15721): what scoring its published predictions needs: task ids, open answers, kind of metrics.

The ids are those of the data, misspelled ones included; `canonical` accepts the usual spelling as well.  Full task
declarations (prompts, fields) are not here yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from lookwise.benchmarks.answers import letters

__all__ = ["TASKS", "EcomTask", "canonical"]


@dataclass(frozen=True, slots=True)
class EcomTask:
    """One published task: its answers, and which of the published metric functions scores it."""

    answers: tuple[str, ...]
    kind: Literal["binary", "multiclass", "recall"]


_YES_NO = EcomTask(("yes", "no"), "binary")

TASKS: Mapping[str, EcomTask] = MappingProxyType(
    {
        "answerability_prediction": _YES_NO,
        "binary-question_answering": EcomTask(("yes", "no", "cannot answer"), "multiclass"),
        "click-through_predction": _YES_NO,
        "sequential_recommendation": EcomTask(letters(20), "recall"),
        "multiclass_product_classification": EcomTask(letters(4), "multiclass"),
        "production_substitute_identification": _YES_NO,
        "product_relation_prediction": EcomTask(letters(3), "multiclass"),
        "sentiment_analysis": EcomTask(letters(5), "multiclass"),
        "verfication": EcomTask(letters(4), "multiclass"),
    }
)
"""Every published task, and SUMEI's own question to its verifier (A helpful ... D misleading)."""

_SPELLINGS = {
    "click_through_prediction": "click-through_predction",
    "click_through_predction": "click-through_predction",
    "product_substitute_identification": "production_substitute_identification",
    "binary_question_answering": "binary-question_answering",
    "verification": "verfication",
}


def canonical(name: str) -> str:
    """Return the data's id for a task name in either spelling; an unknown name comes back as it is."""
    short = name.rsplit("/", 1)[-1]
    return short if short in TASKS else _SPELLINGS.get(short.replace("-", "_"), short)
