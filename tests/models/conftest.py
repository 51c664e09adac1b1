"""Checkpoints for the tests of models, each kind saved once a session, and the plain way of asking them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import factory
import pytest
from PIL import Image

from lookwise.message import Media


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return (family, **settings) -> folder of a random checkpoint; equal arguments give the same folder."""
    made: dict[str, Path] = {}

    def get(family: str, **settings: Any) -> Path:
        key = repr((family, sorted(settings.items())))
        if key not in made:
            folder = tmp_path_factory.mktemp("checkpoint") / family
            build = factory.llava if family in ("llava", "llava_next") else factory.text_model
            made[key] = build(folder, family=family, **settings)
        return made[key]

    return get


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Media]:
    """Four pictures of different sizes and content."""
    folder = tmp_path_factory.mktemp("photos")
    sizes = ((40, 90), (90, 50), (64, 64), (33, 200))
    found = []
    for i, size in enumerate(sizes):
        path = folder / f"{i}.png"
        stripes = Image.linear_gradient("L").rotate(37 * i).resize(size)
        Image.merge("RGB", (stripes, stripes.rotate(90).resize(size), Image.new("L", size, 60 * i))).save(path)
        found.append(Media(str(path), digest=f"{i:064x}"))
    return found


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let tests of tiny models use one thread: more would only wait for one another."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
