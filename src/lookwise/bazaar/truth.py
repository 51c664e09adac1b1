"""What a generated dataset knows about itself, on disk: behind every sample its products, photos, utilities, ceilings.

In: the folder of a dataset (or its dataset.json).  Out: `Drawn` by sample id, and the rows of `utilities` (the naive
reader) and of both ceilings.  It lies beside the dataset in `truth/`; no source and no stage reads it but where a
policy or a report asks for the truth by name.

truth/cases.jsonl     one sample a line: its case, the ids of its listings, its answer
truth/listings.jsonl  one listing a line: product, kind of photo, what the photo shows
truth/utilities/, truth/ceilings/   rows (runs/store.py)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lookwise.bazaar.cases import Case, Drawn, Item, Stated
from lookwise.bazaar.world import Listing, Photo, Product, View
from lookwise.errors import DataError
from lookwise.rows import Prediction, Utility
from lookwise.runs.store import read_rows, write_rows

__all__ = ["has_truth", "read_ceilings", "read_drawn", "read_utilities", "write_truth"]


def write_truth(
    dataset: Path,
    drawn: Iterable[tuple[str, Drawn]],
    listings: Iterable[Listing],
    utilities: Sequence[Utility],
    ceilings: Sequence[Prediction],
) -> None:
    """Write everything below `truth/`."""
    folder = dataset / "truth"
    folder.mkdir(parents=True, exist_ok=True)
    _write_lines(folder / "cases.jsonl", (_case_record(sample_id, d) for sample_id, d in drawn))
    _write_lines(folder / "listings.jsonl", (asdict(listing) for listing in listings))
    write_rows(folder / "utilities", Utility, utilities)
    write_rows(folder / "ceilings", Prediction, ceilings)


def has_truth(dataset: Path) -> bool:
    """Return whether the dataset was generated with its truth."""
    return (_root(dataset) / "cases.jsonl").is_file()


def read_utilities(dataset: Path) -> list[Utility]:
    """Return what every picture is worth to the naive reader."""
    return read_rows(_root(dataset) / "utilities", Utility)


def read_ceilings(dataset: Path) -> list[Prediction]:
    """Return what both exact readers answer."""
    return read_rows(_root(dataset) / "ceilings", Prediction)


def read_drawn(dataset: Path) -> dict[str, Drawn]:
    """Return the truth behind every sample, by its id."""
    root = _root(dataset)
    listings = {record["listing_id"]: _listing(record) for record in _read_lines(root / "listings.jsonl")}
    return {r["sample_id"]: _drawn(r, listings) for r in _read_lines(root / "cases.jsonl")}


def _root(dataset: Path) -> Path:
    return (dataset.parent if dataset.suffix == ".json" else dataset) / "truth"


def _case_record(sample_id: str, drawn: Drawn) -> dict[str, Any]:
    return {
        "sample_id": sample_id,
        "target": drawn.target,
        "latent": drawn.latent,
        "listings": [listing.listing_id for listing in drawn.listings],
        **asdict(drawn.case),
    }


def _drawn(record: dict[str, Any], listings: dict[str, Listing]) -> Drawn:
    case = Case(
        task=record["task"],
        items=tuple(Item(item["slot"], _stated(item["stated"])) for item in record["items"]),
        asked=_stated(record["asked"]),
        choices=tuple(record["choices"]),
        opinion=record["opinion"],
    )
    return Drawn(case, tuple(listings[i] for i in record["listings"]), record["target"], _stated(record["latent"]))


def _stated(pairs: list[list[Any]]) -> Stated:
    return tuple((name, value) for name, value in pairs)


def _listing(record: dict[str, Any]) -> Listing:
    photo = record["photo"]
    return Listing(
        record["listing_id"], Product(**record["product"]), Photo(**{**photo, "view": View(**photo["view"])})
    )


def _write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _read_lines(path: Path) -> Iterable[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); expected a dataset of `lookwise data make bazaar`"
        ) from error
