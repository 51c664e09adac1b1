"""The samples that a page embeds: who they are, their pictures as thumbnails, votes, what was shown, what was answered.

In: a finished run's rows, how many samples at most, and a budget in bytes.  Out: plain values for JSON.  Samples are
picked task by task and split by split in turn, in an order that depends on their ids alone, so the same run gives the
same page.  It writes no HTML; every text in it is somebody else's and is drawn as text (page/page.js).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, TypeVar

from lookwise.media import PictureError, data_uri, is_url
from lookwise.message import Media
from lookwise.report.gather import READER_COLUMNS, columns_of, reader_of, rows_of, samples_of
from lookwise.report.tables import Reader, group_of, kind_of, label_of, several_models
from lookwise.report.words import number
from lookwise.rows import Ballot, Caption, Evidence, Prediction, Row, Utility
from lookwise.sample import Sample, Visual

__all__ = ["Browser", "browse", "safe_json"]

_THUMBNAIL = 160
"""Pixels of a thumbnail's longest side."""
_QUALITY = 72
_WORTHS = ("predicted", "measured", "utilities")
"""Stages that tell what a picture is worth, as the page lists them."""

R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Browser:
    """What page.js reads.  `total` counts the samples that the run answered, of which `samples` are embedded."""

    readers: Sequence[Mapping[str, str]]
    policies: Sequence[str]
    pictures: Sequence[str]
    samples: Sequence[Mapping[str, Any]]
    total: int


@dataclass(frozen=True)
class _Rows:
    captions: Mapping[str, Sequence[Caption]]
    ballots: Mapping[str, Sequence[Ballot]]
    evidence: Mapping[str, Sequence[Evidence]]
    predictions: Mapping[str, Sequence[Prediction]]
    worths: Mapping[str, Sequence[Utility]]


def browse(folder: Path, limit: int, budget: int) -> Browser:
    """Return at most `limit` samples of a run, fewer where they would exceed `budget` bytes of JSON."""
    made = columns_of(folder, "predictions", Prediction, "sample_id", *READER_COLUMNS)
    ids = {sample for sample, *_ in made}
    answered = [sample for sample in samples_of(folder) if sample.id in ids]
    readers = list(dict.fromkeys(Reader(*who) for _, *who in made))
    policies = list(dict.fromkeys(policy for (policy,) in columns_of(folder, "evidence", Evidence, "policy")))
    looked_at = [*islice(_in_turn(answered), limit)]
    rows = _rows(folder, {sample.id for sample in looked_at})
    album = _Album(folder)
    samples: list[Mapping[str, Any]] = []
    for sample in looked_at:
        before = album.size
        value = _sample(sample, rows, readers, policies, album)
        budget -= _size(value) + album.size - before
        if budget < 0:
            break
        samples.append(value)
    return Browser(_named(readers), policies, _used(album.uris, samples), samples, len(answered))


def _rows(folder: Path, samples: Collection[str]) -> _Rows:
    return _Rows(
        _by_sample(rows_of(folder, "captions", Caption, samples)),
        _by_sample(rows_of(folder, "ballots", Ballot, samples)),
        _by_sample(rows_of(folder, "evidence", Evidence, samples)),
        _by_sample(rows_of(folder, "predictions", Prediction, samples)),
        _by_sample([row for stage in _WORTHS for row in rows_of(folder, stage, Utility, samples)]),
    )


def _named(readers: Sequence[Reader]) -> list[dict[str, str]]:
    """Return how the page names each reader: as its tables do."""
    several = several_models(readers)
    return [
        {
            "kind": kind_of(reader),
            "group": group_of(reader, several),
            "label": label_of(reader),
            "policy": reader.policy,
            "tuned_on": reader.tuned_on,
        }
        for reader in readers
    ]


def _by_sample(rows: Sequence[R]) -> dict[str, list[R]]:
    groups: dict[str, list[R]] = defaultdict(list)
    for row in rows:
        groups[row.sample_id].append(row)
    return dict(groups)


