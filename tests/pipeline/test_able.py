"""What a recipe asks of its models, held against their families before anything loads."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from lookwise.errors import ModelError, RecipeError
from lookwise.models.open import Needs
from lookwise.pipeline.able import check_able, needs_of_model
from lookwise.recipe import Recipe

TEXT, SEES, ONE, ASKED_ONLY = "llama", "llava", "blip-2", "qwen2_vl"


@pytest.fixture
def spec(tmp_path: Path) -> Any:
    """Return the spec of a folder whose configuration says that it is of a family; it holds no weights to load."""

    def make(family: str) -> str:
        folder = tmp_path / family
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"model_type": family}))
        (folder / "model.safetensors").write_bytes(b"")
        return f"hf:{folder}"

    return make


@pytest.mark.parametrize(
    ("says", "families", "settings"),
    [
        ("captioner: .* reads text only", {"captioner": TEXT}, {}),
        ("judge a: .* takes exactly one picture", {"judge": ONE}, {}),
        ("reader: .* reads text only", {"reader": TEXT}, {"policies": ("none", "visuals:always")}),
        ("reader: .* takes exactly one picture .* none", {"reader": ONE}, {"policies": ("none",)}),
        ("reader: .* takes exactly one picture .* none", {"reader": ONE}, {"policies": ("visuals:predicted",)}),
        ("assessor: .* reads text only", {"assessor": TEXT}, {"policies": ("none", "visuals:oracle/measured")}),
        ("assessor: .* exactly one picture", {"assessor": ONE}, {"policies": ("none", "visuals:oracle/measured")}),
        ("verifier: .* reads text only", {"verifier": TEXT}, {"policies": ("none", "visuals:predicted")}),
        (
            "reader: .* is asked here but not tuned",
            {"reader": ASKED_ONLY},
            {"policies": ("none",), "tune_on": ("none",), "readers": "tuned"},
        ),
        (
            "verifier: .* is asked here but not tuned",
            {"verifier": ASKED_ONLY},
            {"policies": ("none", "visuals:predicted"), "verifying": "tuned"},
        ),
        ("reader: .* no weights here to tune", {}, {"reader": "scripted:yes", "readers": "tuned"}),
        ("reader: .* reads text only", {}, {"reader": "scratch:reader", "policies": ("visuals:always",)}),
    ],
)
def test_a_model_that_cannot_do_it_is_refused_by_role(
    says: str, families: dict[str, str], settings: dict[str, Any], spec: Any
) -> None:
    with pytest.raises(ModelError, match=says):
        check_able(recipe(families, settings, spec))


@pytest.mark.parametrize(
    ("role", "settings"),
    [
        ("captioner", {}),
        ("judge a", {"judging": "generate"}),
        ("reader", {"answering": "generate"}),
        ("verifier", {"assessing": "generate", "policies": ("none", "visuals:predicted")}),
    ],
)
def test_a_model_that_writes_otherwise_than_is_done_here_is_refused_where_it_writes(
    role: str, settings: dict[str, Any], spec: Any, tmp_path: Path
) -> None:
    families = {"judge" if role == "judge a" else role: "mllama"}
    check_able(recipe(families, settings, spec))
    (tmp_path / "mllama" / "generation_config.json").write_text(json.dumps({"bad_words_ids": [[3]]}))
    with pytest.raises(ModelError, match=f"^{role}: .*sets bad_words_ids, which changes what it writes"):
        check_able(recipe(families, settings, spec))
    if role != "captioner":
        ranking = {key: value for key, value in settings.items() if value != "generate"}
        check_able(recipe(families, ranking, spec))


def test_what_a_model_will_be_asked_is_known_by_its_spec_with_an_adapter_or_without(spec: Any) -> None:
    made = recipe({}, {"policies": ("none",), "answering": "generate", "captioner": "scripted:echo"}, spec)
    assert needs_of_model(made, made.reader) == (Needs(0, 0, writes=True),)
    assert needs_of_model(made, f"{made.reader}+out/adapters/none") == needs_of_model(made, made.reader)
    assert needs_of_model(made, "scripted:echo") == (Needs(1, 1, writes=True),)
    assert needs_of_model(made, "hf:another/model") == ()


def recipe(families: dict[str, str], settings: dict[str, Any], spec: Any) -> Recipe:
    plain = {"readers": "zero-shot", "verifying": "zero-shot", "reader": spec(SEES), "captioner": "scripted:echo"}
    named = {role: spec(family) for role, family in families.items() if role != "judge"}
    judges = MappingProxyType({"a": spec(families["judge"])} if "judge" in families else {})
    return Recipe(name="x", judges=judges, **{**plain, **named, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("families", "settings"),
    [
        ({"reader": TEXT}, {"policies": ("none", "captions:always"), "tune_on": ("none",), "readers": "both"}),
        ({"reader": TEXT, "verifier": TEXT}, {"policies": ("none",)}),
        ({"reader": ONE}, {"policies": ("visuals:always",)}),
        ({"captioner": ONE, "reader": ASKED_ONLY}, {"policies": ("none", "visuals:all", "visuals:predicted")}),
        ({"verifier": ONE}, {"policies": ("none", "visuals:predicted")}),
        ({}, {"policies": ("none", "visuals:predicted"), "tune_on": ("visuals:predicted",), "readers": "tuned"}),
        ({}, {"reader": "http://127.0.0.1:1/v1#any", "policies": ("none", "visuals:always")}),
        ({}, {"captioner": "data", "policies": ("none", "captions:always")}),
    ],
)
def test_a_model_that_can_passes(families: dict[str, str], settings: dict[str, Any], spec: Any) -> None:
    check_able(recipe(families, settings, spec))


def test_how_processes_start_is_checked_too(spec: Any, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="accelerate: no file"):
        check_able(recipe({}, {"accelerate": str(tmp_path / "none.yaml")}, spec))
    (tmp_path / "there.yaml").write_text("num_processes: 2\n")
    check_able(recipe({}, {"accelerate": str(tmp_path / "there.yaml")}, spec))
    with pytest.raises(RecipeError, match="leave processes out"):
        check_able(recipe({}, {"accelerate": str(tmp_path / "there.yaml"), "processes": 2}, spec))
