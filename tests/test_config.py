"""Recipes are read strictly: every shipped one parses, every mistake is named with the nearest right word."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookwise import config
from lookwise.errors import RecipeError


@pytest.mark.parametrize("name", config.shipped_names())
def test_shipped_recipes_parse_and_say_command_hardware_time_and_expectation(name: str) -> None:
    recipe = config.load(name)
    assert recipe.name == name
    head = config.shipped(name).read_text(encoding="utf-8").split("name:")[0]
    for word in ("command", "hardware", "time", "expect"):
        assert f"# {word}" in head


def test_a_dumped_recipe_reads_back_equal(tmp_path: Path) -> None:
    recipe = config.load("demo", ["seed=9", "learning_rate=3e-3"])
    path = tmp_path / "r.yaml"
    path.write_text(config.dump(recipe), encoding="utf-8")
    assert config.load(str(path)) == recipe
    assert recipe.learning_rate == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("sed=9", "did you mean 'seed'"),
        ("batch=0", "must be positive"),
        ("judging=ranked", "did you mean 'rank'"),
        ("learning_rate=abc", "expected a number"),
        ("batch=1.5", "expected int"),
        ("seed=true", "expected int"),
        ("audit=2", "between 0 and 1"),
        ("samples_train=-3", "must be 0"),
        ("copies=-1", "must be 0"),
        ("shard=true", "shard needs several processes"),
        ("micro_tokens=0", "must be positive"),
        ("budget_money=.inf", "must be 0"),
        ("verifier_rank=0", "must be positive"),
        ("verifier_rank=low", "expected int"),
        ("verifier_warmup=2", "between 0 and 1"),
        ("policies=captions:vot", "policies: policy 'captions:vot': .* did you mean 'vote'"),
        ("policies=[none, captions:judge/nobody]", "policy 'captions:judge/nobody': unknown selector"),
        ("policies=captions:random@vot", "'captions:random@vot': unknown selector 'vot'"),
        ("policies=predicted", "did you mean 'visuals:predicted'"),
        ("tune_on=captions:always2", "tune_on: policy 'captions:always2': .* 'always'"),
        ("tune_on=[none, visuals:always]", "tune_on names 'visuals:always', which is not among policies"),
        ("seed", "expected key=value"),
        ("judges=5", "list of models"),
        ("name=[", "not valid YAML"),
    ],
)
def test_a_wrong_override_is_refused_by_name(override: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        config.load("demo", [override])


def test_a_base_is_cut_or_quantized() -> None:
    with pytest.raises(RecipeError, match="leave quantized or shard out"):
        config.load("demo", ["shard=true", "processes=2", "quantized=nf4"])
    assert config.load("demo", ["shard=true", "processes=2"]).shard


@pytest.mark.parametrize("verifying", ["tuned", "zero-shot"])
@pytest.mark.parametrize("policy", ["visuals:oracle/measured", "visuals:random@oracle/measured"])
def test_an_assessor_measures_no_samples_that_taught_it(policy: str, verifying: str) -> None:
    changed = [f"policies=[none, '{policy}']", f"tune_on=['{policy}']", f"verifying={verifying}"]
    with pytest.raises(RecipeError, match=r"tune_on names 'visuals:.*oracle/measured'.* set assessor_tuned: false"):
        config.load("sumei-tiny", changed)
    assert config.load("sumei-tiny", [*changed, "assessor_tuned=false"]).tune_on == (policy,)
    assert config.load("sumei-tiny", [*changed, "readers=zero-shot"]).assessor_tuned, "then nobody is tuned on it"
    assert config.load("sumei-tiny", [f"verifying={verifying}"]).assessor_tuned, "new samples it may measure"


def test_an_unknown_recipe_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'demo'"):
        config.load("dmeo")
    path = tmp_path / "r.yaml"
    path.write_text("- a\n- b\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="expected keys and values"):
        config.load(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="not UTF-8"):
        config.load(str(path))
