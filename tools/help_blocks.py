"""Keep the --help blocks of README.md and docs/ equal to what the program prints.

A block opens with `<!-- help: lookwise run -->`, closes with `<!-- /help -->`, and holds one fenced text in between.
In: Markdown files.  Out: the blocks whose text differs; with `--write` they are rewritten in place (`make docs`).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import sys
from pathlib import Path
from unittest import mock

__all__ = ["commands_in", "documents", "help_text", "rewritten"]

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"(<!-- help: (?P<command>[^\n]*?) -->\n)(?P<body>.*?)(<!-- /help -->)", re.DOTALL)
_FENCE = re.compile(r"^```(?P<language>[^\n`]*)\n(?P<body>.*?)^```", re.DOTALL | re.MULTILINE)


def documents() -> list[Path]:
    """Return the Markdown files that may show commands."""
    return [
        p for p in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))) if p.is_file()
    ]


def help_text(command: str) -> str:
    """Return what `command --help` prints, 100 columns wide and without colour."""
    from lookwise.cli import parser

    words = command.split()
    if words[:1] != ["lookwise"]:
        raise ValueError(f"help block {command!r}: expected a command that begins with lookwise")
    printed = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": "100", "NO_COLOR": "1"}), contextlib.redirect_stdout(printed):
        try:
            parser().parse_args([*words[1:], "--help"])
        except SystemExit as stop:
            if stop.code not in (0, None):
                raise ValueError(f"help block {command!r}: no such command") from stop
    return printed.getvalue()


def rewritten(text: str) -> str:
    """Return a document with every help block replaced by the program's own words."""

    def fresh(block: re.Match[str]) -> str:
        return f"{block[1]}```text\n{help_text(block['command']).rstrip()}\n```\n{block[4]}"

    return _BLOCK.sub(fresh, text)


def commands_in(text: str, program: str) -> list[str]:
    """Return the lines of a document's fenced shell blocks that call `program`, continued lines joined."""
    found: list[str] = []
    for fence in _FENCE.finditer(_BLOCK.sub("", text)):
        if fence["language"].strip() not in ("", "sh", "bash", "shell", "console"):
            continue
        for line in fence["body"].replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
            if line == program or line.startswith(program + " "):
                found.append(line)
    return found


def main() -> int:
    """Report documents whose blocks are stale, or rewrite them; status 1 when any was stale and none was written."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--write", action="store_true", help="rewrite the blocks in place")
    write = options.parse_args().write
    stale = [p for p in documents() if rewritten(p.read_text(encoding="utf-8")) != p.read_text(encoding="utf-8")]
    for path in stale:
        sys.stdout.write(f"{'rewrote' if write else 'stale'}: {path.relative_to(ROOT)}\n")
        if write:
            path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main())
