"""One process per run folder: a second one is refused by name.

In: a run folder.  Out: `with RunLock(folder):` holds it.  The lock is the kernel's (flock), so it ends with the
process, `kill -9` included; the file `.lock` says who holds it and is otherwise meaningless.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

from lookwise.errors import RunError

__all__ = ["RunLock"]


class RunLock:
    """Holds a run folder (made when missing) while entered; RunError names the process that holds it already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: TextIO | None = None

    def __enter__(self) -> RunLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = (self.folder / ".lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            with file:
                file.seek(0)
                holder = _holder(file.read())
            cure = "wait until it ends, or choose another folder with --out"
            raise RunError(f"{self.folder} is in use by {holder}; {cure}") from error
        file.truncate(0)
        now = time.strftime("%Y-%m-%d %H:%M:%S %z")
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}))
        file.flush()
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with self._file as file:
                file.truncate(0)
                # Unlocked by name, not by closing: a forked child may still hold a copy of the open file.
                fcntl.flock(file, fcntl.LOCK_UN)
            self._file = None


def _holder(text: str) -> str:
    try:
        who = json.loads(text)
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (ValueError, KeyError, TypeError):  # it has just taken the lock, and not signed yet
        return "another process"
