"""Run the command line in this process and die by SIGKILL at a chosen moment: `python killed.py LOG WHAT NTH ARGS...`.

WHAT is a name of `DONE`; when it is done for the NTH time (from 1) it never returns, and nothing is flushed: the same
as a machine that loses its power there.  WHAT `nothing` lets the command end.  Every time that something of `DONE`
begins, and every batch that a model is really asked, is a line of LOG, written before it happens.  Processes that the
command starts run this file too (as `__mp_main__`): what they do counts as well, and they take their parent along.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["DONE"]

DONE = {
    "captioning": ("lookwise.runs.replies:ReplyStore.put_many", "captions"),
    "balloting": ("lookwise.runs.replies:ReplyStore.put_many", "ballots"),
    "answering": ("lookwise.runs.replies:ReplyStore.put_many", "predictions"),
    "tuning": ("lookwise.training.trainer:answer_loss", None),
    "checkpoint": ("lookwise.training.trainer:commit", None),
    "manifest": ("lookwise.runs.store:write_json_atomic", None),
    "scores": ("lookwise.pipeline.score_steps:write_json_atomic", None),
}
"""What can be under way -> the call that does it, named where it is used, since that module may be loaded already, and
the stage whose replies it stores, where it stores replies."""


class _Log:
    """Lines that are in the file once `write` returns, whoever dies then; several processes may append."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, **facts: object) -> None:
        os.write(self._file, (json.dumps(facts) + "\n").encode())

    def count(self, kind: str) -> int:
        """Return how often something has begun, in all processes together."""
        return self._path.read_bytes().count(json.dumps({"did": kind}).encode())


def replace(target: str, wrap: Callable[[Any], Any]) -> None:
    """Put a function around the one that `module:path` names."""
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, wrap(getattr(owner, name)))


def install(log: _Log, what: str, nth: int) -> None:
    """Watch all that is done and asked in this process, and die at the chosen moment."""
    for target in dict.fromkeys(target for target, _ in DONE.values()):
        kinds = {stage: kind for kind, (where, stage) in DONE.items() if where == target}
        replace(target, lambda whole, kinds=kinds: _counted(whole, kinds, log, what, nth))
    replace("lookwise.models.hf.model:HFModel.answer", lambda whole: _asked(whole, log))


def _counted(whole: Any, kinds: dict[str | None, str], log: _Log, what: str, nth: int) -> Any:
    def counted(*values: Any, **named: Any) -> Any:
        stage = next((v.stage for v in values if hasattr(v, "stage")), None)
        if (kind := kinds.get(stage)) is not None:
            log.write(did=kind)
            if kind == what and log.count(kind) >= nth:
                parent = multiprocessing.parent_process()  # not that of the system, where it is forked from a third
                if parent is not None and parent.pid is not None:
                    os.kill(parent.pid, signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
        return whole(*values, **named)

    return counted


def _asked(whole: Any, log: _Log) -> Any:
    from lookwise.inference.keys import request_key

    def asked(self: Any, batch: Any) -> Any:
        log.write(asked=[request_key(self.fingerprint, request) for request in batch])
        return whole(self, batch)

    return asked


if __name__ in ("__main__", "__mp_main__"):
    place, chosen, number, *arguments = sys.argv[1:]
    install(_Log(place), chosen, int(number))

if __name__ == "__main__":
    from lookwise.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what is in its background deaf to Ctrl-C
    sys.exit(main(arguments))
