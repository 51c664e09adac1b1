"""THE loop between stages and models: the only place that batches, merges, stores replies, retries and shows progress.

    rows = run_stage(stage, samples, models={"captioner": source}, replies=ReplyStore(path), ledger=ledger)

A stage is two pure functions, `ask` and `read` (contract.py).  plan.py forms batches, keys.py says what makes two
requests the same, answering.py lives with a model's failures, tally.py keeps the books, loop.py is the whole in one
sitting.
"""

from __future__ import annotations

from lookwise.inference.contract import Answered, Ask, DecidesEarly, ModelSource, Prepares, Stage, Streams
from lookwise.inference.display import Display, terminal_display
from lookwise.inference.keys import Pictures, request_key
from lookwise.inference.loop import run_stage
from lookwise.inference.plan import WINDOW
from lookwise.inference.team import Team

__all__ = [
    "WINDOW",
    "Answered",
    "Ask",
    "DecidesEarly",
    "Display",
    "ModelSource",
    "Pictures",
    "Prepares",
    "Stage",
    "Streams",
    "Team",
    "request_key",
    "run_stage",
    "terminal_display",
]
