"""The published data sets that can be fetched: where they lie, under which licence, how large, behind which gate.

Values only, as their cards on the hub state them; the hub itself is asked again before anything is fetched, and what it
says then is printed beside this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lookwise.errors import UsageError, nearest

__all__ = ["PUBLISHED", "Published", "find_published"]


@dataclass(frozen=True, slots=True)
class Published:
    """One data set.

    `files` are patterns of the files that belong to it, `main` the one that a run reads (a pattern); `gate` says what
    has to be done before it can be had, "" where nothing is known to be asked.
    """

    name: str
    title: str
    repo: str
    licence: str
    size: str
    gate: str
    files: tuple[str, ...]
    main: str
    use: str
    pictures: str


_NO_GATE = "none known"

PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        one.name: one
        for one in (
            Published(
                name="mmecinstruct",
                title="MMECInstruct (CASLIE, arXiv 2410.17337): 75,000 samples of seven shopping tasks",
                repo="NingLab/MMECInstruct",
                licence="cc-by-4.0",
                size="308 MB",
                gate=_NO_GATE,
                files=("dataset.json", "README.md"),
                main="dataset.json",
                use="lookwise run caslie-m --set data={folder}",
                pictures="web addresses in the rows; a run fetches those that it looks at (docs/data.md)",
            ),
            Published(
                name="ecommmmu",
                title="EcomMMMU (SUMEI, arXiv 2508.15721): 406,190 samples of eight shopping tasks",
                repo="NingLab/EcomMMMU",
                licence="cc-by-4.0",
                size="1.62 GB",
                gate=_NO_GATE,
                files=("EcomMMMU.json", "README.md"),
                main="EcomMMMU.json",
                use="lookwise run sumei --set data={folder}",
                pictures="8,989,510 web addresses in the rows; a run fetches those that it looks at (docs/data.md)",
            ),
            Published(
                name="mmla",
                title="MMLA: utterances of twelve data sets with their video, six dimensions",
                repo="THUIAR/MMLA-Datasets",
                licence="cc-by-4.0 (MOSI, IEMOCAP and IEMOCAP-DA: texts only, their videos have licences of their own)",
                size="50.1 GB; the texts alone are small: --only '*.tsv'",
                gate=_NO_GATE,
                files=("*.tsv", "*.tar.gz", "README.md"),
                main="*/test.tsv",
                use="lookwise score FILE --benchmark mmla",
                pictures="videos in one archive for each data set, unpacked beside its texts",
            ),
            Published(
                name="mmie",
                title="MMIE (arXiv 2410.10139): 20,103 interleaved queries in three categories, twelve fields",
                repo="MMIE/MMIE",
                licence="mit for the project; of the data set, the hub is asked before fetching",
                size="not known here; the hub is asked before fetching",
                gate="conditions to accept on its page on the hub, which approves at once; then hf auth login",
                files=("*.json", "images.tar.gz", "README.md"),
                main="*.json",
                use="lookwise score FILE --benchmark mmie (FILE: what its judge wrote)",
                pictures="one archive, images.tar.gz, unpacked beside its questions",
            ),
        )
    }
)
"""Every set by the name under which it is fetched."""


def find_published(name: str) -> Published:
    """Return a data set by name, however it is capitalised."""
    found = PUBLISHED.get(name.lower())
    if found is None:
        raise UsageError(f"no published data set {name!r}; {nearest(name.lower(), PUBLISHED)}")
    return found
