"""Starting is cheap: `import lookwise` and every --help load neither torch nor transformers, and are quick.

What is timed is the processor's time, not the clock's: the machine that tests run on has other things to do.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

CLI = Path(__file__).parents[2] / "src" / "lookwise" / "cli.py"
HEAVY = ("torch", "transformers", "peft", "accelerate", "sklearn", "pyarrow", "numpy", "PIL", "rich", "yaml")

PROBE = """
import sys
import lookwise
if sys.argv[1:]:
    from lookwise import cli
    try:
        cli.main(sys.argv[1:])
    except SystemExit as stop:
        assert not stop.code, stop.code
sys.stderr.write(" ".join(sorted({name.split(".")[0] for name in sys.modules})))
"""


def loaded(*arguments: str) -> tuple[set[str], float]:
    """Return the top-level modules that a command loads, and the processor seconds it takes (best of two)."""
    seconds = []
    for _ in range(2):
        before = spent()
        done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
        seconds.append(spent() - before)
    return set(done.stderr.split()), min(seconds)


def spent() -> float:
    """Return the processor seconds of all finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def commands() -> list[tuple[str, ...]]:
    if not CLI.is_file():
        return []
    top = ("demo", "run", "predict", "score", "report", "compare", "tasks", "recipes", "models", "doctor")
    return [("--help",), *((one, "--help") for one in top), ("data", "check", "--help"), ("prompts", "show", "--help")]


def test_import_is_light() -> None:
    modules, _ = loaded()
    assert not modules & set(HEAVY)
    assert "lookwise" in modules


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_help_is_light_and_quick(arguments: tuple[str, ...]) -> None:
    modules, seconds = loaded(*arguments)
    assert not modules & set(HEAVY), f"lookwise {' '.join(arguments)} loads {sorted(modules & set(HEAVY))}"
    assert seconds < 0.3, f"lookwise {' '.join(arguments)} takes {seconds:.2f} s of processor time, more than 0.3 s"