def _in_turn(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Yield samples of every task and split in turn, each group by a digest of the ids."""
    groups: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda s: hashlib.sha256(s.id.encode()).digest()):
        groups[sample.task, sample.split].append(sample)
    ordered = [groups[key] for key in dict.fromkeys((s.task, s.split) for s in samples)]
    for turn in zip_longest(*ordered):
        yield from (sample for sample in turn if sample is not None)


class _Album:
    """Thumbnails made so far, each picture once however many samples show it."""

    def __init__(self, folder: Path) -> None:
        self.uris: list[str] = []
        self.size = 0
        self._folder = folder
        self._known: dict[str, tuple[int | None, str | None]] = {}

    def place(self, media: Media) -> tuple[int | None, str | None]:
        """Return a picture's index, or None and why it has none."""
        key = media.digest or media.source
        if key not in self._known:
            self._known[key] = self._add(media)
        return self._known[key]

    def _add(self, media: Media) -> tuple[int | None, str | None]:
        if media.kind != "image":
            return None, "a clip; pages show pictures only"
        here = self._folder / media.source
        source = here if not is_url(media.source) and here.is_file() else media.source
        try:
            uri = data_uri(source, longest=_THUMBNAIL, quality=_QUALITY)
        except PictureError as error:
            return None, error.reason
        self.uris.append(uri)
        self.size += len(uri) + 3
        return len(self.uris) - 1, None


def _used(uris: Sequence[str], samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the pictures up to the last one that an embedded sample shows (a sample over budget adds some in vain)."""
    shown = [visual["picture"] for sample in samples for visual in sample["visuals"] if visual["picture"] is not None]
    return list(uris[: max(shown, default=-1) + 1])


def safe_json(value: object) -> str:
    """Return JSON in ASCII that cannot close the script element it stands in, nor open a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _size(value: object) -> int:
    return len(safe_json(value)) + 1


def _sample(
    sample: Sample, rows: _Rows, readers: Sequence[Reader], policies: Sequence[str], album: _Album
) -> dict[str, Any]:
    answers = []
    for row in rows.predictions[sample.id]:
        right = None if sample.target is None else row.answer == sample.target
        answers.append([readers.index(reader_of(row)), row.answer, row.reply, right, row.reason])
    return {
        "id": sample.id,
        "task": sample.task.rsplit("/", 1)[-1],
        "split": sample.split,
        "subset": sample.subset,
        "fields": [[name, value if isinstance(value, str) else list(value)] for name, value in sample.fields],
        "options": list(sample.options),
        "target": sample.target,
        "visuals": [_visual(sample.id, visual, rows, policies, album) for visual in sample.visuals],
        "answers": answers,
    }


def _visual(sample_id: str, visual: Visual, rows: _Rows, policies: Sequence[str], album: _Album) -> dict[str, Any]:
    picture, why = album.place(visual.media)
    place = (visual.slot, visual.candidate)
    caption = next((c for c in rows.captions.get(sample_id, ()) if (c.slot, c.candidate) == place), None)
    key = caption.caption_id if caption else None
    shown = [
        policies.index(e.policy)
        for e in rows.evidence.get(sample_id, ())
        if e.kind != "none" and e.slot == visual.slot and (e.candidate in (None, visual.candidate))
    ]
    return {
        "slot": visual.slot,
        "candidate": visual.candidate,
        "picture": picture,
        "why": why,
        "caption": caption.text if caption else None,
        "caption_why": caption.reason if caption else None,
        "votes": [
            [b.judge, b.verdict, b.reply, b.reason] for b in rows.ballots.get(sample_id, ()) if b.caption_id == key
        ],
        "shown": shown,
        "worth": [_worth(row) for row in rows.worths.get(sample_id, ()) if _is_of(row, visual)],
    }


def _is_of(row: Utility, visual: Visual) -> bool:
    """Return whether a row tells of this picture: alone, or with those of the same number in the other slots."""
    return row.candidate == visual.candidate and row.slot in (None, visual.slot)


def _worth(row: Utility) -> str:
    """Return what a picture is worth in a few words, and by whom: a verifier, measurement, or the truth."""
    said = [row.label or f"no judgement ({row.reason or 'no gold answer'})"]
    if row.probability is not None:
        said.append(f"helpful with probability {number(row.probability)}")
    if row.gain is not None:
        said.append(f"{row.gain:+.2f} nats")
    if row.kind:
        said.append(row.kind)
    return f"{row.source}: {', '.join(said)}"
