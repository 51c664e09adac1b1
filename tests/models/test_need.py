"""The memory that a checkpoint needs, from its files, equals what it takes once loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookwise.errors import ModelError
from lookwise.models.need import MATRIX_BYTES, need_of
from lookwise.models.open import open_model
from lookwise.models.place import Place, locate
from lookwise.models.weights import held_in_file


@pytest.mark.parametrize("spec", ["tiny:reader-s", "tiny:captioner", "tiny:judge-c"])
def test_it_counts_what_transformers_counts(spec: str) -> None:
    place = locate(spec, fetch=False)
    assert place is not None
    need = need_of(place, 4)
    model = open_model(spec)
    network = model._network  # type: ignore[attr-defined]
    # tied heads are one tensor, in the file and in the network
    assert need.parameters == sum(p.numel() for p in network.model.parameters())
    assert need.token_bytes == network.bytes_per_token
    assert need.positions > 0
    assert need.of_batch(2, 10) == need.weight_bytes + 20 * need.token_bytes
    model.close()


def test_fewer_bits_take_fewer_bytes_but_for_embeddings_and_head() -> None:
    place = locate("tiny:reader-s", fetch=False)
    assert place is not None
    whole, eight, four = (need_of(place, 4, bits) for bits in (None, MATRIX_BYTES["int8"], MATRIX_BYTES["nf4"]))
    model = open_model("tiny:reader-s")
    layers = sum(p.numel() for n, p in model._network.model.named_parameters() if p.ndim == 2 and "embed" not in n)  # type: ignore[attr-defined]
    model.close()
    assert whole.weight_bytes - eight.weight_bytes == 3 * layers
    assert four.weight_bytes < eight.weight_bytes
    assert four.token_bytes == whole.token_bytes


def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for content in (b"", b"\x05\0\0\0\0\0\0\0hello", b"\xff" * 32):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(ModelError, match=r"model\.safetensors"):
            need_of(Place("hf:x", tmp_path), 2)


@pytest.mark.parametrize("header", [b"[1]", b"{", b"[" * 100_000, b'{"a": 3}', b'{"a": {"shape": "no"}}', b'{"a": {}}'])
def test_a_header_that_is_none_is_one_sentence(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelError, match="is no safetensors file: its header does not read; fetch it again"):
        list(held_in_file(path))
