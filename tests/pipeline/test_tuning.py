"""A recipe's tuning settings: the readers', and the verifier's where they differ."""

from __future__ import annotations

from pathlib import Path

from lookwise import config
from lookwise.pipeline.tuning import reader_settings, verifier_settings
from lookwise.recipe import Recipe
from lookwise.training.settings import TuneSettings


def test_a_verifier_is_tuned_as_readers_are_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    plain = Recipe(name="x", rank=4, dropout=0.1, epochs=2.0)
    assert verifier_settings(plain) == reader_settings(plain)
    path = tmp_path / "own.yaml"
    path.write_text("rank: 4\nverifier_rank: 2\nverifier_learning_rate: 2e-5\nverifier_head: false\ndropout: 0.1\n")
    recipe = config.load(str(path), ["verifier_dropout=0"])
    readers, verifier = reader_settings(recipe), verifier_settings(recipe)
    assert (readers.rank, readers.head, readers.dropout) == (4, True, 0.1)
    assert (verifier.rank, verifier.head, verifier.dropout, verifier.learning_rate) == (2, False, 0.0, 2e-5)
    assert verifier.alpha == readers.alpha
    again = tmp_path / "again.yaml"
    again.write_text(config.dump(recipe))
    assert config.load(str(again)) == recipe


def test_the_recipe_named_after_sumei_tunes_as_published() -> None:
    """Spec 3.4: LoRA r 8, alpha 8, dropout .05, no head, 3 epochs, batch 8, 2e-5, cosine, warm-up .03, 1024 tokens."""
    recipe = config.load("sumei")
    expected = TuneSettings(
        rank=8,
        alpha=8,
        dropout=0.05,
        learning_rate=2e-5,
        batch=8,
        epochs=3.0,
        warmup=0.03,
        scheduler="cosine",
        seed=recipe.seed,
        head=False,
        weight_decay=0.0,
        max_tokens=1024,
    )
    assert reader_settings(recipe) == verifier_settings(recipe) == expected
