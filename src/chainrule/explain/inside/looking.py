"""One look into a run: all that there is to be seen, in numbers and in pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data import Dataset
from chainrule.errors import ConfigurationError, DataError
from chainrule.explain.inside.embedding import Embedding, embedding
from chainrule.explain.inside.exciting import Excited, excite
from chainrule.explain.inside.filters import feature_maps, filters
from chainrule.explain.inside.grad_cam import grad_cam
from chainrule.explain.inside.mistakes import Mistakes, mistakes
from chainrule.explain.inside.occlusion import occlusion
from chainrule.explain.inside.panels import (
    MOST_POINTS,
    Panel,
    Tiles,
    heat_tiles,
    image_tiles,
    kernel_tiles,
    map_tiles,
    points,
    sign_tiles,
)
from chainrule.explain.inside.saliency import integrated_gradients, saliency, smooth_saliency
from chainrule.explain.inside.shapes import image_shape, placed_layer
from chainrule.explain.inside.telling import told
from chainrule.explain.inside.view import layer_named, model_layers, samples_seen
from chainrule.metrics.confusion import share

if TYPE_CHECKING:
    from chainrule.engines.protocol import Array
    from chainrule.run import Run


#: The panel of one sample, whatever is shown of it.
SAMPLE = "sample"


@dataclass(frozen=True)
class Look:
    """What was seen: it prints as tables, and `save` draws it.

    ``found`` has the numbers by the names in `WHAT`: arrays of one sample, (1, …), where a sample was looked at, as
    images if they are any, and `Excited`, `Embedding` and `Mistakes`. ``panels`` are pictures, arrays of colours.
    ``absent`` says why what was not asked for by name is not there.
    """

    sample: int
    #: What the sample is said to be, how surely, and what it is.
    said: str
    found: Mapping[str, Any]
    panels: tuple[Panel, ...]
    absent: Mapping[str, str]
    #: The names of the numbers of a sample, if it is no image.
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return told(self.said, self.found, self.absent, self.columns)

    def save(self, place: str | Path) -> list[Path]:
        """Draw all of it: in one picture for a name that ends in .png, else each in a file of its own, in a folder.

        Raises `MissingExtraError` where matplotlib is not installed, `DataError` where there is nothing to draw.
        """
        from chainrule.explain.inside.drawing import draw

        return draw(self.panels, Path(place))


@dataclass(frozen=True)
class _Asked:
    """What each part of a look is given."""

    run: Run
    data: Dataset
    sample: int
    output: str | int | None
    layer: str | None
    method: str
    samples: int

    @property
    def inputs(self) -> Dataset:
        return self.data.subset([self.sample])

    @property
    def image(self) -> Array:
        """The sample as an image, as the network sees it: (1, height, width, channels)."""
        return self.images(samples_seen(self.run, self.inputs))

    def images(self, seen: Array) -> Array:
        shape = image_shape(self.run)
        if shape is None:
            raise DataError("the samples are no images")
        found: Array = seen.reshape(-1, *shape)
        return found


Part = Callable[[_Asked], tuple[Any, list[Panel]]]


def look(
    run: Run,
    data: Dataset,
    sample: int = 0,
    what: Sequence[str] | None = None,
    *,
    output: str | int | None = None,
    layer: str | None = None,
    method: str = "pca",
    samples: int = MOST_POINTS,
) -> Look:
    """Look into a run: at its filters and units, at one sample of some data, and at all of these data.

    ``what`` are names: "filters", "features", "saliency", "smooth" (SmoothGrad), "integrated" (gradients), "grad-cam",
    "occlusion", "exciting", "map", "mistakes"; without them, all that this network and these data allow for. ``output``
    is the class or the output that a sample is asked for, what it is taken for if None; ``layer`` the path of the layer
    for those that look at one. ``method``, "pca" or "t-sne", is that of the map, and ``samples`` are how many it has,
    spread over the data. The functions of `chainrule.explain.inside` have more settings, one by one.

    Raises `ConfigurationError` for a name, a layer or a sample that there is not; `DataError` for what was asked for by
    name and cannot be: a dense network on a table has no filters.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits", images=True)
    >>> run = cr.fit(cr.Chain(cr.Conv2D(4, 3, cr.relu), cr.Flatten(), cr.Dense(10)), train, epochs=1)
    >>> seen = look(run, test, 3, ["saliency", "grad-cam"])
    >>> {name: array.shape for name, array in seen.found.items()}
    {'saliency': (1, 8, 8, 1), 'grad-cam': (1, 8, 8)}
    """
    model_layers(run)
    if not isinstance(data, Dataset):
        raise DataError("to look at samples, give a data set; of a stream, take some of it")
    if isinstance(sample, bool) or not isinstance(sample, int | np.integer) or not 0 <= sample < len(data):
        raise ConfigurationError(f"sample {sample!r}: there are samples 0 to {len(data) - 1:,}")
    if layer is not None:
        layer_named(run, layer)
    names = tuple(WHAT) if what is None else _names(what)
    asked = _Asked(run, data, int(sample), output, layer, method, samples)
    found: dict[str, Any] = {}
    panels: list[Panel] = []
    absent: dict[str, str] = {}
    for name in names:
        try:
            found[name], drawn = WHAT[name](asked)
        except DataError as error:
            if what is not None:
                raise
            absent[name] = str(error)
        else:
            panels += drawn
    said = _said(asked)
    columns = () if image_shape(run) is not None else _columns(run)
    return Look(int(sample), said, found, tuple(_joined(asked, panels, said)), absent, columns)


def _joined(asked: _Asked, panels: list[Panel], said: str) -> Iterator[Panel]:
    """The panels, those of the sample as one: the sample, and beside it what each method makes of it."""
    views = [panel for panel in panels if isinstance(panel, Tiles) and panel.name == SAMPLE]
    for panel in panels:
        if panel.name != SAMPLE:
            yield panel
        elif panel is views[0]:
            pictures = [image_tiles(SAMPLE, "", asked.image, ["as it is"]), *views]
            title = f"{said}; orange speaks for what it is asked for, blue against it"
            images = tuple(image for one in pictures for image in one.images)
            yield Tiles(SAMPLE, title, images, tuple(word for one in pictures for word in one.words))


def _names(what: Sequence[str]) -> tuple[str, ...]:
    given = [what] if isinstance(what, str) else list(what)
    for name in given:
        if name not in WHAT:
            raise ConfigurationError(f"there is no {name!r} to look at; there are {', '.join(WHAT)}")
    return tuple(dict.fromkeys(given))


def _said(asked: _Asked) -> str:
    run, inputs = asked.run, asked.inputs
    name, probability = f"sample {asked.sample}", run.probabilities(inputs.inputs)[0]
    if probability.ndim != 1:
        return name
    said = run.predict(inputs.inputs)[0]
    if run.classes is None:
        return f"{name}: the network says {np.array2string(np.asarray(said), precision=4)}"
    sure = float(max(probability[0], 1 - probability[0]) if probability.size == 1 else probability.max())
    labels = inputs.labels
    true = "" if labels is None or inputs.classes is None else f" and is {inputs.classes[int(labels[0])]}"
    return f"{name} is taken for {said} ({share(sure, 1)}){true}"


def _columns(run: Run) -> tuple[str, ...]:
    size = int(np.prod(run.spec.arrays["inputs"][0])) if run.spec is not None else 0
    names = tuple(run.preparation.feature_names())
    return names if len(names) == size else tuple(str(number) for number in range(size))


def _filters(asked: _Asked) -> tuple[Any, list[Panel]]:
    found = filters(asked.run, asked.layer)
    return found, [kernel_tiles(found, "the first layer" if asked.layer is None else f"layer {asked.layer}")]


def _features(asked: _Asked) -> tuple[Any, list[Panel]]:
    chosen = placed_layer(asked.run, asked.layer, "a feature map", last=False)
    found = feature_maps(asked.run, asked.inputs, chosen.path)
    return found, [map_tiles(found[0], f"layer {chosen.path}")]


def _by_sample(word: str, measure: Callable[..., Array]) -> Part:
    def part(asked: _Asked) -> tuple[Any, list[Panel]]:
        found = measure(asked.run, asked.inputs, asked.output)
        if image_shape(asked.run) is None:
            return found, []
        maps = found if found.ndim == 3 and len(asked.data.sample_shape) != 2 else asked.images(found)
        return maps, [sign_tiles(SAMPLE, "", maps, [word])]

    return part


def _grad_cam(asked: _Asked) -> tuple[Any, list[Panel]]:
    chosen = placed_layer(asked.run, asked.layer, "Grad-CAM", last=True)
    found = grad_cam(asked.run, asked.inputs, asked.output, chosen.path)
    if image_shape(asked.run) is None or found.ndim != 3:
        return found, []
    return found, [heat_tiles(SAMPLE, "", asked.image, found, [f"Grad-CAM, layer {chosen.path}"])]


def _exciting(asked: _Asked) -> tuple[Any, list[Panel]]:
    run = asked.run
    found: Excited = excite(run, None, asked.layer or "")
    if image_shape(run) is None:
        return found, []
    classes = run.classes if not asked.layer and run.classes is not None else ()
    words = [classes[int(unit)] if unit < len(classes) else str(unit) for unit in found.units]
    title = f"what excites {'the outputs' if not asked.layer else f'the units of layer {asked.layer}'} most"
    return found, [image_tiles("exciting", title, asked.images(found.inputs), words)]


def _map(asked: _Asked) -> tuple[Any, list[Panel]]:
    data = asked.data
    if len(data) > asked.samples:  # which may be in the order of their classes
        data = data.subset(np.linspace(0, len(data) - 1, asked.samples).astype(np.int64))
    found: Embedding = embedding(asked.run, data, asked.layer, method=asked.method)
    return found, [points(found, data.labels, data.classes)]


def _mistakes(asked: _Asked) -> tuple[Any, list[Panel]]:
    found: Mistakes = mistakes(asked.run, asked.data)
    return found, mistake_panels(asked.run, asked.data, found)


def mistake_panels(run: Run, data: Dataset, found: Mistakes) -> list[Panel]:
    """The samples that were mistaken, as pictures, if they are images."""
    shape = image_shape(run)
    if shape is None or not len(found):
        return []
    images = samples_seen(run, data.subset(found.indices)).reshape(-1, *shape)
    words = [
        f"{found.classes[target]}, taken for {found.classes[said]}, {share(sure, 1)}"
        for target, said, sure in zip(found.targets, found.said, found.sure, strict=True)
    ]
    return [image_tiles("mistakes", f"the surest of {found.count:,} mistakes", images, words)]


#: What there is to look at, by name, in the order in which it is shown.
WHAT: Mapping[str, Part] = {
    "filters": _filters,
    "features": _features,
    "saliency": _by_sample("gradient", saliency),
    "smooth": _by_sample("SmoothGrad", smooth_saliency),
    "integrated": _by_sample("integrated, gradients", integrated_gradients),
    "grad-cam": _grad_cam,
    "occlusion": _by_sample("occlusion", occlusion),
    "exciting": _exciting,
    "map": _map,
    "mistakes": _mistakes,
}
