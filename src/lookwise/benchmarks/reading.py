"""The robust rule: what answer does a reply state?

In: a reply, and a `Reading` (the answers that were open, with the full option texts where there are any).  Out: the one
answer stated, or None.  It knows no task and no gold, and it never guesses.

How it reads, in this order, after case, quotes and markdown are put aside:
1. The whole reply is an answer, or an option's text.
2. It says where its answer is ("the answer is", "option", "I choose", "sentiment:"): that answer counts, unless another
   is offered beside it ("B or C"), stated elsewhere, or opens the reply ("Yes, the answer is no").
3. It opens with an answer ("B: ...", "Yes, because"): that one, unless another is stated later.
4. Otherwise the only answer that it names, if none is denied ("not A but B" states nothing).
A letter must stand like an answer (a capital before a mark, in brackets): an article or pronoun ("a", "I") is a word.
"no" must stand for itself: "there is no box" says nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Reading", "read_answer"]


@dataclass(frozen=True, slots=True)
class Reading:
    """The open answers; `texts[i]` is the full text of answer i, where answers are letters."""

    answers: tuple[str, ...]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Mention:
    """A place in the reply that may name an answer; `letter` when it is a lone letter; `answer` None: letter ≠ text."""

    answer: str | None
    start: int
    end: int
    letter: str = ""


# A word character, but for scripts that write without spaces: "是positive" names the label.
_WORD = r"[^\W\u2e80-\u9fff\uac00-\ud7af]"
_OPEN = r"[\s(\[{<]*"
_LONE = re.compile(rf"(?<!{_WORD})(?<!{_WORD}-)[A-Za-z](?!{_WORD})(?!-{_WORD})(?!'{_WORD})")
_BEFORE = re.compile(rf"(?:{_WORD}|{_WORD}-)$")
_AFTER = re.compile(rf"{_WORD}|[-']{_WORD}")
_LED = re.compile(rf"(?<!{_WORD})([A-Za-z])([\s:.)\]\-]+)$")
_CAPITALS = frozenset("BCDEFGHJKLMNOPQRSTUVWXYZ")
"""Capitals that are no word by themselves, so that they may stand before a text without a mark."""
_NOUN = (
    r"(?:answer|option|choice|label|letter|category|relation(?:ship)?|relevance|sentiment|emotion|intent(?:ion)?|act|style|"
    r"behaviou?r|prediction|verdict|class|classification|result|response|decision|conclusion|output|rating|"
    r"recommendation|next product)"
)
_BE = r"(?:is|was|would be|should be|must be|will be)"
_SURELY = r"(?:probably|likely|most likely|clearly|definitely|certainly|absolutely|surely|therefore|thus)"
_STATED = re.compile(
    rf"(?:\b{_NOUN}\s*(?:{_BE}\b(?:\s+{_SURELY}\b)?\s*[:=\-]*|[:=]|->|→)|\b(?:answer|option|choice|label|letter)|"
    rf"\b(?:choose|pick|select|go with|going with|say|predict|recommend|vote)\b:?)"
    rf"\s*(?:(?:the\s+)?(?:option|choice|letter|label|category)\s*:?)?{_OPEN}$",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\b(?:not|never|neither|nor|non|rather than|instead of|except|without|cannot be)|n't)\b"
    rf"(?:\s+(?:a|an|the|option|choice|be|really|quite|exactly|simply|clearly))*{_OPEN}$",
    re.IGNORECASE,
)
_REJECTED = re.compile(r"[)\]}\s]*\s(?:is|was|seems|would be)(?:n't|\s+(?:not|wrong|incorrect|false))\b", re.IGNORECASE)
_BESIDE = re.compile(
    r"[)\]}>\s]*(?:[,/|&+]|\b(?:and|or|nor|but|versus|vs)\b)[\s,/.]*"
    rf"(?:(?:or|and|also|maybe|perhaps|possibly|option|choice|the)\b\s*)*{_OPEN}$",
    re.IGNORECASE,
)
_MARK = r"\s*(?:[.,:;!?()\]}>/|=\-]|\n|$)"
_REASON = r"\s+(?:because|since|as|given|based|due)\b"
_BRACKETED = re.compile(r"[(\[{<]\w[)\]}>]")
_CLOSES = re.compile(rf"{_MARK}|{_REASON}")
_GOES_ON = re.compile(rf"{_MARK}|{_REASON}|\s+(?:is|was|or|and|but|nor)\b")
_LABELS = re.compile(r"\s*[:)\]]")
_CLAUSE = re.compile(
    rf"(?:^|[.,:;!?\n(\[{{<>/=\-]|\b(?:be|with|and|or|so|thus|hence|therefore|think|is)\b){_OPEN}$", re.IGNORECASE
)
_SAID = re.compile(
    rf"(?:^|[.,:;!?\n(\[{{<>/=\-]|\b(?:and|or|so|hence|think|{_SURELY})\b){_OPEN}$",
    re.IGNORECASE,
)
_NEAR = 80
"""How many characters before a mention can tell how it is meant."""
_BRIEF = re.compile(r"\s*(?:[.,;!\n]|$)")
_SUBJECT = re.compile(r"\s+(?:it|this|that|these|those|the|there|i|we|they)\b", re.IGNORECASE)


def read_answer(reply: str, reading: Reading) -> str | None:
    """Return the one answer that the reply states, or None when it states none or more than one."""
    if reply in reading.answers:
        return reply
    text = _plain(reply)
    names = _names(reading)
    whole = names.get(_key(text.strip(" \n.,:;!?()[]{}<>-")))
    if whole is not None:
        return whole
    found = _mentions(text, reading)
    stated = [
        m
        for m in found
        if _stands(m, text) and _STATED.search(text, max(0, m.start - _NEAR), m.start) and not _denied(m, text)
    ]
    if stated:
        # A reply may list the options first; only a bare answer at its head speaks against the stated one.
        bare = (m for m in found[:1] if m.letter or not reading.texts)
        head = [m for m in bare if _opens(m, text) and _BRIEF.match(text, m.end)]
        return _agreed([*stated, *head], [o for m in stated for o in _beside(m, found, text)])
    if found and _opens(found[0], text):
        first, rest = found[0], found[1:]
        later = [m for m in rest if _contradicts(first, m, text) and not _denied(m, text)]
        return _agreed([first], later + _beside(first, found, text))
    if any(_denied(m, text) for m in found if _stands(m, text)):
        return None
    firm = [m for m in found if _firm(m, text)]
    return _agreed(firm, [m for m in found if _stands(m, text)]) if firm else None


# ------------------------------------------------------------------------------------------------------- text and names


def _plain(reply: str) -> str:
    """Return the reply without reasoning block, markdown, quotes; spaces folded, line ends kept."""
    text = unicodedata.normalize("NFKC", re.sub(r"<think>.*?</think>", "", reply, flags=re.DOTALL))
    text = re.sub(r"[’‘]", "'", text)
    text = re.sub(r"[*`\"“”„«»#~$\\]|(?<!\w)'|'(?!\w)", "", text)
    return re.sub(r"[^\S\n]+", " ", text.replace("_", " ").replace("–", "-").replace("—", "-")).strip()


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


@lru_cache(maxsize=4096)
def _names(reading: Reading) -> dict[str, str]:
    """Return what names which answer: the answers, and option texts that only one option has."""
    names: dict[str, str] = {}
    shared: set[str] = set()
    for answer, text in zip(reading.answers, reading.texts, strict=bool(reading.texts)):
        key = _key(_plain(text).rstrip(" .,;:!?"))
        if names.get(key, answer) != answer:
            shared.add(key)
        if len(key) > 1:
            names[key] = answer
    for key in shared:
        del names[key]
    return names | {_key(_plain(answer)): answer for answer in reading.answers}


def _mentions(text: str, reading: Reading) -> list[_Mention]:
    """Return every place that may name an answer, in order: words and option texts first, the longest before all."""
    names = _names(reading)
    low = _folded(text)
    taken = bytearray(len(text))
    found = []
    for key in sorted((key for key in names if len(key) > 1), key=len, reverse=True):
        for start, end in _places(key, low):
            if not any(taken[start:end]):
                start, answer = _with_letter(text, start, names, names[key])
                found.append(_Mention(answer, start, end))
                taken[start:end] = b"x" * (end - start)
    for match in _LONE.finditer(text):
        answer = names.get(match[0].casefold())
        if answer is not None and not taken[match.start()]:
            found.append(_Mention(answer, match.start(), match.end(), match[0]))
    return sorted(found, key=lambda m: m.start)


def _folded(text: str) -> str:
    """Return the text for comparison, place by place: lower case, line ends as spaces."""
    low = text.replace("\n", " ").lower()
    return low if len(low) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _places(key: str, low: str) -> Iterator[tuple[int, int]]:
    """Yield where a name stands as words of its own."""
    start = low.find(key)
    while start >= 0:
        end = start + len(key)
        if not _BEFORE.search(low, max(0, start - 2), start) and not _AFTER.match(low, end):
            yield start, end
        start = low.find(key, start + 1)


def _with_letter(text: str, start: int, names: Mapping[str, str], answer: str) -> tuple[int, str | None]:
    """Return where an option's text begins with the letter before it, and the answer: None when the two disagree."""
    led = _LED.search(text, max(0, start - 8), start)
    if led is None:
        return start, answer
    letter = names.get(led[1].casefold())
    if letter is None or (not led[2].strip() and led[1] not in _CAPITALS):
        return start, answer
    return led.start(1), answer if letter == answer else None


