"""Hub names: what lies here whole is used, what lies in part is fetched on, and nothing large is fetched in vain."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from lookwise.errors import ModelError
from lookwise.models.open import check_spec, fingerprint
from lookwise.models.place import locate

SPEC = "hf:somebody/something"


class Hub:
    """A hub with one checkpoint, `files`, and what of it lies in `cache`; `asked` are the downloads."""

    def __init__(self, files: Path, cache: Path) -> None:
        self.files, self.cache = files, cache
        self.asked: list[list[str]] = []

    def __call__(self, name: str, *, allow_patterns: list[str], local_files_only: bool = False) -> str:
        assert name == "somebody/something"
        if local_files_only:
            if not self.cache.exists():
                raise LocalEntryNotFoundError("nothing here")
            return str(self.cache)
        self.asked.append(allow_patterns)
        self.cache.mkdir(exist_ok=True)
        for pattern in allow_patterns:
            for path in self.files.glob(pattern):
                shutil.copy(path, self.cache / path.name)
        return str(self.cache)


@pytest.fixture
def hub(saved: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    files = tmp_path / "files"
    shutil.copytree(saved("llama"), files)
    (files / "model.safetensors").rename(files / "model-00001-of-00002.safetensors")
    shutil.copy(files / "model-00001-of-00002.safetensors", files / "model-00002-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (files / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    made = Hub(files, tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made)
    return made


def test_what_is_not_here_is_fetched_when_it_is_opened_and_not_before(hub: Hub) -> None:
    check_spec(SPEC)
    assert locate(SPEC, fetch=False) is None
    assert hub.asked == []
    place = locate(SPEC, fetch=True)
    assert place is not None
    assert place.folder == hub.cache
    assert hub.asked[0] == ["config.json"]
    assert "*.py" not in hub.asked[1], "code is not even fetched without permission"


def test_what_is_here_whole_asks_nobody(hub: Hub) -> None:
    first = fingerprint(SPEC)
    hub.asked.clear()
    assert fingerprint(SPEC) == first
    assert hub.asked == []


@pytest.mark.parametrize("lost", ["model-00002-of-00002.safetensors", "config.json", "model.safetensors.index.json"])
def test_an_interrupted_download_goes_on(hub: Hub, lost: str) -> None:
    whole = fingerprint(SPEC)
    (hub.cache / lost).unlink()
    if lost.endswith("index.json"):
        for shard in hub.cache.glob("*.safetensors"):
            shard.unlink()
    assert locate(SPEC, fetch=False) is None
    assert fingerprint(SPEC) == whole


def test_a_family_that_cannot_be_asked_is_refused_before_its_weights_are_fetched(hub: Hub) -> None:
    (hub.files / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    with pytest.raises(ModelError, match="family 'mamba'"):
        fingerprint(SPEC)
    assert hub.asked == [["config.json"]]


def test_permitted_code_is_fetched_too(hub: Hub) -> None:
    locate(SPEC, fetch=True)
    settings = json.loads((hub.files / "config.json").read_text())
    settings["auto_map"] = {"AutoModelForCausalLM": "modeling_x.X"}
    for folder in (hub.files, hub.cache):
        (folder / "config.json").write_text(json.dumps(settings))
    (hub.files / "modeling_x.py").write_text("class X: pass\n")
    hub.asked.clear()
    place = locate(SPEC, fetch=True, remote_code=True)
    assert place is not None
    assert place.remote_code
    assert "*.py" in hub.asked[-1]
    assert (place.folder / "modeling_x.py").is_file()
