"""What each of several processes of a tuning runs: `python -m lookwise.training.launched ORDER`, started by launch.py.

In: the order's file, written by the process that started us.  Out: the main process writes the adapter's folder, its
progress as it goes, or its fault in one sentence; the others write nothing.  All of them end with the process that
started the tuning: they would hold its files, and the accelerators, while the resumed run starts the same again.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

from lookwise.errors import LookwiseError
from lookwise.runs.company import end_with_input
from lookwise.training import processes
from lookwise.training.launch import Order
from lookwise.training.trainer import Progress
from lookwise.training.tune import Watch, tune

__all__ = ["main"]


def main(path: Path) -> int:
    """Carry the order out as one of its processes; 1 when it cannot be."""
    order = pickle.loads(path.read_bytes())
    assert isinstance(order, Order)
    try:
        tune(order.base, order.train, order.val, order.out, order.settings, order.card, watch=_teller(order))
    except LookwiseError as error:
        order.fault.write_text(str(error), encoding="utf-8")
        return 1
    finally:
        processes.leave()
    return 0


def _teller(order: Order) -> Watch | None:
    """Return what is told of every step, in the main process; the others are not asked."""
    if not processes.is_main():
        return None

    def tell(progress: Progress) -> None:
        if progress.accuracy is None:
            with order.progress.open("a", encoding="utf-8") as file:
                file.write(json.dumps([progress.step, progress.steps]) + "\n")

    return tell


if __name__ == "__main__":
    end_with_input()
    raise SystemExit(main(Path(sys.argv[1])))
