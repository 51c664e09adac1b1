"""Charts as SVG in the page itself: score against cost, one for each reader; and a verifier's calibration.

In: a table of policies, or a verifier's curves.  Out: markup without script, style or outside reference (the page's own
policy allows none); every text in it is escaped.  All charts of a table share their scales, so that readers can be
compared across them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from lookwise.report.policies import PolicyLine, PolicyTable
from lookwise.report.tables import is_oracle
from lookwise.report.verifier import Curve
from lookwise.report.words import number

__all__ = ["calibration_charts", "cost_charts"]

_WIDTH, _HEIGHT = 510, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 220, 28, 40
"""Room for the axis, the list of policies, the title, and the axis below."""
_NEAR = 9.0
"""Pixels within which points share one label."""
_WIDE = 8.0
"""Costs that differ by more than this factor stand on a logarithmic axis."""
_COLOURS = {"none": "#777777", "captions": "#b35c00", "visuals": "#2266bb"}
"""By form; oracles are drawn hollow, for nobody can have them."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """A scale from values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return a value's pixel."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        return self.start + (at - low) / (high - low) * (self.end - self.start)


def cost_charts(table: PolicyTable) -> str:
    """Return the charts of a table, or nothing where no policy has both a score and a cost."""
    lines = [line for line in table.lines if line.value is not None and line.tokens_in + line.tokens_out > 0]
    if len({line.policy for line in lines}) < 2:
        return ""
    across, up = _axes(lines)
    charts = (_chart(group, [line for line in lines if line.group == group], across, up) for group in table.groups)
    return f'<div class="charts">{"".join(charts)}</div>'


_SIDE, _ABOVE, _BESIDE = 260, 44, 22
"""Pixels of a calibration chart, its axis and title included, and room for the title and right of the axis."""


def calibration_charts(curves: Sequence[Curve]) -> str:
    """Return a chart for each curve: the share that was helpful over the probability said, and where both are equal.

    A point's area goes by the candidates that it stands for.
    """
    return f'<div class="charts">{"".join(map(_calibration, curves))}</div>' if curves else ""


def _calibration(curve: Curve) -> str:
    across, up = _Axis(0.0, 1.0, _LEFT, _SIDE - _BESIDE), _Axis(0.0, 1.0, _SIDE - _BOTTOM, _ABOVE)
    most = max(n for _, _, n in curve.points)
    who, _, which = curve.name.partition(", ")
    places = [(across.place(said), up.place(was)) for said, was, _ in curve.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [
        _text(_LEFT - 30, 16, who, weight="600"),
        _text(_LEFT - 30, 31, which),
        _line(across.start, up.start, across.end, up.start),
        _line(across.start, up.start, across.start, up.end),
        _line(across.start, up.start, across.end, up.end, faint=True),
        *(_text(across.start - 5, up.place(v) + 3, number(v), anchor="end") for v in (0.0, 0.5, 1.0)),
        *(_text(across.place(v), up.start + 14, number(v), anchor="middle") for v in (0.0, 0.5, 1.0)),
        _text((across.start + across.end) / 2, up.start + 30, "probability said", anchor="middle"),
        f'<polyline points="{path}" fill="none" stroke="{_COLOURS["visuals"]}" stroke-opacity=".6"/>',
    ]
    for (x, y), (said, was, n) in zip(places, curve.points, strict=True):
        told = escape(f"said {number(said)}, helpful {number(was)}, {n:,} candidates")
        radius = 2 + 6 * math.sqrt(n / most)
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{_COLOURS["visuals"]}" fill-opacity=".7"/>'
        parts.append(f"<g><title>{told}</title>{dot}</g>")
    title = escape(f"share helpful against probability said, {curve.name}")
    size = f'viewBox="0 0 {_SIDE} {_SIDE}" width="{_SIDE}"'
    return f'<svg {size} role="img" aria-label="{title}">{"".join(parts)}</svg>'


def _axes(lines: Sequence[PolicyLine]) -> tuple[_Axis, _Axis]:
    costs = [_tokens(line) for line in lines]
    log = max(costs) > _WIDE * min(costs)
    least, most = (min(costs) / 1.3, max(costs) * 1.3) if log else (0.0, max(costs) * 1.1)
    lows = [line.low if line.low is not None else line.value or 0.0 for line in lines]
    highs = [line.high if line.high is not None else line.value or 0.0 for line in lines]
    bottom, top = min(lows), max(highs)
    room = max((top - bottom) * 0.06, 0.01)
    return (
        _Axis(least, most, _LEFT, _WIDTH - _RIGHT, log),
        _Axis(bottom - room, top + room, _HEIGHT - _BOTTOM, _TOP),
    )


def _tokens(line: PolicyLine) -> float:
    return line.tokens_in + line.tokens_out


def _chart(group: str, lines: Sequence[PolicyLine], across: _Axis, up: _Axis) -> str:
    if not lines:
        return ""
    order = sorted(lines, key=_tokens)
    parts = [
        _text(_LEFT, 16, group, weight="600"),
        *_frame(across, up),
        *(_point(line, across, up) for line in order),
        *_numbers(order, across, up),
        *(_legend(place, line) for place, line in enumerate(order, 1)),
    ]
    title = escape(f"score against tokens a sample, {group}")
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}"'
    return f'<svg {size} role="img" aria-label="{title}">{"".join(parts)}</svg>'