# ------------------------------------------------------------------------------------------------ how a mention stands


def _stands(mention: _Mention, text: str) -> bool:
    """Could this be an answer at all?  Articles, pronouns and "no" before a noun could not."""
    if mention.letter.islower():
        return bool(re.compile(_MARK).match(text, mention.end))
    if mention.letter in ("A", "I"):
        return bool(_GOES_ON.match(text, mention.end))
    if _key(text[mention.start : mention.end]) == "no":
        return bool(_GOES_ON.match(text, mention.end))
    return True


def _opens(mention: _Mention, text: str) -> bool:
    """Is this an answer at the head of the reply?"""
    if text[: mention.start].strip(" \n([{<>-•") or _denied(mention, text):
        return False
    word = _key(text[mention.start : mention.end])
    if mention.letter.islower():
        return bool(_LABELS.match(text, mention.end))
    if mention.letter:
        return _stands(mention, text)
    if word == "no":
        return bool(_GOES_ON.match(text, mention.end) or _SUBJECT.match(text, mention.end))
    return word == "yes" or bool(_GOES_ON.match(text, mention.end))


def _firm(mention: _Mention, text: str) -> bool:
    """Does this stand like an answer in the middle of a reply?"""
    if mention.letter:
        bracketed = (
            mention.start > 0 and text[mention.start - 1] in "([{<" and text[mention.end : mention.end + 1] in ")]}>"
        )
        if mention.letter.islower():
            return bracketed and bool(text[mention.end : mention.end + 1])
        clause = _CLAUSE.search(text, max(0, mention.start - _NEAR), mention.start) and _CLOSES.match(text, mention.end)
        return bool(_LABELS.match(text, mention.end) or clause)
    if _key(text[mention.start : mention.end]) in ("yes", "no"):
        return bool(
            _SAID.search(text, max(0, mention.start - _NEAR), mention.start) and _CLOSES.match(text, mention.end)
        )
    return True


