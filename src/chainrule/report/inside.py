"""What is to be seen inside a network for images, as a section of the page: small pictures that it holds itself."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import numpy as np

from chainrule.data import Dataset
from chainrule.engines.choose import choose
from chainrule.errors import ChainruleError, DataError
from chainrule.report.markup import Child, Markup, element
from chainrule.report.tables import cut

if TYPE_CHECKING:
    from chainrule.explain.inside.panels import Panel, Points, Tiles
    from chainrule.run import Data, Run

#: What is shown, and of how many samples the map is made: a page is to be written in a moment.
_WHAT = ("filters", "features", "saliency", "integrated", "grad-cam", "map")
_SAMPLES = 128
#: What asks the network a hundred times is left out where its layers give more numbers a sample than this.
_OFTEN, _LARGE = ("integrated", "map"), 200_000
_WIDTH, _HEIGHT, _ROOM = 560.0, 360.0, 14.0
#: Colours of classes go around the circle by this angle, so that neighbours differ.
_TURN = 137.5


def inside_section(run: Run, data: Data) -> list[Child]:
    """Filters, feature maps, what of a sample matters, a map, the surest mistakes; nothing for what sees no images."""
    from chainrule.explain.inside import filters, look, mistakes
    from chainrule.explain.inside.looking import mistake_panels
    from chainrule.explain.inside.shapes import images_of, placed_layer

    if run.model is None or not isinstance(data, Dataset) or len(data) < 3:
        return []
    try:
        images_of(run, "")
        filters(run)
        placed_layer(run, None, "", last=True)
    except DataError:
        return []
    # A few samples: compiling a program for each view would take longer than NumPy does.
    plain = copy.copy(run)
    plain.engine, plain._measures, plain._predictor = choose("reference"), {}, None
    try:
        wrong = mistakes(run, data) if run.classes is not None and data.targets is not None else None
        sample = int(wrong.indices[0]) if wrong is not None and len(wrong) else 0
        numbers = sum(math.prod(one.output[1:]) for one in run.layers)
        names = [name for name in _WHAT if numbers <= _LARGE or name not in _OFTEN]
        panels = list(look(plain, data, sample, names, samples=_SAMPLES).panels)
        panels += [] if wrong is None else mistake_panels(run, data, wrong)
    except ChainruleError as error:  # a network of one's own may want another way
        return [element("p", f"It could not be looked into: {error}", class_="soft")]
    more = "For other samples, and for more to look at: chainrule look, or run.look."
    return [*(panel_markup(panel) for panel in panels), element("p", more, class_="soft")]


def panel_markup(panel: Panel) -> Markup:
    """Tiles as images with words below them, points as a drawing."""
    from chainrule.explain.inside.panels import Points

    drawn = _points(panel) if isinstance(panel, Points) else _tiles(panel)
    return element("figure", element("figcaption", panel.title[:1].upper() + panel.title[1:]), drawn)


def _tiles(panel: Tiles) -> Markup:
    from chainrule.explain.inside.colours import data_uri

    tiles = [
        element("div", element("img", src=data_uri(image), alt=cut(word)), element("small", cut(word)))
        for image, word in zip(panel.images, panel.words, strict=True)
    ]
    return element("div", tiles, class_="views")


def _points(panel: Points) -> Markup:
    """Each sample by the name of its class, if that is short, and by its colour."""
    low, high = panel.points.min(axis=0), panel.points.max(axis=0)
    part = (panel.points - low) / np.where(high > low, high - low, 1.0)
    places = _ROOM + part * (np.array([_WIDTH, _HEIGHT]) - 2 * _ROOM)
    labels = np.full(len(places), -1) if panel.labels is None else panel.labels
    marks = []
    for (x, y), label in zip(places.tolist(), labels.tolist(), strict=True):
        name = panel.classes[label] if label >= 0 else ""
        colour = f"hsl({label * _TURN % 360:.0f} 65% 45%)" if label >= 0 else None
        down = _HEIGHT - y
        if 0 < len(name) <= 2:
            style = None if colour is None else f"fill: {colour}"
            marks.append(element("text", name, x=f"{x:.1f}", y=f"{down + 4:.1f}", text_anchor="middle", style=style))
        else:
            style = None if colour is None else f"color: {colour}"
            marks.append(
                element("circle", element("title", cut(name)), cx=f"{x:.1f}", cy=f"{down:.1f}", r=3.5, style=style)
            )
    return element("svg", marks, viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}", role="img", class_="points")
