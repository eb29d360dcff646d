"""What a training sees of some samples: as they are, and as augmentations change them, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.augmentation import Augmentation, Augmentations, Samples
from chainrule.data import Dataset
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import DataError
from chainrule.graph import Build, Graph
from chainrule.layers.scope import Record
from chainrule.training.batch import Batch
from chainrule.training.feeding import feed
from chainrule.training.step import StepState


def augmented(
    augmentation: Augmentation | Sequence[Augmentation], data: Dataset, *, versions: int = 9, seed: int = 0
) -> NDArray[Any]:
    """Inputs as the network sees them, (1 + versions, samples, …): first unchanged, then as steps 0, 1, … change them.

    The samples are a batch: what mixes samples takes others of them. The numbers are those of a training with this
    ``seed``, for a batch of these samples.

    >>> from chainrule.augmentation import Flip
    >>> images = Dataset(np.arange(8.0).reshape(1, 2, 4, 1))
    >>> augmented(Flip(1.0), images, versions=1)[:, 0, 0, :, 0].tolist()
    [[0.0, 1.0, 2.0, 3.0], [3.0, 2.0, 1.0, 0.0]]
    """
    chosen = Augmentations(*augmentation) if isinstance(augmentation, list | tuple) else augmentation
    spec, arrays = feed(data, data.preparation, data.classes)
    with Build() as build:
        state = StepState(Record("float32"), training=True)
        batch = Batch(spec, len(data), "float32", select=False)
        goals = ((batch.targets, batch.weights),) if "targets" in batch else ()
        samples = Samples(batch.inputs, goals)
        found = state.augment(chosen, samples)  # type: ignore[arg-type]
        graph = Graph.of({"plain": samples.inputs, "changed": found.inputs}, build)
    program = ReferenceEngine().compile(graph)
    given = {f"data/{name}": array for name, array in arrays.items() if name not in spec.arrays}
    given |= {f"batch/{name}": array for name, array in arrays.items() if name in spec.arrays}
    given |= {"seed": np.asarray(seed, np.uint32)}
    rows = []
    for step in range(max(versions, 1)):
        arrived = program.run(
            {
                name: array
                for name, array in {**given, "step": np.asarray(step, np.int32)}.items()
                if name in graph.inputs
            }
        )
        rows += [arrived["plain"]] if step == 0 else []
        rows += [arrived["changed"]] if versions else []
    return np.stack(rows)


def draw_augmented(
    augmentation: Augmentation | Sequence[Augmentation],
    data: Dataset,
    path: str | Path,
    *,
    versions: int = 9,
    seed: int = 0,
) -> Path:
    """A picture of `augmented`, a row a sample, the unchanged one on the left; DataError for what is no image."""
    from chainrule.explain.pictures import figure, save_picture

    if len(data.sample_shape) not in (2, 3):
        raise DataError(f"{data.name or 'the data'}: samples of {list(data.sample_shape)} are no images to be drawn")
    seen = augmented(augmentation, data, versions=versions, seed=seed)
    images = seen if seen.ndim == 5 else seen[..., None]
    low, high = float(images[0].min()), float(images[0].max())
    shades = np.clip((images - low) / ((high - low) or 1.0), 0.0, 1.0)
    columns, rows, height, width, channels = shades.shape
    # A thin line between them, and a wider one beside what is unchanged.
    padded = np.pad(shades, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)], constant_values=0.5)
    lines = [np.concatenate([padded[column, row] for column in range(columns)], axis=1) for row in range(rows)]
    mosaic = np.concatenate(lines)
    edge = np.full((mosaic.shape[0], max(2, width // 8), mosaic.shape[2]), 0.5)
    whole = np.concatenate([mosaic[:, : width + 2], edge, mosaic[:, width + 2 :]], axis=1)
    drawn = figure(0.9 * columns, 0.9 * rows * height / width)
    axes = drawn.subplots()
    axes.imshow(whole if channels == 3 else whole[..., 0], cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_axis_off()
    return save_picture(drawn, path)
