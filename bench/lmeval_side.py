"""lm_eval's own command with a clock round its scoring: run by lmeval.py with the interpreter that has lm_eval.

Its arguments are those of `lm_eval`; LMEVAL_CLOCK names the file that the seconds spent in `loglikelihood` go into.
Nothing of lm_eval is changed but that this one method is timed.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the command and write the seconds down."""
    from lm_eval.__main__ import cli_evaluate
    from lm_eval.models.huggingface import HFLM

    own = HFLM.loglikelihood
    seconds: list[float] = []

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return own(self, *args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - start)

    HFLM.loglikelihood = timed
    try:
        cli_evaluate()
    finally:
        Path(os.environ["LMEVAL_CLOCK"]).write_text(json.dumps(sum(seconds)))


if __name__ == "__main__":
    main()
