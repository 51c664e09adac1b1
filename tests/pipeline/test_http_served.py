"""A real server of the protocol, `transformers serve`, on the bundled models: text, pictures, one whole recipe."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import lookwise.models
from lookwise.cli import main
from lookwise.message import Media, user
from lookwise.model import Generate, Rank, Request
from lookwise.models.open import open_model
from lookwise.rows import Ballot, Caption, Prediction
from lookwise.runs.store import read_rows

TINY = Path(lookwise.models.__file__).parent / "tiny"
SERVE = "from transformers.cli.transformers import main; main()"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "openai")),
        reason="transformers serve needs fastapi, uvicorn and openai",
    ),
]

# Judge b is left out: for Qwen models without a ChatML template this server repeats the prompt in its answer.
RECIPE = """
name: served
tasks: [category_classification]
samples_test: 4
samples_ood: 2
prompts: tiny
captioner: {base}#{tiny}/captioner
caption_tokens: 40
judges:
  a: {base}#{tiny}/judge-a
  c: {base}#{tiny}/judge-c
  d: {base}#{tiny}/judge-d
judging: rank
reader: {base}?rank=constrained#{tiny}/reader-s
readers: zero-shot
tune_on: []
policies: [none, captions:always, captions:vote]
resamples: 50
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server in a process of its own."""
    folder = tmp_path_factory.mktemp("served")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder), "TOKENIZERS_PARALLELISM": "false"}
    command = [*["serve", "--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port"], str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", SERVE, *command], env=settings, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 180
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                break
            time.sleep(0.5)
        else:
            pytest.fail((folder / "log").read_text(errors="replace")[-2000:])
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def test_a_served_model_says_what_it_says_in_process(base: str, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (200, 30, 30)).save(tmp_path / "red.png")
    picture = Media(str(tmp_path / "red.png"))
    asked = {
        "reader-s": [
            Request((user(t),), Generate(max_new_tokens=12)) for t in ("query: red kettle", "Is it red? yes no")
        ],
        "captioner": [Request((user(picture, "\nDescribe the product."),), Generate(max_new_tokens=24))],
    }
    for name, requests in asked.items():
        remote, local = open_model(f"{base}#{TINY / name}"), open_model(f"tiny:{name}")
        try:
            served, own = remote.answer(requests), local.answer(requests)
        finally:
            remote.close()
            local.close()
        assert [r.failure for r in served] == [None] * len(requests)
        assert [r.text for r in served] == [r.text for r in own]
        assert all(r.tokens_in and r.tokens_out for r in served)


def test_options_are_ranked_without_log_probabilities(base: str) -> None:
    model = open_model(f"{base}#{TINY / 'judge-a'}")
    try:
        (reply,) = model.answer([Request((user("Does the caption help? yes or no"),), Rank(("yes", "no")))])
    finally:
        model.close()
    assert reply.kept
    assert reply.text in ("yes", "no") or "names none of the options" in str(reply.failure)


def test_a_whole_recipe_is_answered_by_the_server(base: str, tmp_path: Path) -> None:
    path = tmp_path / "served.yaml"
    path.write_text(RECIPE.format(base=base, tiny=TINY), encoding="utf-8")
    out = tmp_path / "out"
    assert main(["run", str(path), "--out", str(out)]) == 0
    captions, ballots = read_rows(out / "rows" / "captions", Caption), read_rows(out / "rows" / "ballots", Ballot)
    predictions = read_rows(out / "rows" / "predictions", Prediction)
    assert len(captions) == 6
    assert all(row.text for row in captions)
    assert ballots
    assert {row.verdict for row in ballots} <= {"yes", "no"}
    assert len(predictions) == 6 * 3
    assert all((row.answer is None) == (row.reason is not None) for row in predictions)
    assert sum(row.answer is not None for row in predictions) > 9
