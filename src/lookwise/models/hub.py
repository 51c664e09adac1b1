"""Files of checkpoints and adapters on the hub: what of them lies here, bringing the rest, and sizes without bringing.

In: a hub name, patterns of file names.  Out: the folder in the hub's cache; what the weights there hold.  Faults of
name, network and gate become one sentence that names the model.  It knows neither families nor specs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lookwise.errors import ModelError
from lookwise.models.weights import Held

__all__ = ["cached", "fetched", "held_at_hub", "is_hub_name"]


def is_hub_name(name: str) -> bool:
    """Return whether a name is of the form org/name, and no path."""
    return not name.startswith((".", "/", "~")) and name.count("/") == 1 and all(name.split("/"))


def cached(name: str, spec: str, patterns: Sequence[str]) -> Path | None:
    """Return the folder of what lies here of a hub name, whole or not; None where nothing does."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns), local_files_only=True))
    except HFValidationError as error:
        raise ModelError(f"model {spec!r}: {error}; expected a folder or a hub name org/name") from None
    except LocalEntryNotFoundError:
        return None


def fetched(name: str, spec: str, patterns: Sequence[str]) -> Path:
    """Bring the files of a hub name that patterns name, and return their folder."""
    from huggingface_hub import snapshot_download

    with _plain(name, spec):
        return Path(snapshot_download(name, allow_patterns=list(patterns)))


def held_at_hub(name: str, spec: str, file: str | None = None) -> Iterator[Held]:
    """Yield the tensors of a hub name's weights, or of one file there; only the files' headers are read."""
    from huggingface_hub import get_safetensors_metadata, parse_safetensors_file_metadata

    with _plain(name, spec):
        files = (
            get_safetensors_metadata(name).files_metadata.values()
            if file is None
            else [parse_safetensors_file_metadata(name, file)]
        )
    for one in files:
        for key, tensor in one.tensors.items():
            yield Held(key, tensor.parameter_count, len(tensor.shape) == 2)


@contextmanager
def _plain(name: str, spec: str) -> Iterator[None]:
    """Turn what can go wrong with the hub into one sentence with its cure."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise ModelError(
            f"model {spec!r}: {name} is behind a gate: accept its conditions on its page on the hub, then log in "
            "(hf auth login, or HF_TOKEN in the environment)"
        ) from None
    except (errors.NotASafetensorsRepoError, errors.EntryNotFoundError) as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise _away(name, spec, error) from None
        raise ModelError(f"model {spec!r}: {name} holds no *.safetensors weights; name one in that format") from None
    except (errors.SafetensorsParsingError, errors.HfHubHTTPError, httpx2.TransportError, OSError) as error:
        raise _away(name, spec, error) from None


def _away(name: str, spec: str, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ModelError(
        f"model {spec!r}: {name} is no folder here and could not be fetched from the hub ({reason}); give a folder, or "
        "try again where the hub can be reached"
    )
