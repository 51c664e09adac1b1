"""Servers for the tests of models behind them, and models that try again at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chat_server import ChatServer

from lookwise.models.http.model import HttpModel
from lookwise.models.http.spec import parse, read_key
from lookwise.patience import Patience


@pytest.fixture
def server() -> Iterator[ChatServer]:
    made = ChatServer()
    yield made
    made.close()


@pytest.fixture
def opened(server: ChatServer) -> Iterator[Callable[..., HttpModel]]:
    """Return (query, **settings) -> an open model on the server; closed when the test is over."""
    models: list[HttpModel] = []

    def open_one(query: str = "", **settings: Any) -> HttpModel:
        endpoint = parse(server.spec(query))
        settings.setdefault("patience", Patience(attempts=4, first=0.01, longest=0.05))
        models.append(HttpModel(endpoint, read_key(endpoint), **settings))
        return models[-1]

    yield open_one
    for model in models:
        model.close()
