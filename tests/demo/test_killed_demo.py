"""`lookwise demo --quick`, killed at ten points, goes on and ends in the same bytes, with no call paid for twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

KILLER = Path(__file__).with_name("killed.py")
POINTS = (
    ("lookwise.runs.replies:ReplyStore.put_many", 1),  # the first captions, not yet committed
    ("lookwise.runs.replies:ReplyStore.put_many", 2),
    ("lookwise.runs.replies:ReplyStore.put_many", 4),  # ballots
    ("lookwise.runs.replies:ReplyStore.put_many", 7),
    ("lookwise.runs.store:write_json_atomic", 1),  # the manifest of the samples
    ("lookwise.runs.store:write_json_atomic", 2),  # of the captions
    ("lookwise.runs.store:write_json_atomic", 3),  # of the ballots
    ("lookwise.training.heads:answer_loss", 5),  # a tuning step
    ("lookwise.training.checkpoint:commit", 2),  # a checkpoint
    ("lookwise.pipeline.score_steps:write_json_atomic", 1),  # the scores
)


def demo(out: Path, *before: str) -> int:
    line = [sys.executable, *(before or ("-m", "lookwise")), "demo", "--quick", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(line, capture_output=True, env=environment, check=False, timeout=600).returncode


def calls(out: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((out / "calls.json").read_text(encoding="utf-8"))
    return {s: {m: {k: v for k, v in c.items() if k != "seconds"} for m, c in ms.items()} for s, ms in table.items()}


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unkilled") / "demo"
    assert demo(out) == 0
    return out


@pytest.mark.parametrize(("target", "nth"), POINTS, ids=[f"{t.partition(':')[2]}-{n}" for t, n in POINTS])
def test_killed_here_it_goes_on_to_the_same_end(target: str, nth: int, unkilled: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    out.mkdir()
    shutil.copytree(unkilled / "data", out / "data")  # drawing the pictures is not what is tested here
    assert demo(out, str(KILLER), target, str(nth)) == -signal.SIGKILL
    assert demo(out) == 0
    assert (out / "scores.json").read_bytes() == (unkilled / "scores.json").read_bytes()
    assert calls(out) == calls(unkilled)
