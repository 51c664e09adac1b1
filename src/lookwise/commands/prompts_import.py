"""`lookwise prompts import`: a published program's own wording as a folder for `--prompts`."""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from pathlib import Path

from lookwise.commands.printing import say

__all__ = ["prompts_import"]


def prompts_import(arguments: argparse.Namespace) -> int:
    """Read a file of the user's checkout without running it; write the prompts, and say what was not taken."""
    from lookwise.benchmarks.wording import write_folder
    from lookwise.benchmarks.wording_import import import_file

    path, folder = Path(arguments.file), Path(arguments.dir)
    found = import_file(path)
    source = f"{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    write_folder(folder, source, found.prompts)
    for use, count in Counter(use for use, _ in found.prompts).items():
        say(f"{count:>3} prompts  {folder / use}/")
    for note in found.notes:
        say(f"note: {note}")
    say(f"next: lookwise run RECIPE --prompts {folder}   (its report then says whose words these are)")
    return 0