def _frame(across: _Axis, up: _Axis) -> Iterable[str]:
    """Yield axes with their ticks."""
    yield _line(across.start, up.start, across.end, up.start)
    yield _line(across.start, up.start, across.start, up.end)
    for value in _ticks(up.low, up.high):
        yield _text(across.start - 5, up.place(value) + 3, number(value), anchor="end")
        yield _line(across.start, up.place(value), across.end, up.place(value), faint=True)
    for value in _decades(across.low, across.high) if across.log else _ticks(across.low, across.high):
        yield _text(across.place(value), up.start + 14, f"{value:,.0f}", anchor="middle")
    scale = "tokens a sample" + (", logarithmic" if across.log else "")
    yield _text((across.start + across.end) / 2, up.start + 30, scale, anchor="middle")


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round values within a range."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * k for k in (1, 2, 5, 10) if (high - low) / (step * k) <= 5)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten within a range, fewer where there would be many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [k * 10.0**p for p in powers for k in (1, 2, 5) if low <= k * 10.0**p <= high]
    return found if len(found) <= 5 else [v for v in found if math.log10(v).is_integer()]


def _numbers(lines: Sequence[PolicyLine], across: _Axis, up: _Axis) -> Iterable[str]:
    """Yield the points' numbers; points that lie upon one another share one."""
    labels: list[tuple[float, float, list[str]]] = []
    for place, line in enumerate(lines, 1):
        x, y = across.place(_tokens(line)), up.place(line.value or 0.0)
        near = next((said for x0, y0, said in labels if abs(x - x0) < _NEAR and abs(y - y0) < _NEAR), None)
        if near is None:
            labels.append((x, y, [str(place)]))
        else:
            near.append(str(place))
    for x, y, said in labels:
        yield _text(x + 7, y + 4, ", ".join(said))


def _point(line: PolicyLine, across: _Axis, up: _Axis) -> str:
    assert line.value is not None
    x, y, colour = across.place(_tokens(line)), up.place(line.value), _colour(line)
    said = f"{line.policy}: {number(line.value)}, {_tokens(line):,.0f} tokens, {line.calls:.1f} calls a sample"
    bar = ""
    if line.low is not None and line.high is not None:
        ends = f'y1="{up.place(line.low):.1f}" y2="{up.place(line.high):.1f}"'
        bar = f'<line x1="{x:.1f}" x2="{x:.1f}" {ends} stroke="{colour}" stroke-opacity=".45"/>'
    fill = "none" if is_oracle(line.policy) else colour
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'
    return f"<g><title>{escape(said)}</title>{bar}{dot}</g>"


def _legend(place: int, line: PolicyLine) -> str:
    return _text(_WIDTH - _RIGHT + 12, _TOP + 4 + 15 * place, f"{place}  {line.policy}", colour=_colour(line))


def _colour(line: PolicyLine) -> str:
    return _COLOURS.get(line.policy.partition(":")[0], "#777777")


def _line(x1: float, y1: float, x2: float, y2: float, *, faint: bool = False) -> str:
    opacity = ".12" if faint else ".5"
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="currentColor" stroke-opacity="{opacity}"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "400", colour: str = "currentColor"
) -> str:
    style = f'font-size="11" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
