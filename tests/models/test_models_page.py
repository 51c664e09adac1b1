"""docs/models.md says what the conformance suite shows: the table is made from the families that pass it."""

from __future__ import annotations

import re
from pathlib import Path

import families

from lookwise.models.hf.families import ABILITIES

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BLOCK = re.compile(r"(<!-- families: made by tests/models/test_models_page.py -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """Return the page with the table as it should be."""
    return BLOCK.sub(lambda match: f"{match.group(1)}\n{families.table()}\n\n{match.group(2)}", text)


def test_the_table_is_that_of_the_suite() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert BLOCK.search(text)
    assert text == filled(text), "stale: run python tests/models/test_models_page.py"


def test_every_family_that_can_be_asked_is_named() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert not [family for family in ABILITIES if f"`{family}`" not in text]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
