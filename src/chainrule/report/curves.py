"""Charts as SVG within a page: lines over epochs, points in a plane, bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.report.markup import Markup, element
from chainrule.report.numbers import linear_ticks, logarithmic_ticks, told

Floats = NDArray[np.float64]

#: The whole drawing and the margins around its plane, in units of the drawing.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 560.0, 300.0, 68.0, 12.0, 10.0, 38.0
#: A line has at most four points in each of so many columns: more than a screen can show.
_COLUMNS = 400
#: A number spread wider than this is drawn by its logarithm.
_WIDE = 30.0
#: Up to so many points are drawn as points too, and say what they are.
_FEW = 60
_MOST_POINTS, _WORST = 1500, 200


def floats(values: ArrayLike) -> Floats:
    """Values as an array of float64."""
    return np.asarray(values, np.float64)


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a chart: its name, its points, and the class that colours it; ``faint`` for what lies behind."""

    name: str
    x: Floats
    y: Floats
    colour: str = "one"
    faint: bool = False

    def finite(self) -> Line:
        """The line without the points that are not finite."""
        good = np.isfinite(self.x) & np.isfinite(self.y)
        return Line(self.name, self.x[good], self.y[good], self.colour, self.faint)


@dataclass(frozen=True, eq=False)
class Axis:
    """Numbers along one side of a plane, and where they are drawn."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    ticks: Sequence[float] = field(default=())

    def __call__(self, values: ArrayLike) -> Floats:
        """Where values lie."""
        low, high, placed = self.low, self.high, floats(values)
        if self.logarithmic:
            low, high, placed = math.log10(low), math.log10(high), np.log10(placed)
        return floats(self.start + (placed - low) / (high - low) * (self.end - self.start))


def axis(values: Floats, start: float, end: float, *, logarithmic: bool = False, tight: bool = False) -> Axis:
    """An axis that has room for all of the values; ``tight`` ends with them."""
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        room = (high / low) ** 0.04 if high > low else 2.0
        low, high = low / room, high * room
        return Axis(low, high, start, end, True, logarithmic_ticks(low, high))
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        room = abs(high) / 10 or 0.5
        low, high = low - room, high + room
    elif not tight:
        room = (high - low) * 0.04
        low, high = (0.0 if 0 <= low <= room else low - room), high + room
    return Axis(low, high, start, end, False, linear_ticks(low, high))


def thin(x: Floats, y: Floats, columns: int = _COLUMNS) -> tuple[Floats, Floats]:
    """Fewer points that draw the same line: of each column the first, the lowest, the highest and the last.

    >>> x = np.arange(10_000.0); y = np.where(x == 4321, 99.0, 0.0)
    >>> fewer = thin(x, y)
    >>> len(fewer[0]) < 1000, float(fewer[1].max())
    (True, 99.0)
    """
    if len(x) <= 4 * columns:
        return x, y
    edges = np.searchsorted(x, np.linspace(x[0], x[-1], columns + 1)[1:-1])
    kept: list[int] = []
    for start, end in zip([0, *edges], [*edges, len(x)], strict=True):
        if end > start:
            part = y[start:end]
            kept += sorted({start, start + int(part.argmin()), start + int(part.argmax()), end - 1})
    chosen = np.array(kept)
    return x[chosen], y[chosen]


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    across: str = "epoch",
    points: Callable[[float], str] = told,
    by_size: bool = True,
) -> Markup | None:
    """A figure with lines over a common axis; by logarithms where they are positive and far apart. None without any.

    A few numbers that are much smaller than the rest, as the last of a schedule are, do not make them far apart; and
    with ``by_size`` false nothing does: an accuracy is read by its distance from 1.
    """
    lines = [line for line in (line.finite() for line in lines) if len(line.x)]
    if not lines:
        return None
    every = np.concatenate([line.y for line in lines])
    logarithmic = bool(by_size and every.min() > 0 and every.max() / np.quantile(every, 0.2, method="lower") > _WIDE)
    across_all = np.concatenate([line.x for line in lines])
    horizontal = axis(across_all, _LEFT, _WIDTH - _RIGHT, tight=True)
    vertical = axis(every, _HEIGHT - _BOTTOM, _TOP, logarithmic=logarithmic)
    drawn: list[Markup] = []
    for line in lines:
        drawn += _drawn(line, horizontal, vertical, across)
    names = [_legend(line.name, line.colour) for line in lines if line.name]
    scale = element("span", "logarithmic") if logarithmic else None
    return element(
        "figure",
        element("figcaption", title, names, scale),
        plane(horizontal, vertical, drawn, across, f"{title} by {across}"),
    )


def _drawn(line: Line, horizontal: Axis, vertical: Axis, across: str) -> list[Markup]:
    x, y = thin(line.x, line.y)
    found = []
    if len(x) > 1:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(horizontal(x), vertical(y), strict=True))
        found.append(element("path", d=f"M{path}", class_=f"{line.colour}{' faint' if line.faint else ''}"))
    if len(x) == 1 or (len(x) <= _FEW and not line.faint):
        for a, b, one, other in zip(horizontal(x), vertical(y), x, y, strict=True):
            said = f"{line.name + ', ' if line.name else ''}{across} {told(float(one))}: {told(float(other))}"
            spot = element("title", said)
            found.append(element("circle", spot, cx=f"{a:.1f}", cy=f"{b:.1f}", r=2.6, class_=line.colour))
    return found


def _legend(name: str, colour: str) -> Markup:
    return element("span", element("i", class_=colour), name)


def scatter(title: str, x: Floats, y: Floats, across: str, up: str) -> Markup:
    """Points of what is true and what was said, and the line on which both are the same."""
    chosen = _worst_first(np.abs(y - x))
    both = np.concatenate([x, y])
    horizontal = axis(both, _LEFT, _WIDTH - _RIGHT)
    vertical = axis(both, _HEIGHT - _BOTTOM, _TOP)
    ends = floats([horizontal.low, horizontal.high])
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(horizontal(ends), vertical(ends), strict=True))
    drawn = [element("path", d=f"M{path}", class_="level plain")]
    drawn += [_point(horizontal, vertical, float(x[place]), float(y[place])) for place in chosen]
    part = (
        None
        if len(chosen) == len(x)
        else element("span", f"{len(chosen):,} of {len(x):,}, the largest errors among them")
    )
    return element(
        "figure", element("figcaption", title, part), plane(horizontal, vertical, drawn, across, title, up=up)
    )


def residuals(title: str, said: Floats, errors: Floats, across: str, up: str) -> Markup:
    """Points of what was said and how far it was off; a good fit has no shape here."""
    chosen = _worst_first(np.abs(errors))
    horizontal = axis(said, _LEFT, _WIDTH - _RIGHT)
    most = float(np.abs(errors).max()) or 1.0
    vertical = axis(floats([-most, most]), _HEIGHT - _BOTTOM, _TOP)
    zero = float(vertical(0.0))
    drawn = [element("path", d=f"M{_LEFT},{zero:.1f} {_WIDTH - _RIGHT},{zero:.1f}", class_="level plain")]
    drawn += [_point(horizontal, vertical, float(said[place]), float(errors[place])) for place in chosen]
    return element("figure", element("figcaption", title), plane(horizontal, vertical, drawn, across, title, up=up))


def bars(title: str, counts: Sequence[float], edges: Floats, across: str) -> Markup:
    """How many values lie between edges."""
    horizontal = axis(edges, _LEFT, _WIDTH - _RIGHT, tight=True)
    vertical = axis(floats([0.0, *counts]), _HEIGHT - _BOTTOM, _TOP)
    drawn, places = [], horizontal(edges)
    for count, left, right, low, high in zip(counts, places, places[1:], edges, edges[1:], strict=False):
        top, bottom = float(vertical(count)), float(vertical(0.0))
        said = element("title", f"{told(float(low))} to {told(float(high))}: {told(float(count))}")
        drawn.append(
            element(
                "rect", said, x=f"{left + 0.5:.1f}", y=f"{top:.1f}", width=f"{max(right - left - 1, 0.5):.1f}",
                height=f"{bottom - top:.1f}", class_="bar one",
            )
        )  # fmt: skip
    return element("figure", element("figcaption", title), plane(horizontal, vertical, drawn, across, title))


def plane(
    horizontal: Axis, vertical: Axis, drawn: Sequence[Markup], across: str, label: str, *, up: str = ""
) -> Markup:
    """Axes with their numbers, and what is drawn between them."""
    bottom, parts = _HEIGHT - _BOTTOM, []
    for tick, place in zip(vertical.ticks, vertical(vertical.ticks), strict=True):
        parts.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{place:.1f}", y2=f"{place:.1f}", class_="grid"))
        parts.append(element("text", told(tick), x=_LEFT - 6, y=f"{place + 4:.1f}", text_anchor="end"))
    for tick, place in zip(horizontal.ticks, horizontal(horizontal.ticks), strict=True):
        anchor = "end" if place > _WIDTH - _RIGHT - 12 else "middle"
        parts.append(element("line", x1=f"{place:.1f}", x2=f"{place:.1f}", y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(element("text", told(tick), x=f"{place:.1f}", y=bottom + 16, text_anchor=anchor))
    parts.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(element("text", across, x=middle, y=_HEIGHT - 6, text_anchor="middle"))
    if up:
        place = (_TOP + bottom) / 2
        turned = f"rotate(-90 12 {place})"
        parts.append(element("text", up, x=12, y=place, text_anchor="middle", transform=turned))
    box = f"0 0 {_WIDTH:g} {_HEIGHT:g}"
    return element("svg", parts, drawn, viewBox=box, role="img", aria_label=label)


def _point(horizontal: Axis, vertical: Axis, x: float, y: float) -> Markup:
    a, b = float(horizontal(x)), float(vertical(y))
    return element("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r=2, class_="one", opacity=0.55)


def _worst_first(errors: Floats) -> NDArray[np.int64]:
    """The places to draw: all, or the worst and a regular choice of the rest."""
    if len(errors) <= _MOST_POINTS:
        return np.arange(len(errors))
    order = np.argsort(-errors, kind="stable")
    rest = np.sort(order[_WORST:])
    return np.concatenate([order[:_WORST], rest[:: math.ceil(len(rest) / (_MOST_POINTS - _WORST))]])
