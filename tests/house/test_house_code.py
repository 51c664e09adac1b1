"""House rules that no linter knows: sizes, true `__all__`, docstrings that say something, and who may name torch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "lookwise"
SOURCES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted(p for folder in ("bench", "tools") for p in (ROOT / folder).rglob("*.py"))
HEAVY = {"torch", "transformers", "peft", "accelerate"}
HEAVY_ROOMS = ("models/hf", "models/heads", "models/tiny", "training/")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(module: ast.Module) -> set[str]:
    """Return the top-level packages that a module imports anywhere, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def top_names(module: ast.Module) -> set[str]:
    """Return every name that a module binds at its top level, in branches of `if` and `try` too."""
    found: set[str] = set()

    def visit(body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found.update(n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
            elif isinstance(node, ast.If | ast.Try):
                visit(node.body)
                visit(node.orelse)

    visit(module.body)
    return found


def declared(module: ast.Module) -> list[str] | None:
    """Return the literal `__all__`, or None when there is none."""
    for node in module.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            value = ast.literal_eval(node.value)
            return [str(item) for item in value]
    return None


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=name)
def test_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{name(path)} has {lines} lines; a file has one concern and at most 400"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= 50, f"{name(path)}:{node.lineno} {node.name} has {lines} lines; at most 50"


@pytest.mark.parametrize("path", [p for p in SOURCES if not p.name.startswith("_")], ids=name)
def test_all_is_there_and_true(path: Path) -> None:
    module = tree(path)
    public = declared(module)
    assert public is not None, f"{name(path)} has no __all__"
    missing = set(public) - top_names(module)
    assert not missing, f"{name(path)}: __all__ names {sorted(missing)}, which the file does not define"
    assert len(set(public)) == len(public), f"{name(path)}: __all__ names something twice"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_torch_is_named_only_where_models_are(path: Path) -> None:
    room = path.relative_to(PACKAGE).as_posix()
    if not room.startswith(HEAVY_ROOMS):
        heavy = HEAVY & imported(tree(path))
        assert not heavy, f"{name(path)} imports {sorted(heavy)}; only models/hf*, models/tiny and training may"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_error_is_swallowed_in_silence(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ExceptHandler):
            blind = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            silent = all(isinstance(statement, ast.Pass) for statement in node.body)
            assert not (blind and silent), f"{name(path)}:{node.lineno} swallows every error"


def test_there_is_something_to_check() -> None:
    assert len(SOURCES) > 20
