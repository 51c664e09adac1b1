"""docs/models.md says what the conformance suite shows and the bundled models' cards say: its tables are made so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import families

import lookwise.models
from lookwise.models.hf.families import ABILITIES
from lookwise.training.bundled.__main__ import TRAINERS

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BUNDLED = Path(lookwise.models.__file__).parent / "tiny"
BLOCK = re.compile(r"(<!-- (\w+): made by tests/models/test_models_page.py -->\n).*?(<!-- end -->)", re.DOTALL)


def bundled() -> str:
    """Return a row for each bundled model: its command, and what its card says of size and training."""
    rows = [
        "| model | parameters | trained by | seconds |",
        "| --- | --- | --- | --- |",
    ]
    for card in sorted(BUNDLED.glob("*/card.json")):
        name, said = card.parent.name, json.loads(card.read_text(encoding="utf-8"))
        command = f"`python -m lookwise.training.bundled {name} --out DIR`"
        rows.append(f"| `tiny:{name}` | {said['parameters']:,} | {command} | {said['seconds']:,} |")
    return "\n".join(rows)


TABLES = {"families": families.table, "bundled": bundled}


def filled(text: str) -> str:
    """Return the page with the tables as they should be."""
    return BLOCK.sub(lambda match: f"{match.group(1)}\n{TABLES[match.group(2)]()}\n\n{match.group(3)}", text)


def test_the_tables_are_those_of_the_suite_and_of_the_cards() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert {match.group(2) for match in BLOCK.finditer(text)} == set(TABLES)
    assert text == filled(text), "stale: run python tests/models/test_models_page.py"


def test_every_bundled_model_has_its_command_on_its_card_too() -> None:
    names = {folder.name for folder in BUNDLED.iterdir() if (folder / "card.json").is_file()}
    assert names == set(TRAINERS) - {"judges"}
    for name in names:
        assert f"`python -m lookwise.training.bundled {name} --out DIR`" in (BUNDLED / name / "card.md").read_text(
            "utf-8"
        )


def test_every_family_that_can_be_asked_is_named() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not [family for family in ABILITIES if f"`{family}`" not in text]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