def _contradicts(first: _Mention, other: _Mention, text: str) -> bool:
    """Does a later mention take back an answer that opened the reply?

    After a letter only a stated letter does: option texts may share words.
    """
    return _firm(other, text) and not (first.letter and not other.letter and other.answer is not None)


def _denied(mention: _Mention, text: str) -> bool:
    return bool(
        _DENIED.search(text, max(0, mention.start - _NEAR), mention.start) or _REJECTED.match(text, mention.end)
    )


def _beside(mention: _Mention, found: list[_Mention], text: str) -> list[_Mention]:
    """Return the mention offered next to this one ("B or C", "yes/no"), if any."""
    following = next((m for m in found if m.start >= mention.end), None)
    if (
        following is None
        or following.letter.islower()
        or (following.letter in ("A", "I") and not _stands(following, text))
    ):
        return []
    joint = text[mention.end : following.start]
    if not (joint.isspace() or _BESIDE.fullmatch(joint)) or _denied(following, text):
        return []
    # "yes, no doubt" and "yes no doubt" offer no second answer; "yes/no", "yes or no", "yes no" do.
    return [following] if joint.strip(" ,") or _stands(following, text) else []


def _agreed(chosen: list[_Mention], others: list[_Mention]) -> str | None:
    answers = {m.answer for m in (*chosen, *others)}
    return answers.pop() if len(answers) == 1 else None
