"""A real process, really killed in the middle of a stage, and the same command given again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lookwise.runs.replies import Mark, ReplyStore

SCRIPT = """
import sys, time
from dataclasses import dataclass
from pathlib import Path

from lookwise.inference import Ask, ModelSource, run_stage
from lookwise.message import user
from lookwise.model import Generate, Request
from lookwise.models.scripted import ScriptedModel, echo
from lookwise.rows import Caption
from lookwise.runs.ledger import Ledger
from lookwise.runs.lock import RunLock
from lookwise.runs.replies import ReplyStore
from lookwise.runs.store import write_rows
from lookwise.sample import Sample

folder, pause = Path(sys.argv[1]), float(sys.argv[2])


class Slow(ScriptedModel):
    def answer(self, batch):
        time.sleep(pause)
        with (folder / "sent.log").open("a") as log:
            log.writelines(request.conversation[0].text + "\\n" for request in batch)
        return super().answer(batch)


@dataclass(frozen=True)
class Twice:
    name: str = "captions"

    def ask(self, sample, rows):
        said = rows[-1].text if rows else sample.field("q")
        return [Ask("m", Request((user(f"{said} {len(rows)}"),), Generate()))] if len(rows) < 2 else []

    def read(self, sample, answered):
        return [Caption(sample.id, "", "", 0, a.reply.text, a.fingerprint, a.reply.failure) for a in answered]


with RunLock(folder), ReplyStore(folder / "replies.sqlite") as replies:
    samples = [Sample(str(i), "b", "t", "test", (("q", f"{'w ' * (i % 5)}{i % 40}"),)) for i in range(50)]
    source = ModelSource("m", lambda: Slow("slow", echo, batch_tokens=12), lambda: "scripted:slow")
    rows = run_stage(
        Twice(), samples, models={"m": source}, replies=replies, ledger=Ledger(folder / "calls.json", "id"), window=16
    )
    write_rows(folder / "rows", Caption, [row for s in samples for row in rows[s.id]])
"""


def command(folder: Path, pause: float) -> list[str]:
    return [sys.executable, "-c", SCRIPT, str(folder), str(pause)]


def calls(folder: Path) -> dict[str, Any]:
    counts = json.loads((folder / "calls.json").read_text())["captions"]["m"]
    del counts["seconds"]
    return dict(counts)


def committed(folder: Path) -> int:
    with ReplyStore(folder / "replies.sqlite") as store:
        return len(list(store.sent(Mark("id", "captions", "m"))))


def kill_after(folder: Path, count: int) -> int:
    """Start the run, kill it once at least `count` replies are committed, and return how many then are."""
    process = subprocess.Popen(command(folder, 0.01))
    deadline = time.monotonic() + 30
    while not (folder / "replies.sqlite").exists() or committed(folder) < count:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return committed(folder)


@pytest.mark.parametrize("points", [(1,), (9, 30, 62)])
def test_a_killed_process_goes_on_where_it_stopped(tmp_path: Path, points: tuple[int, ...]) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole, 0), check=True)
    for point in points:
        stored = kill_after(killed, point)
        assert not (killed / "rows").exists()
    sent_so_far = len((killed / "sent.log").read_text().splitlines())
    assert stored <= sent_so_far
    subprocess.run(command(killed, 0), check=True)

    for name in ("manifest.json", "part-00000.parquet"):
        assert (killed / "rows" / name).read_bytes() == (whole / "rows" / name).read_bytes()
    assert calls(killed) == calls(whole)
    assert calls(whole) == {**calls(whole), "asked": 100, "merged": 20, "stored": 0, "sent": 80, "failed": 0}
    asked = (whole / "sent.log").read_text().splitlines()
    again = (killed / "sent.log").read_text().splitlines()
    assert sorted(set(again)) == sorted(asked)
    assert len(again) - sent_so_far == len(asked) - stored  # nothing that was committed is asked again
