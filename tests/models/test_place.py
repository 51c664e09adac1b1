"""Hub names: what lies here whole is used, what lies in part is fetched on, and nothing large is fetched in vain."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import httpx2
import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import SafetensorsFileMetadata, SafetensorsRepoMetadata, TensorInfo

from lookwise.cli import main
from lookwise.errors import ModelError
from lookwise.models.need import need_of
from lookwise.models.open import ModelOptions, Needs, check_spec, fingerprint, open_model
from lookwise.models.place import digest, locate, preview
from lookwise.models.weights import INDEX

SPEC = "hf:somebody/something"
FIRST = ["config.json", "generation_config.json", INDEX]


ADAPTER = "somebody/adapter"


class Hub:
    """A hub with one checkpoint, `files`, and what of it lies in `cache`; `asked` are the downloads.

    `others` are folders of other names; without a `network` it answers from the cache alone.
    """

    def __init__(self, files: Path, cache: Path) -> None:
        self.files, self.cache = files, cache
        self.asked: list[list[str]] = []
        self.others: dict[str, Path] = {}
        self.network = True

    def __call__(self, name: str, *, allow_patterns: list[str], local_files_only: bool = False) -> str:
        files = self.files if name == "somebody/something" else self.others.get(name)
        cache = self.cache if files == self.files else self.cache / name.partition("/")[2]
        if local_files_only or not self.network or files is None:
            if not cache.exists():
                raise LocalEntryNotFoundError("nothing here")
            return str(cache)
        self.asked.append(allow_patterns)
        cache.mkdir(exist_ok=True, parents=True)
        for pattern in allow_patterns:
            for path in files.glob(pattern):
                shutil.copy(path, cache / path.name)
        return str(cache)

    def held(self, name: str) -> SafetensorsRepoMetadata:
        """Answer as get_safetensors_metadata does."""
        if not self.network:
            raise httpx2.ConnectError("no way there")
        assert name == "somebody/something"
        shards = sorted(set(json.loads((self.files / INDEX).read_text())["weight_map"].values()))
        return SafetensorsRepoMetadata(None, True, {}, {name: self.held_in(name) for name in shards})

    def held_in(self, name: str, file: str | None = None) -> SafetensorsFileMetadata:
        """Answer as parse_safetensors_file_metadata does."""
        path = self.files / name if file is None else self.others[name] / file
        with path.open("rb") as opened:
            header = json.loads(opened.read(struct.unpack("<Q", opened.read(8))[0]))
        tensors = {
            k: TensorInfo(v["dtype"], v["shape"], tuple(v["data_offsets"])) for k, v in header.items() if k[0] != "_"
        }
        return SafetensorsFileMetadata({}, tensors)


@pytest.fixture
def hub(saved: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    files = tmp_path / "files"
    shutil.copytree(saved("llama"), files)
    (files / "model.safetensors").rename(files / "model-00001-of-00002.safetensors")
    shutil.copy(files / "model-00001-of-00002.safetensors", files / "model-00002-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (files / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    made = Hub(files, tmp_path / "cache")
    (files / "consolidated.safetensors").write_bytes(b"a second copy, as some publish it")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", made)
    monkeypatch.setattr(huggingface_hub, "get_safetensors_metadata", made.held)
    monkeypatch.setattr(huggingface_hub, "parse_safetensors_file_metadata", made.held_in)
    return made


def test_what_is_not_here_is_fetched_when_it_is_opened_and_not_before(hub: Hub) -> None:
    check_spec(SPEC)
    assert locate(SPEC, fetch=False) is None
    assert hub.asked == []
    place = locate(SPEC, fetch=True)
    assert place is not None
    assert place.folder == hub.cache
    assert hub.asked[0] == FIRST
    assert "*.py" not in hub.asked[1], "code is not even fetched without permission"


def test_what_is_here_whole_asks_nobody(hub: Hub) -> None:
    first = fingerprint(SPEC)
    hub.asked.clear()
    assert fingerprint(SPEC) == first
    assert hub.asked == []


@pytest.mark.parametrize("lost", ["model-00002-of-00002.safetensors", "config.json", INDEX])
def test_an_interrupted_download_goes_on(hub: Hub, lost: str) -> None:
    whole = fingerprint(SPEC)
    (hub.cache / lost).unlink()
    assert locate(SPEC, fetch=False) is None
    assert fingerprint(SPEC) == whole


def test_a_family_that_cannot_be_asked_is_refused_before_its_weights_are_fetched(hub: Hub) -> None:
    (hub.files / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    with pytest.raises(ModelError, match="family 'mamba'"):
        fingerprint(SPEC)
    assert hub.asked == [FIRST]


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


def test_a_second_copy_of_the_weights_is_neither_fetched_nor_counted_nor_part_of_the_name(
    hub: Hub, saved: Callable[..., Path], tmp_path: Path
) -> None:
    place = locate(SPEC, fetch=True)
    assert place is not None
    assert {p.name for p in place.folder.glob("*.safetensors")} == {
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    }  # fmt: skip
    need, before = need_of(place, 4), digest(place)
    shutil.copy(hub.files / "model-00001-of-00002.safetensors", place.folder / "consolidated.safetensors")
    assert need_of(place, 4) == need
    assert digest(place) == before
    one = tmp_path / "one"
    shutil.copytree(saved("llama"), one)
    alone = locate(f"hf:{one}", fetch=False)
    assert alone is not None
    single = need_of(alone, 4)
    assert need.parameters == 2 * single.parameters  # the two shards here are the same file
    shutil.copy(one / "model.safetensors", one / "consolidated.safetensors")
    assert need_of(alone, 4) == single
    (one / INDEX).write_text(json.dumps({"weight_map": {"a": "nowhere.safetensors"}}))
    assert locate(f"hf:{one}", fetch=False) == alone, "transformers reads the single file first"


def test_a_folder_whose_list_names_what_is_not_there_is_refused(hub: Hub) -> None:
    spec = f"hf:{hub.files}"
    (hub.files / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match=r"holds no model-00002-of-00002.safetensors, which its .* names"):
        check_spec(spec)
    for content in ("{", "[]", '{"weight_map": 3}', "[" * 100_000):
        (hub.files / INDEX).write_text(content)
        with pytest.raises(ModelError, match="does not read; fetch it again"):
            check_spec(spec)
    for name in ("../model.safetensors", "/etc/passwd", "shards\\\\one.safetensors"):
        (hub.files / INDEX).write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(ModelError, match="which is no file of its folder; fetch it again"):
            check_spec(spec)
    (hub.files / INDEX).unlink()
    with pytest.raises(ModelError, match=r"holds no \*\.safetensors weights by the names that are read"):
        check_spec(spec)


@pytest.mark.parametrize("opened", [open_model, fingerprint])
def test_what_a_checkpoint_lacks_is_said_before_its_weights_are_fetched(
    hub: Hub, opened: Callable[..., object]
) -> None:
    check_spec(SPEC, needs=Needs(1, 1))
    with pytest.raises(ModelError, match="reads text only, but is given a picture"):
        opened(SPEC, ModelOptions(needs=(Needs(), Needs(0, 1))))
    (hub.files / "generation_config.json").write_text(json.dumps({"num_beams": 4}))
    with pytest.raises(ModelError, match=r"generation_config\.json sets num_beams"):
        opened(SPEC, ModelOptions(needs=(Needs(writes=True),)))
    (hub.files / "config.json").write_text(json.dumps({"model_type": "blip-2", "text_config": {"model_type": "opt"}}))
    with pytest.raises(ModelError, match="takes exactly one picture with each request, but is given 8"):
        opened(SPEC, ModelOptions(needs=(Needs(1, 8),)))
    assert hub.asked == [FIRST] * 3
    assert not list(hub.cache.glob("*.safetensors"))


@pytest.fixture
def adapter(hub: Hub, tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    shutil.copy(hub.files / "model-00001-of-00002.safetensors", folder / "adapter_model.safetensors")
    hub.others[ADAPTER] = folder
    return folder


def test_an_adapter_is_resolved_as_a_base_is(hub: Hub, adapter: Path, saved: Callable[..., Path]) -> None:
    for base in (f"hf:{saved('llama')}", "tiny:reader-s", SPEC):
        shutil.rmtree(hub.cache, ignore_errors=True)
        spec = f"{base}+{ADAPTER}"
        check_spec(spec)
        assert locate(spec, fetch=False) is None
        place = locate(spec, fetch=True)
        assert place is not None
        assert place.adapter == hub.cache / "adapter"
        assert sorted(p.name for p in place.adapter.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
        hub.asked.clear()
        assert locate(spec, fetch=False) == locate(spec, fetch=True) == place
        assert hub.asked == [], "what is here is not asked for again"
        local = locate(f"{base}+{adapter}", fetch=False)
        assert local is not None
        assert digest(local) == digest(place), "the same files are the same model, wherever they lie"
        (place.adapter / "adapter_model.safetensors").unlink()
        assert locate(spec, fetch=False) is None
        assert locate(spec, fetch=True) == place


def test_an_adapter_that_is_nowhere_or_none_is_named(hub: Hub, adapter: Path, saved: Callable[..., Path]) -> None:
    base = f"hf:{saved('llama')}"
    with pytest.raises(ModelError, match="somebody/nothing is no folder here and could not be fetched"):
        open_model(f"{base}+somebody/nothing")
    with pytest.raises(ModelError, match=r"/nowhere/at/all is no adapter"):
        check_spec(f"{base}+/nowhere/at/all")
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"is no adapter, since it holds no adapter_model\.safetensors"):
        open_model(f"{base}+{ADAPTER}")


def test_what_a_hub_name_will_take_is_known_before_its_weights_are_here(hub: Hub, adapter: Path) -> None:
    seen, with_adapter = preview(SPEC), preview(f"{SPEC}+{ADAPTER}")
    assert hub.asked == [FIRST] * 2
    early = need_of(seen, 2), need_of(with_adapter, 2)
    places = locate(SPEC, fetch=True), locate(f"{SPEC}+{ADAPTER}", fetch=True)
    assert places[0] is not None
    assert places[1] is not None
    assert early == (need_of(places[0], 2), need_of(places[1], 2))
    assert early[1].parameters > early[0].parameters > 0


def test_the_doctor_says_the_memory_before_it_fetches(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []

    def steady(spec: str, dtype: str) -> dict[str, object]:
        told.append(capsys.readouterr().out)
        assert not list(hub.cache.glob("*.safetensors"))
        return {"asked": 1, "ranked": 0, "written": 0, "furthest": 0.0, "failed": 0}

    monkeypatch.setattr("lookwise.commands.doctor._steadiness", steady)
    assert main(["doctor", SPEC]) == 0
    assert "here False" in told[0]
    assert "weights_bytes" in told[0]
    assert "batches change no answer" in capsys.readouterr().out


def test_the_doctor_without_a_network_is_one_sentence(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.network = False
    assert main(["doctor", SPEC]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"lookwise: model '{SPEC}': somebody/something is no folder here and could not be fetched")
    assert error.count("\n") == 1
