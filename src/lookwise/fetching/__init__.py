"""Pictures from the web, into files named by their content.

address.py says where a picture may be asked for and asks nowhere else, download.py brings one picture or a reason,
shelf.py keeps the files and what became of every address, fetch.py brings many at once, pack.py freezes what was got
so that others score the same pictures.
"""

from __future__ import annotations

from lookwise.fetching.fetch import fetch
from lookwise.fetching.limits import Limits
from lookwise.fetching.pack import read_pack, subset_of, write_pack
from lookwise.fetching.shelf import Fetched, Shelf

__all__ = ["Fetched", "Limits", "Shelf", "fetch", "read_pack", "subset_of", "write_pack"]
