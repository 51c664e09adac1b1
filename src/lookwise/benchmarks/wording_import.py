"""Published programs' own wording, turned into a prompt folder for `--prompts`, from a file of the user's checkout.

In: CASLIE's template JSON (how a reader is asked), or a Python file whose functions branch on `task == "..."` (how
captions are asked for and judged).  Out: prompts by use and task, and notes on what was not taken.  Python is read as a
syntax tree and never executed.  What the words say is not changed, slips included; only where values go becomes a hole.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from lookwise.benchmarks.mmecinstruct import ACRONYMS, MMECINSTRUCT
from lookwise.benchmarks.rendering import REPLY
from lookwise.errors import DataError
from lookwise.task import PromptUse

__all__ = ["Imported", "import_file"]

_LARGEST = 2**20
_TURN = re.compile(r"^\s*\[INST\] ?(?P<asked>.*)\[/INST\](?P<begun>.*)$", re.DOTALL)
_HOLES = {"{instruction}": "{instruction}", "{input}": "{published input}", "{options}": "{published options}"}
_TITLED = re.compile(r"\{product [12]\}|product [12]")


@dataclass(frozen=True, slots=True)
class Imported:
    """Prompts by (use, task's short name), and notes for the user."""

    prompts: Mapping[tuple[PromptUse, str], str]
    notes: tuple[str, ...]


def import_file(path: Path) -> Imported:
    """Read a file of a published program; DataError says what was expected of it."""
    try:
        if path.stat().st_size > _LARGEST:
            raise DataError(f"{path} has more than {_LARGEST:,} bytes; expected a template's JSON or a Python file")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text ({error}); give a template's JSON or a Python file") from error
    return _of_python(path, text) if path.suffix == ".py" else _of_json(path, text)


# ----------------------------------------------------------------------------------------------- a template's JSON


def _of_json(path: Path, text: str) -> Imported:
    """Return one answer prompt for every task: the template, which the row's own instruction fills."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); expected CASLIE's templates/*.json, or a .py file") from error
    template = found.get("prompt_input") if isinstance(found, dict) else None
    if not isinstance(template, str) or "{instruction}" not in template or "{input}" not in template:
        raise DataError(f"{path} has no prompt_input with {{instruction}} and {{input}}; expected CASLIE's template")
    asked, begun = _turns(template)
    for hole, ours in _HOLES.items():
        asked = asked.replace(_escaped(hole), ours)
    prompt = f"{asked}{REPLY}{begun}" if begun else asked
    notes = ["options of a task that has none are written as [], as the published program does"]
    if isinstance(found.get("prompt_no_options"), str):
        notes.append("prompt_no_options is not used: the published program never uses it on MMECInstruct either")
    return Imported({("answer", task.short): prompt for task in MMECINSTRUCT.tasks}, tuple(notes))


def _turns(template: str) -> tuple[str, str]:
    """Return the question and how the reply begins; a turn's own marks are left to the model's chat template."""
    match = _TURN.match(template)
    if match is None:
        return _escaped(template), ""
    return _escaped(match["asked"]), match["begun"]


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


# -------------------------------------------------------------------------------------------------- a Python file


class _Unclear(Exception):
    """An expression of which nobody can say what it stands for."""


def _of_python(path: Path, text: str) -> Imported:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{path} is not Python ({error}); give the program's template.py") from error
    prompts: dict[tuple[PromptUse, str], str] = {}
    notes: list[str] = []
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        use = _use_of(function.name)
        for task, body in _branches(function):
            try:
                prompts[use, task] = _prompt(body)
            except _Unclear as reason:
                notes.append(f"{function.name}, {task}: not taken, {reason}")
    if not prompts:
        why = f"; {notes[0]}" if notes else ""
        raise DataError(f"{path} has no function with prompts under `if task == ...`{why}; give CASLIE's template.py")
    if any(use == "caption" for use, _ in prompts):
        notes.append("what the program puts before a caption prompt stands in another file; add it to caption/*.txt")
    return Imported(prompts, tuple(notes))


def _use_of(name: str) -> PromptUse:
    """Return what a function's prompts are for: pred_prompt judges a caption, caption_prompt asks for one."""
    return "caption" if "caption" in name and "pred" not in name else "caption_quality"


def _branches(function: ast.FunctionDef) -> Iterator[tuple[str, Sequence[ast.stmt]]]:
    """Yield the task and the statements of every `if task == "..."` of a function."""
    for node in ast.walk(function):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and len(node.test.comparators) == 1:
            named = node.test.comparators[0]
            word = named.value if isinstance(named, ast.Constant) else None
            task = ACRONYMS.get(word, word) if isinstance(word, str) else None
            if task in {one.short for one in MMECINSTRUCT.tasks}:
                yield str(task), node.body


def _prompt(body: Sequence[ast.stmt]) -> str:
    """Return the prompt of a branch: its one text, or the texts of two products as one."""
    found = list(dict.fromkeys(_texts(body)))
    if len(found) == 1:
        return found[0]
    if len(found) == 2:
        return _united(*found)
    raise _Unclear(f"{len(found)} different texts")


def _texts(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield the texts that a branch builds, outermost first, their values as holes."""
    nodes: list[ast.AST] = list(body)
    while nodes:
        node = nodes.pop(0)
        if isinstance(node, ast.JoinedStr) or _is_format(node):
            yield _text(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield _escaped(node.value)
        elif not isinstance(node, ast.Subscript):
            nodes[:0] = ast.iter_child_nodes(node)


def _is_format(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "format"
        and isinstance(node.func.value, ast.Constant)
    )


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_piece(part) for part in node.values)
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Attribute)
    assert isinstance(node.func.value, ast.Constant)
    try:
        pieces = list(Formatter().parse(str(node.func.value.value)))
    except ValueError:
        pieces = [("", "?", "", None)]
    named = [field for _, field, _, _ in pieces if field is not None]
    if any(named) or any(spec or turn for _, _, spec, turn in pieces) or len(named) != len(node.args) or node.keywords:
        raise _Unclear(f"line {node.lineno}: a format with other than plain {{}}")
    holes = iter(f"{{{_hole(argument)}}}" for argument in node.args)
    return "".join(_escaped(text) + (next(holes) if field is not None else "") for text, field, _, _ in pieces)


def _piece(part: ast.expr) -> str:
    if isinstance(part, ast.FormattedValue):
        return f"{{{_hole(part.value)}}}"
    return _escaped(str(part.value)) if isinstance(part, ast.Constant) else ""


def _hole(value: ast.expr) -> str:
    """Return the name of what an expression stands for: a field, the caption, or the title of what is pictured."""
    if isinstance(value, ast.Subscript):
        key = value.slice
        if isinstance(key, ast.JoinedStr) and all(isinstance(part, ast.Constant) for part in key.values):
            return "".join(str(part.value) for part in key.values if isinstance(part, ast.Constant))
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return key.value
        if isinstance(value.value, ast.Name) and "cap" in value.value.id:
            return "caption"
        if isinstance(value.value, ast.Call):  # inp[i].split(": ", 1)[-1]
            return "this title"
    raise _Unclear(f"line {value.lineno}: {ast.unparse(value)[:60]!r} names no field")


def _united(first: str, second: str) -> str:
    """Return the prompts of product 1 and product 2 as one: what differs between them is told by the slot."""
    literal = _TITLED.split(first)
    if literal != _TITLED.split(second):
        raise _Unclear("two texts that differ in more than which product they name")
    named = [_named(a, b) for a, b in zip(_TITLED.findall(first), _TITLED.findall(second), strict=True)]
    return "".join(piece + name for piece, name in zip(literal, [*named, ""], strict=True))


def _named(one: str, two: str) -> str:
    """Return what stands in both texts at a place: the same words, or those of this product and of the other."""
    if one == two:
        return one
    bare, hole = one.strip("{}"), one.startswith("{")
    if bare == "product 1":
        return "{this title}" if hole else "{slot}"
    return "{other title}" if hole else "{other slot}"
