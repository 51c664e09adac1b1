"""A small run whose samples name their pictures by web address: its recipe, and its rows in MMECInstruct's layout."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["RECIPE", "dataset"]

RECIPE = """
name: web
source: mmecinstruct
tasks: [category_classification]
test_splits: [test]
prompts: tiny
captioner: scripted:echo
reader: scripted:first
readers: zero-shot
policies: [none, captions:always]
resamples: 20
fetch_private: true
"""


def dataset(folder: Path, urls: list[str]) -> Path:
    """Write one row for each address, and return the file."""
    folder.mkdir(exist_ok=True)
    rows = [
        {
            "task": "category_classification",
            "split": "test",
            "instruction": "Choose the category.",
            "input": json.dumps({"title": f"thing {i}"}),
            "options": json.dumps(["A: Kettles", "B: Mugs"]),
            "output": "A",
            "images": json.dumps([url]),
        }
        for i, url in enumerate(urls)
    ]
    path = folder / "dataset.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path
