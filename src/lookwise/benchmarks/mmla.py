"""MMLA: its twelve data sets, what is asked of each, and the labels in the published order.

In: a data set's name in any of the spellings in use.  Out: its dimension and labels.  Source: the published programs
and the hub's card (THUIAR/MMLA-Datasets); test sizes are needed for the leaderboard's weighted average.  Full task
declarations (prompts, fields) are not here yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["DATASETS", "Dataset", "canonical"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set: the dimension that is asked, its labels, and the sizes of train, dev and test.

    Test sizes marked uncertain in the sources are checked only through five published averages (tests/benchmarks).
    """

    dimension: str
    labels: tuple[str, ...]
    train: int
    dev: int
    test: int


_ACTS = (
    "greeting", "question", "answer", "statement-opinion", "statement-non-opinion", "apology", "command", "agreement",
    "disagreement", "acknowledge", "backchannel", "others",
)  # fmt: skip
_INTENTS = (
    "complain", "praise", "apologise", "thank", "criticize", "agree", "taunt", "flaunt", "joke", "oppose", "comfort",
    "care", "inform", "advise", "arrange", "introduce", "leave", "prevent", "greet", "ask for help",
)  # fmt: skip
_INTENTS_2 = (
    "acknowledge", "advise", "agree", "apologise", "arrange", "ask for help", "asking for opinions", "care", "comfort",
    "complain", "confirm", "criticize", "doubt", "emphasize", "explain", "flaunt", "greet", "inform", "introduce",
    "invite", "joke", "leave", "oppose", "plan", "praise", "prevent", "refuse", "taunt", "thank", "warn",
)  # fmt: skip

DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        "MIntRec": Dataset("intent", _INTENTS, 1334, 445, 445),
        "MIntRec2.0": Dataset("intent", _INTENTS_2, 6165, 1106, 2033),
        "MELD": Dataset(
            "emotion", ("neutral", "surprise", "fear", "sadness", "joy", "anger", "disgust"), 9989, 1109, 2610
        ),
        "IEMOCAP": Dataset("emotion", ("angry", "happy", "sad", "neutral", "frustrated", "excited"), 5237, 521, 1622),
        "MELD-DA": Dataset("dialogue_act", _ACTS, 6992, 999, 1998),
        "IEMOCAP-DA": Dataset("dialogue_act", _ACTS, 6590, 942, 1884),
        "MOSI": Dataset("sentiment", ("positive", "negative"), 1284, 229, 686),
        "Ch-sims": Dataset("sentiment", ("neutral", "positive", "negative"), 2722, 647, 1034),
        "UR-FUNNY": Dataset("speaking_style", ("humorous", "serious"), 7612, 980, 994),
        "MUStARD": Dataset("speaking_style", ("sincere", "sarcastic"), 414, 138, 138),
        "AnnoMi-client": Dataset("communication_behavior", ("neutral", "change", "sustain"), 3123, 461, 1128),
        "AnnoMi-therapist": Dataset(
            "communication_behavior", ("question", "therapist_input", "reflection", "other"), 3161, 472, 1082
        ),
    }
)

_FOLDED = {name.casefold(): name for name in DATASETS} | {
    "ch-simsv2.0": "Ch-sims",
    "ch-sims v2.0": "Ch-sims",
    "ur-funny-v2": "UR-FUNNY",
    "mintrec2": "MIntRec2.0",
}


def canonical(name: str) -> str:
    """Return a data set's published name from any spelling in use; an unknown name comes back as it is."""
    return _FOLDED.get(name.strip().rsplit("/", 1)[-1].casefold(), name)
