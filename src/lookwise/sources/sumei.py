"""SUMEI's own files: data/verification/*.json, data/downstream/*.json and results/{task}.json, written and read.

In: exchanges (a question with its pictures, perhaps the answer), or a task's answers.  Out: files of the published
shape, and the same values back.  Pictures are web addresses, or paths inside the dataset's folder; a row that cannot be
used is `Rejected` with a reason.  It knows no stage and no model.

data      a JSON list of {system_prompt, image: [...], conversations: [{from: human, value}, {from: gpt, value}]}, read
          a row at a time; a question's value begins with one <image> per picture; rows of a test have no answer, but a
          task; rows without pictures have no image.  How the reply is to begin, where a prompt says so, is the last
          line of the question: the shape has no other place for it.
results   a JSON list of answers in the order of the data, "" where none could be read, in a file named after the task
          in the data's own spelling.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookwise.benchmarks.ecommmmu import our_name, published_name
from lookwise.benchmarks.foreign import read_replies
from lookwise.errors import DataError
from lookwise.message import Conversation, Media, user
from lookwise.runs.files import write_bytes_atomic, write_json_atomic
from lookwise.sources.cells import Malformed, check_text, picture_place, texts
from lookwise.sources.json_rows import json_rows
from lookwise.sources.rejected import Rejected

__all__ = ["Exchange", "read_exchanges", "read_results", "write_exchanges", "write_results"]

_SYSTEM = "You help people who shop and people who sell."
_IMAGE = "<image>"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One user's turn, perhaps how the reply begins, the answer where it is known, the task's full name likewise."""

    conversation: Conversation
    answer: str | None = None
    task: str | None = None


def write_exchanges(
    path: Path, exchanges: Iterable[Exchange], root: Path, addresses: Mapping[str, str] | None = None
) -> int:
    """Write a file of data in one step, and return the number of its rows.

    Local pictures must lie below `root`, or be fetched ones, whose web addresses are given by path.
    """
    known = addresses or {}
    rows = [json.dumps(_row(exchange, root.resolve(), known), ensure_ascii=False) for exchange in exchanges]
    write_bytes_atomic(path, ("[\n" + ",\n".join(rows) + "\n]\n").encode("utf-8", "replace"))
    return len(rows)


def read_exchanges(path: Path, root: Path) -> Iterator[Exchange | Rejected]:
    """Yield the rows of a file of data, in their order."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected one of SUMEI's data files")
    for number, record in json_rows(path):
        if isinstance(record, Rejected):
            yield record
            continue
        try:
            yield _exchange(record, root.resolve())
        except Malformed as reason:
            yield Rejected(number, str(reason))


def write_results(folder: Path, task: str, answers: Sequence[str | None]) -> Path:
    """Write one task's answers, and return the file."""
    path = folder / f"{published_name(task)}.json"
    write_json_atomic(path, [answer or "" for answer in answers])
    return path


def read_results(folder: Path, task: str) -> list[str | None]:
    """Return one task's answers, None where none was read; the file may bear either spelling of the task's name."""
    names = (published_name(task), our_name(task))
    path = next((p for name in names if (p := folder / f"{name}.json").is_file()), None)
    if path is None:
        raise DataError(f"{folder}: no {names[0]}.json; the results of a task are named after it")
    return [reply or None for reply in read_replies(path)]


# ----------------------------------------------------------------------------------------------------------------- rows


def _row(exchange: Exchange, root: Path, addresses: Mapping[str, str]) -> dict[str, Any]:
    turn, *rest = exchange.conversation
    text = "\n".join([turn.text, *(message.text for message in rest)])
    images = [addresses.get(media.source) or _published_place(media, root) for media in turn.media]
    asked = {"from": "human", "value": _IMAGE * len(images) + (text.removeprefix("\n") if images else text)}
    said = [] if exchange.answer is None else [{"from": "gpt", "value": exchange.answer}]
    return {
        "system_prompt": _SYSTEM,
        **({"image": images} if images else {}),
        "conversations": [asked, *said],
        **({"task": published_name(exchange.task)} if exchange.task else {}),
    }


def _published_place(media: Media, root: Path) -> str:
    if "://" in media.source:
        return media.source
    path = Path(media.source).resolve()
    if not path.is_relative_to(root):
        raise DataError(f"picture {media.source} lies outside {root}; name the folder that holds the pictures")
    return path.relative_to(root).as_posix()


def _exchange(record: Mapping[str, Any], root: Path) -> Exchange:
    images = texts(record.get("image", []), "image")
    turns = record.get("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise Malformed("conversations is not a list of turns")
    if [turn.get("from") for turn in turns] not in (["human"], ["human", "gpt"]):
        raise Malformed("conversations are not one question and at most one answer")
    asked, *said = texts([turn.get("value") for turn in turns], "values of the turns")
    check_text((asked, *said))
    body = asked.removeprefix(_IMAGE * len(images))
    if (images and body == asked) or body.startswith(_IMAGE):
        raise Malformed("placeholders and images disagree in number")
    places = [Media(picture_place(image, root)) for image in images]
    task = record.get("task")
    return Exchange(
        conversation=(user(*places, "\n" + body) if places else user(body),),
        answer=said[0] if said else None,
        task=f"ecommmmu/{our_name(task)}" if isinstance(task, str) else None,
    )
