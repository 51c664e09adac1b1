"""Files of a data set on the hub: what there is, under which licence and gate, and the files themselves.

In: a repository's name.  Out: `Listing`, and files on disk, checked against the hub's digests.  What was half fetched
goes on (huggingface_hub keeps it in the folder's .cache).  Faults of network, gate and name become one sentence.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from lookwise.errors import DataError
from lookwise.fetching.unpack import Held, Refused, safe_name

__all__ = ["Listed", "Listing", "chosen", "digest_of", "download", "listing"]

_TIMEOUT = 20.0
_OWN_COPY = "or get an archive elsewhere and name it, --archive FILE"


@dataclass(frozen=True, slots=True)
class Listed:
    """A file on the hub; `sha256` is known of large ones."""

    path: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What the hub says of a data set; `licence` and `gate` are "" where it says nothing."""

    repo: str
    revision: str
    licence: str
    gate: str
    files: tuple[Listed, ...]


def listing(repo: str) -> Listing:
    """Ask the hub what a data set holds."""
    from huggingface_hub import HfApi

    with _plain(repo):
        info: Any = HfApi(endpoint=_endpoint()).dataset_info(repo, files_metadata=True, timeout=_TIMEOUT)
    card = info.card_data or {}
    licence = card.get("license") or ""
    files = tuple(_listed(repo, sibling) for sibling in info.siblings or ())
    gate = f"{info.gated} approval" if info.gated else ""
    return Listing(repo, str(info.sha), str(licence), gate, files)


def _listed(repo: str, sibling: Any) -> Listed:
    try:
        path = safe_name(str(sibling.rfilename))
    except Refused as reason:
        raise DataError(f"{repo} on the hub lists {reason}; nothing of it is fetched") from None
    sha256 = getattr(sibling.lfs, "sha256", None) if sibling.lfs else None
    return Listed(path, int(sibling.size or 0), sha256)


def chosen(found: Listing, patterns: Sequence[str]) -> list[Listed]:
    """Return the files that a pattern names, by their whole path or their own name."""
    return [
        f for f in found.files if any(fnmatch(f.path, p) or fnmatch(f.path.rpartition("/")[2], p) for p in patterns)
    ]


def download(found: Listing, file: Listed, folder: Path) -> Held:
    """Bring one file into the folder, and check it."""
    from huggingface_hub import hf_hub_download

    with _plain(found.repo):
        path = Path(
            hf_hub_download(
                found.repo,
                file.path,
                repo_type="dataset",
                revision=found.revision,
                local_dir=folder,
                endpoint=_endpoint(),
                etag_timeout=_TIMEOUT,
            )
        )
    sha256 = digest_of(path)
    if file.sha256 is not None and file.sha256 != sha256:
        path.unlink()
        raise DataError(f"{file.path} of {found.repo} arrived damaged, and was deleted; give the same command again")
    return Held(file.path, path.stat().st_size, sha256)


def digest_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _plain(repo: str) -> Iterator[None]:
    """Turn what can go wrong with the hub into one sentence with its cure."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise DataError(
            f"{repo} is behind a gate: accept its conditions on its page on the hub, then log in (hf auth login, or "
            "HF_TOKEN in the environment) and give the same command again"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DataError(
            f"the hub knows no data set {repo}, or shows it to nobody but its owners; {_OWN_COPY}"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise DataError(f"{repo}: HF_HUB_OFFLINE is set, so the hub is not asked; unset it, {_OWN_COPY}") from error
    except (httpx2.TransportError, errors.LocalEntryNotFoundError, ConnectionError) as error:
        raise DataError(f"{repo}: the hub cannot be reached (no network?); try again later, {_OWN_COPY}") from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        raise DataError(f"{repo}: the hub answers {status}; give the same command again later, {_OWN_COPY}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{repo}: what the hub answers cannot be read ({error!r}); {_OWN_COPY}") from error
    except OSError as error:
        raise DataError(f"{repo}: cannot be written ({error.strerror or error}); make room, or mend rights") from error
