"""Documents tell the truth: their commands parse, their --help blocks are the program's, their links lead somewhere."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
from pathlib import Path

import help_blocks
import pytest

ROOT = Path(__file__).parents[2]
CLI = ROOT / "src" / "lookwise" / "cli.py"
DOCUMENTS = help_blocks.documents()
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

# Put together from pieces, so that this file does not find itself.
HOSTS = ("py" + "pi.org", "python" + "hosted.org", "download." + "pytorch.org", "ana" + "conda.org", "conda" + "-forge")
PLACES = (
    "/wo" + "rk/",
    "/ro" + "ot/",
    "/op" + "t/",
    "/ho" + "me/",
    "/Use" + "rs/",
    "site-" + "packages/",
    "C:" + "\\Users",
)
UNSPOKEN = re.compile("|".join(re.escape(word) for word in (*HOSTS, *PLACES)))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked_texts() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    binary = {".safetensors", ".png", ".jpg", ".parquet", ".woff2"}
    paths = (ROOT / item for item in listed.stdout.split("\0") if item)
    return [p for p in paths if p.is_file() and p.suffix not in binary]


def needs_cli() -> None:
    if not CLI.is_file():
        pytest.skip("the command line is not written yet")


def parse(line: str) -> str | None:
    """Return argparse's complaint about a command line, or None when it parses."""
    from lookwise.cli import parser

    words = shlex.split(line, comments=True)
    complaint = io.StringIO()
    with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser().parse_args(words[1:])
        except SystemExit as stop:
            if stop.code not in (0, None):
                return complaint.getvalue().strip().splitlines()[-1]
    return None


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_commands_parse(path: Path) -> None:
    lines = help_blocks.commands_in(path.read_text(encoding="utf-8"), "lookwise")
    if lines:
        needs_cli()
    for line in lines:
        complaint = parse(line)
        assert complaint is None, f"{name(path)}: `{line}`: {complaint}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_recipes_named_in_commands_exist(path: Path) -> None:
    for line in help_blocks.commands_in(path.read_text(encoding="utf-8"), "lookwise"):
        words = shlex.split(line, comments=True)
        if words[1:2] == ["run"] and len(words) > 2 and re.fullmatch(r"[a-z0-9-]+", words[2]):
            from lookwise.config import shipped_names

            assert words[2] in shipped_names(), f"{name(path)}: `{line}`: no such recipe"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_make_targets_exist(path: Path) -> None:
    for line in help_blocks.commands_in(path.read_text(encoding="utf-8"), "make"):
        for word in shlex.split(line, comments=True)[1:]:
            assert "=" in word or word.startswith("-") or word in TARGETS, f"{name(path)}: `{line}`: no target {word!r}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_help_blocks_are_the_programs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if "<!-- help:" in text:
        needs_cli()
        shown, printed = " ".join(text.split()), " ".join(help_blocks.rewritten(text).split())
        assert shown == printed, f"{name(path)}: a --help block is stale; run `make docs`"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s#]+)", path.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{name(path)}: the link to {target} leads nowhere"


def test_readme_shows_help_of_the_main_commands() -> None:
    readme = ROOT / "README.md"
    if not readme.is_file():
        pytest.skip("the README is not written yet")
    assert help_blocks.commands_in(readme.read_text(encoding="utf-8"), "make"), "README.md shows no make command"
    assert help_blocks.commands_in(readme.read_text(encoding="utf-8"), "lookwise"), (
        "README.md shows no lookwise command"
    )


def test_no_package_host_or_machine_path() -> None:
    for path in tracked_texts():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            found = UNSPOKEN.search(line)
            assert found is None, f"{name(path)}:{number} names {found[0]!r}; no package host, no machine's path"


def test_design_notes_are_a_page() -> None:
    for path in sorted((ROOT / "docs" / "design").glob("*.md")):
        words = len(path.read_text(encoding="utf-8").split())
        assert words <= 600, f"{name(path)} has {words} words; a design note is at most a page (600)"


def test_reading_of_documents() -> None:
    text = "```sh\n$ lookwise run a \\\n  --limit 3  # why\nlookwise\nmake demo\n```\n```python\nlookwise no\n```\n"
    text += "<!-- help: lookwise run -->\n```\nlookwise not this\n```\n<!-- /help -->\n"
    assert [" ".join(c.split()) for c in help_blocks.commands_in(text, "lookwise")] == [
        "lookwise run a --limit 3 # why",
        "lookwise",
    ]
    assert help_blocks.commands_in(text, "make") == ["make demo"]


def test_wrong_commands_are_caught() -> None:
    needs_cli()
    assert parse("lookwise demo --quick  # fine") is None
    assert parse("lookwise demo --quikc") is not None
    assert parse("lookwise dmeo") is not None
    with pytest.raises(ValueError, match="no such command"):
        help_blocks.help_text("lookwise nothing")
    stale = "<!-- help: lookwise demo -->\n```text\nold words\n```\n<!-- /help -->"
    assert "--quick" in help_blocks.rewritten(stale)
    assert "old words" not in help_blocks.rewritten(stale)
