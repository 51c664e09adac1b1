"""Our pixels beside those of the published processors, which need torchvision: rounding apart.

torchvision is no dependency.  Name a folder that holds it to run this: `pip install --no-deps --target FOLDER
torchvision`, then LOOKWISE_TORCHVISION=FOLDER.  Any build will do; its operators are not used.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FOLDER = os.environ.get("LOOKWISE_TORCHVISION", "")
MOST, MEAN = 0.2, 0.004
"""After normalisation, where a step of 255 is 0.008 to 0.015: rounding at sharp edges, and nearly none elsewhere."""


@pytest.mark.slow
@pytest.mark.skipif(
    not FOLDER and importlib.util.find_spec("torchvision") is None, reason="no torchvision: set LOOKWISE_TORCHVISION"
)
def test_pictures_and_clips_are_scaled_as_published(tmp_path: Path) -> None:
    paths = [FOLDER, str(TESTS), str(TESTS.parent / "src")]
    done = subprocess.run(
        [sys.executable, str(TESTS / "torchvision_check.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p), "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(found) == 10
    assert sum("clip" in one for one in found) == 5
    for one in found:
        for most, mean in (one["picture"], one.get("clip", (0.0, 0.0))):
            assert most <= MOST, one
            assert mean <= MEAN, one
