"""Run the command line in this process and die by SIGKILL at a chosen call: `python killed.py TARGET NTH ARGUMENTS...`.

TARGET is module:name or module:Class.name.  The NTH call of it (from 1) never returns, and nothing is flushed: the same
as a machine that loses its power there.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any


def main() -> int:
    target, nth, *arguments = sys.argv[1:]
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    whole = getattr(owner, name)
    calls = 0

    def counted(*values: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == int(nth):
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*values, **named)

    setattr(owner, name, counted)
    from lookwise.cli import main as lookwise

    return lookwise(arguments)


if __name__ == "__main__":
    sys.exit(main())
