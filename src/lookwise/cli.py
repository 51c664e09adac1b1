"""The command line: arguments and nothing else.  Every command imports what it needs when it is called.

Exit status: 0 done, 1 failed with a one-line error, 2 wrong usage, 130 interrupted and resumable.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lookwise import __version__
from lookwise.errors import LookwiseError

__all__ = ["main", "parser"]

Command = Callable[[argparse.Namespace], int]


def parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    top = argparse.ArgumentParser(
        prog="lookwise",
        description="For this task, is this picture worth looking at, and does using it pay?",
        epilog="Start with: lookwise demo",
    )
    top.add_argument("--version", action="version", version=f"lookwise {__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_demo, _run, _predict, _gate, _score, _report, _compare, _lists, _prompts, _data, _doctor):
        add(commands)
    return top


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def _demo(commands: Commands) -> None:
    one = commands.add_parser("demo", help="the main job on the generated shop with the bundled models, offline")
    one.add_argument("--quick", action="store_true", help="one task, two policies, at most a minute")
    one.add_argument("--out", metavar="DIR", help="run folder (default: runs/demo, or runs/demo-quick)")
    one.set_defaults(call=_call("demo"))


def _run(commands: Commands) -> None:
    one = commands.add_parser("run", help="one experiment; run again after an interruption, it goes on")
    one.add_argument("recipe", metavar="RECIPE", help="a recipe's path, the name of a shipped one, or a table's YAML")
    one.add_argument("--out", metavar="DIR", help="run folder (default: runs/<recipe name>)")
    one.add_argument("--limit", type=_positive, metavar="N", help="at most N samples per task and split")
    one.add_argument("--set", action="append", default=[], metavar="key=value", help="override a recipe's value")
    one.add_argument("--prompts", metavar="DIR", help="a folder whose prompt files replace ours")
    one.add_argument("--all-judges", action="store_true", help="every judge votes on every caption")
    steps = one.add_mutually_exclusive_group()
    steps.add_argument("--until", metavar="STAGE", help="stop after this stage")
    steps.add_argument("--only", metavar="STAGE", help="run this stage alone")
    one.add_argument("--dry-run", action="store_true", help="print stages, models and requests, and do nothing")
    one.set_defaults(call=_call("run"))


def _predict(commands: Commands) -> None:
    one = commands.add_parser("predict", help="answers for rows without gold, by a finished run's reader and policy")
    one.add_argument("run", metavar="RUN", help="a finished run's folder, or a gate's (lookwise gate)")
    one.add_argument("table", metavar="TABLE", help="CSV, JSONL or Parquet with the columns of the run's table")
    one.add_argument("--policy", metavar="POLICY", help="default: the policy that scored best on validation data")
    tuned_on = (
        "the reader to answer: the policy it was tuned on, or zero-shot (default: the policy's own, or the nearest)"
    )
    one.add_argument("--tuned-on", metavar="POLICY", help=tuned_on)
    one.add_argument("--prompts", metavar="DIR", help="the run's folder of prompt files, if it is no more where it was")
    one.add_argument("--remote-code", action="store_true", help="let a gate's verifier run the Python it came with")
    one.add_argument("--out", metavar="FILE", help="write CSV, JSONL or Parquet here instead of printing CSV")
    one.set_defaults(call=_call("predict"))


def _gate(commands: Commands) -> None:
    one = commands.add_parser("gate", help="take a run's verifier and its threshold home, in a folder of their own")
    one.add_argument("run", metavar="RUN", help="a finished run's folder, with a policy visuals:predicted")
    one.add_argument("dir", metavar="DIR", help="a new folder: gate.json, card.md and the model")
    price = "price of a picture in right answers, for the threshold (default: the run's own threshold)"
    one.add_argument("--price", type=float, metavar="P", help=price)
    one.add_argument("--adapter", action="store_true", help="the adapter alone, for use on the base that it names")
    one.add_argument("--prompts", metavar="DIR", help="the folder of prompt files, if the run was given one")
    one.add_argument("--json", action="store_true", help="print gate.json")
    one.set_defaults(call=_call("gate"))


def _score(commands: Commands) -> None:
    one = commands.add_parser("score", help="score predictions that another program made")
    one.add_argument("file", metavar="FILE", help="predictions, or a folder of them")
    one.add_argument("--benchmark", required=True, metavar="B", help="mmecinstruct, ecommmmu, mmla or mmie")
    one.add_argument("--task", metavar="T", help="the task (its published or Lookwise name)")
    one.add_argument("--gold", metavar="FILE", help="JSON list of gold outputs, or the dataset file")
    one.add_argument("--split", default="test", metavar="S", help="split of the dataset file (default: test)")
    one.add_argument("--rule", choices=("robust", "published"), default="robust", help="how replies are read")
    one.add_argument("--csv", metavar="OUT", help="with a folder: write one row per file here")
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(call=_call("score"))


def _report(commands: Commands) -> None:
    one = commands.add_parser("report", help="print the tables of finished runs, and write a page")
    one.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    one.add_argument("--html", metavar="FILE", help="write the page here (one run only)")
    one.add_argument("--json", action="store_true", help="print the score records")
    one.set_defaults(call=_call("report"))


def _compare(commands: Commands) -> None:
    one = commands.add_parser("compare", help="two runs on the samples that they share, paired")
    one.add_argument("run_a", metavar="RUN_A")
    one.add_argument("run_b", metavar="RUN_B")
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(call=_call("compare"))


def _lists(commands: Commands) -> None:
    for name, text in (
        ("tasks", "the tasks there are"),
        ("recipes", "the recipes that come with Lookwise"),
        ("models", "the bundled models, and how to name others"),
    ):
        one = commands.add_parser(name, help=text)
        one.add_argument("--json", action="store_true", help="print JSON")
        one.set_defaults(call=_call(name))


def _prompts(commands: Commands) -> None:
    one = commands.add_parser("prompts", help="show a prompt, or import a published program's")
    verbs = one.add_subparsers(dest="verb", metavar="VERB", required=True)
    show = verbs.add_parser("show", help="print a task's prompt")
    show.add_argument("task", metavar="TASK")
    show.add_argument("use", metavar="USE", help="caption, caption_plain, caption_quality or answer")
    show.add_argument("--set", dest="prompt_set", default="mmecinstruct", metavar="NAME", help="prompt set")
    show.add_argument("--prompts", metavar="DIR", help="a folder whose prompt files replace ours")
    show.set_defaults(call=_call("prompts_show"))
    imports = verbs.add_parser("import", help="turn a published program's own wording into a folder for --prompts")
    imports.add_argument(
        "file", metavar="FILE", help="from your checkout: a template's JSON, or a Python file (not run)"
    )
    imports.add_argument("dir", metavar="DIR", help="the prompt folder to fill")
    imports.set_defaults(call=_call("prompts_import"))


def _data(commands: Commands) -> None:
    one = commands.add_parser("data", help="make, fetch or check a dataset")
    verbs = one.add_subparsers(dest="verb", metavar="VERB", required=True)
    make = verbs.add_parser("make", help="generate a dataset")
    make.add_argument("name", choices=("bazaar",), metavar="NAME", help="bazaar")
    make.add_argument("dir", metavar="DIR", help="where to write it")
    make.add_argument("--seed", type=int, default=7, metavar="S", help="default: 7")
    make.add_argument("--samples", type=_positive, default=1000, metavar="N", help="per task and split (default: 1000)")
    layouts = ("mmecinstruct", "ecommmmu")
    make.add_argument(
        "--layout",
        choices=layouts,
        default=layouts[0],
        metavar="L",
        help="mmecinstruct (default) or ecommmmu",
    )
    make.set_defaults(call=_call("data_make"))
    fetch = verbs.add_parser("fetch", help="get a published dataset: from the hub, or out of an archive")
    fetch.add_argument("name", metavar="NAME", help="mmecinstruct, ecommmmu or mmla")
    fetch.add_argument("dir", metavar="DIR", help="where to put it")
    fetch.add_argument("--archive", metavar="FILE", help="a tar, a zip or the data file itself, instead of the hub")
    fetch.add_argument("--only", action="append", default=[], metavar="PATTERN", help="only files of such names")
    fetch.set_defaults(call=_call("data_fetch"))
    check = verbs.add_parser("check", help="read a dataset or table and say what is wrong with it")
    check.add_argument("file", metavar="FILE", help="MMECInstruct's or EcomMMMU's rows, or a table's YAML")
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(call=_call("data_check"))


def _doctor(commands: Commands) -> None:
    one = commands.add_parser("doctor", help="what is installed, and what a model needs")
    one.add_argument("model", nargs="?", metavar="MODEL", help="a model to look at, e.g. tiny:reader-s")
    one.add_argument(
        "--dtype", default="auto", help="as recipes have it: auto, float32, bfloat16, float16, int8 or nf4"
    )
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(call=_call("doctor"))


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a positive number, found {text}")
    return value


_CODE = {
    "demo": "run", "run": "run", "predict": "predict", "gate": "gate", "score": "score", "report": "report",
    "compare": "report", "tasks": "lists", "recipes": "lists", "models": "lists", "prompts_show": "lists",
    "prompts_import": "prompts_import",
    "data_make": "data", "data_check": "data", "data_fetch": "data_fetch", "doctor": "doctor",
}  # fmt: skip
"""Command -> the module of lookwise.commands that has a function of that name."""


def _call(name: str) -> Command:
    """Return a command that imports its code only when it is called."""

    def call(arguments: argparse.Namespace) -> int:
        import importlib

        command: Command = getattr(importlib.import_module(f"lookwise.commands.{_CODE[name]}"), name)
        return command(arguments)

    return call


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.call(arguments))
    except LookwiseError as error:
        if arguments.debug:
            raise
        sys.stderr.write(f"lookwise: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\nlookwise: interrupted; the same command goes on from here\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if arguments.debug or error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"lookwise: {where}{error.strerror}; give a place that can be read and written\n")
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        sys.stderr.write(f"lookwise: unexpected {type(error).__name__}: {error} (--debug shows where)\n")
        return 1
