"""`lookwise data fetch`: a published data set from the hub, or out of an archive; said beforehand what it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from lookwise.commands.printing import say
from lookwise.errors import UsageError

__all__ = ["data_fetch"]


def data_fetch(arguments: argparse.Namespace) -> int:
    """Say licence, size and gate; bring the files; say what there is and what to do with it."""
    from lookwise.fetching.bring import MANIFEST, from_archive, from_hub
    from lookwise.fetching.hub import chosen, listing
    from lookwise.fetching.published import find_published

    if arguments.archive and arguments.only:
        raise UsageError("--only chooses among files of the hub; an archive is unpacked whole")
    one, folder = find_published(arguments.name), Path(arguments.dir)
    for key, value in (("data", one.title), ("hub", one.repo), ("licence", one.licence), ("size", one.size)):
        say(f"{key:<9}{value}")
    say(f"gate     {one.gate}")
    say(f"pictures {one.pictures}")
    if arguments.archive:
        brought = from_archive(one, Path(arguments.archive), folder)
    else:
        found = listing(one.repo)
        mine = chosen(found, one.files)
        size = sum(file.bytes for file in mine)
        say(f"the hub says: licence {found.licence or 'not stated'}, gate {found.gate or 'none'}, revision "
            f"{found.revision[:12]}, {len(mine)} files of {size:,} bytes")  # fmt: skip
        brought = from_hub(one, found, folder, say, arguments.only)
    say(f"{folder}: {brought.files} files, {brought.bytes:,} bytes; digests in {folder / MANIFEST}")
    if not brought.main:
        say(f"no {one.main} among them: was it the right archive, or did --only leave it out?")
        return 0
    say(f"next     {one.use.format(folder=folder / Path(brought.main[0]).parent)}")
    return 0
