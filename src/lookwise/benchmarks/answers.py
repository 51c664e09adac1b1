"""A model's reply, read as an answer: one function per rule, all pure.

In: the reply's text and the answers that were open.  Out: the canonical answer (a letter, a label, "yes"), or None
where the reply states none or more than one.  It knows no file, no metric and no gold.

Two rules stand beside each other.  `published_*` read exactly what the four published programs read, defects included
(tests/benchmarks/test_golden.py holds them to it), so that a paper's number can be compared.  `robust` is ours
(reading.py says how it reads): case, punctuation and wording are tolerated, ambiguity never is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from lookwise.benchmarks.reading import Reading, read_answer
from lookwise.rows import Verdict
from lookwise.sample import Sample
from lookwise.task import Parse, Rule

__all__ = [
    "MULTI",
    "UNKNOWN",
    "letters",
    "option_letter",
    "option_readings",
    "parsers",
    "published_ballot",
    "published_caslie",
    "published_ecommmmu",
    "published_mmie",
    "published_mmla",
    "robust",
    "robust_score",
    "verdict",
]

UNKNOWN = "unknown"
MULTI = "multi"
"""MMLA's words for a reply that names no label, and for one that names several."""

_LETTERED = re.compile(r"\s*([A-Z])\s*[:.)]\s*(.*)", re.DOTALL)
_BALLOT_LENGTH = 3
_SCORES = range(7)


def letters(count: int) -> tuple[str, ...]:
    """Return the first capital letters, A onward."""
    return tuple(chr(ord("A") + i) for i in range(count))


def option_letter(option: str) -> tuple[str, str]:
    """Return an option's letter and its text; an option without a letter is its own answer."""
    match = _LETTERED.fullmatch(option)
    return (match.group(1), match.group(2).strip()) if match else (option.strip(), option.strip())


@lru_cache(maxsize=4096)
def option_readings(options: tuple[str, ...]) -> Reading:
    """Return what the robust rule looks for: each option's letter, and its full text where no other option has it."""
    pairs = [option_letter(option) for option in options]
    return Reading(tuple(answer for answer, _ in pairs), tuple(text for _, text in pairs))


# ---------------------------------------------------------------------------------------------- the published programs


def published_caslie(reply: str, labels: Collection[str]) -> str | None:
    """Read as CASLIE's evaluate.py: a reply with a colon anywhere is its first character; it must be a label as it is.

    `labels` are those that occur in the gold, as there.
    """
    text = reply.strip()
    if ":" in text:
        text = text[0]
    return text if text in labels else None


def published_ecommmmu(reply: str, options: Sequence[str]) -> str | None:
    """Read as EcomMMMU's utils.py: after the last "assistant", an option at the start, else one before a colon.

    The answer keeps the reply's case ("Yes"); whether that still counts is the published metric's business.
    """
    text = reply.split("assistant")[-1].replace("\n", " ").strip()
    match = _ecommmmu_pattern(tuple(options)).search(text)
    return (match.group(1) or match.group(2)) if match else None


@lru_cache(maxsize=64)
def _ecommmmu_pattern(options: tuple[str, ...]) -> re.Pattern[str]:
    spelled = dict.fromkeys(form for option in options for form in _spellings(option))
    either = "|".join(map(re.escape, spelled))
    return re.compile(rf"^({either})\b|\b({either}):")


def _spellings(option: str) -> tuple[str, ...]:
    """A letter is known in one case, a word in three, a phrase in two."""
    if len(option) == 1:
        return (option,)
    return (option, option.capitalize()) if " " in option else (option, option.capitalize(), option.upper())


def published_mmla(reply: str | None, labels: Sequence[str]) -> str:
    """Read as MMLA's eval.py: the one label named anywhere, else "unknown" (none) or "multi" (several)."""
    text = (reply or "").lower()
    named = [label for label in labels if re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text)]
    return UNKNOWN if not named else named[0] if len(named) == 1 else MULTI


_MMIE_SCORE = re.compile(r"### Score.*?(-?\d+(\.\d+)?)", re.DOTALL)


def published_mmie(reply: str) -> int | None:
    """Read as MMIE's main.py: the first number after "### Score", rounded half to even; kept from 0 to 6."""
    match = _MMIE_SCORE.search(reply)
    score = round(float(match.group(1))) if match else -1
    return score if score in _SCORES else None


def published_ballot(reply: str) -> str:
    """Return a judge's reply cut to the string that CASLIE's cqe.py counts (first seen wins a tie, junk votes too)."""
    cut = reply.replace("\n", " ").strip()[:_BALLOT_LENGTH]
    return cut.strip().strip(".").strip(",").lower()


# ------------------------------------------------------------------------------------------------------------- our own


def robust(reply: str, reading: Reading) -> str | None:
    """Read by our rule: the one answer that the reply states, or None."""
    return read_answer(reply, reading)


_YES_NO = Reading(("yes", "no"))


def verdict(reply: str) -> Verdict | None:
    """Return a judge's vote, or None when the reply states neither or both."""
    vote = read_answer(reply, _YES_NO)
    return "yes" if vote == "yes" else "no" if vote == "no" else None


_HEADING = re.compile(r"#{1,6}\s*score\b|\bscore\b\s*(?:\*+)?\s*[:=]", re.IGNORECASE)
_SCALE = re.compile(r"(?:/|\bout of|\bof)\s*6\b(?:\s*points)?", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w)]|\.\d)")


def robust_score(reply: str) -> int | None:
    """Return the whole number from 0 to 6 that follows the last score heading, or None when it is not exactly one.

    The scale ("/6", "out of 6") and enumerations ("1)") are not scores; a fraction is not on the scale.
    """
    headings = list(_HEADING.finditer(reply))
    if not headings:
        return None
    section = _SCALE.sub(" ", reply[headings[-1].end() :])
    numbers = {float(n) for n in _NUMBER.findall(section)}
    score = numbers.pop() if len(numbers) == 1 else -1.0
    return int(score) if score in _SCORES else None


# --------------------------------------------------------------------------------------------------- for declarations


def parsers(labels: tuple[str, ...] = (), options: tuple[str, ...] = ()) -> Mapping[Rule, Parse]:
    """Return a task's two parsers.

    With `options` (full texts) or `labels` the same answers are open for every sample; without either they are the
    sample's own options.  The published one is CASLIE's, with the declared labels in place of those in the gold.
    """
    fixed = option_readings(options) if options else Reading(labels) if labels else None

    def reading(sample: Sample) -> Reading:
        return fixed or option_readings(sample.options)

    rules: dict[Rule, Callable[[str, Sample], str | None]] = {
        "robust": lambda reply, sample: read_answer(reply, reading(sample)),
        "published": lambda reply, sample: published_caslie(reply, reading(sample).answers),
    }
    return MappingProxyType(rules)
