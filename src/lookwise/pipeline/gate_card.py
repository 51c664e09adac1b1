"""The card of a gate that is taken home: what it is, how far to trust it, and what looking gains at several prices.

In: what gate.json says.  Out: Markdown.  Every number is one of gate.json's, with its unit and its denominator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["card"]

_PRICES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Prices of a picture, in right answers, beside the user's own."""


def card(record: Mapping[str, Any]) -> str:
    """Return the card."""
    run, model = record["run"], record["model"]
    never = record["threshold"] is None
    kind = "merged into `model/`" if model["form"] == "merged" else f"an adapter on {model['base']}, in `adapter/`"
    lines = [
        "# Which pictures are worth a look",
        "",
        f"A verifier ({model['base']}, {kind}) and the probability from which looking pays: "
        + ("looking never pays at this price." if never else f"{record['threshold']:.6g}."),
        f"From run {run['id']} of recipe {run['recipe']}, lookwise {record['lookwise']}, seed {run['seed']}, data "
        f"{run['data']['source']}; tasks: {', '.join(name.rsplit('/', 1)[-1] for name in record['prompts'])}.",
        "",
        "## How it is asked",
        "",
        record["asking"],
        f"The labels: {'; '.join(record['labels'])}.  The prompts stand in `gate.json`.",
        "Look at the candidate of highest probability, of every product, if it reaches the threshold; else answer from "
        "the text alone.  `lookwise predict FOLDER ROWS` does all of this for a file of rows, and from Python "
        "`lookwise.pipeline.gate.open_gate(folder)`.",
        "",
        *_trust(record["verifier"], record.get("verifier_samples", {})),
        *_prices(record),
    ]
    return "\n".join(lines) + "\n"


def _trust(verifier: Mapping[str, Any], whose: Mapping[str, Any]) -> Iterator[str]:
    yield "## How far to trust it"
    yield ""
    yield "On the run's test samples; a candidate counts as helpful by the truth of the generated shop, or as measured."
    if any(_on_validation(whose, source) for source in verifier):
        yield "No test sample was measured: (validation) is of validation samples that did not teach the verifier."
    for source, parts in verifier.items():
        name = f"{source} (validation)" if _on_validation(whose, source) else source
        for part, score in parts.items():
            if not score["n"]:
                continue
            yield ""
            yield (
                f"**{name}, {part}**: {score['helpful']} helpful of {score['n']} candidates; area under ROC "
                f"{_number(score['auc'])}; expected calibration error {_number(score['error'])}."
            )
            yield ""
            yield "| candidates | mean probability | share helpful |"
            yield "|---|---|---|"
            for part_bin in score["bins"]:
                yield f"| {part_bin['n']} | {part_bin['predicted']:.3f} | {part_bin['helpful']:.3f} |"
    yield ""


def _on_validation(whose: Mapping[str, Any], source: str) -> bool:
    return bool(whose.get(source, {}).get("splits") == ["val"])


def _prices(record: Mapping[str, Any]) -> Iterator[str]:
    price = record["price"]
    looks = record["curves"]["right answers"]
    each, n = price["pictures_a_look"], max((look["n"] for look in looks), default=0)
    mine = [] if price["picture"] is None else [price["picture"]]
    yield "## What looking gains, at what price"
    yield ""
    yield (
        f"On {n} validation samples that did not teach the verifier, by the assessor's answers with and without the "
        "picture.  The threshold is chosen on these very samples: expect a little less of new ones.  A look shows "
        f"{each:.2f} pictures on average.  The price is that of one picture, in right answers: 0.01 is a picture that "
        "costs a hundredth of what a right answer is worth to you.  Finding out costs one call of the verifier a "
        "candidate, which is not in the price."
    )
    yield ""
    yield "| price of a picture | threshold | samples looked at | right answers gained a sample | less the price |"
    yield "|---|---|---|---|---|"
    for one in sorted({*_PRICES, *mine}):
        look = _best(looks, one * each)
        if look is not None:
            at = "never look" if look["threshold"] is None else f"{look['threshold']:.6g}"
            net = look["worth"] - one * each * look["looked"]
            mark = " (yours)" if one in mine else ""
            yield f"| {one:g}{mark} | {at} | {look['looked']:.1%} | {look['worth']:+.4f} | {net:+.4f} |"
    yield ""
    unit = "nats of log p(right answer)" if price["unit"] == "nats" else "right answers"
    yield f"The threshold above was chosen at {price['look']:g} {unit} a look."


def _best(looks: Sequence[Mapping[str, Any]], price: float) -> Mapping[str, Any] | None:
    """Return the look with the highest worth less its price; of equals the one that looks least."""
    return max(looks, key=lambda look: (look["worth"] - price * look["looked"], -look["looked"]), default=None)


def _number(value: float | None) -> str:
    return "not known (one class alone)" if value is None else f"{value:.3f}"
